# tessera-wasm: the module for WebAssembly, compiled and linked freestanding with
# clang and wasm-ld, in two variants from the same sources:
#   bin/tessera-module.wasm         simd128
#   bin/tessera-module-scalar.wasm  for engines without SIMD, and for wasm2c
# tessera_wasm_module() makes the same with services of one's own in it.
#
# Functions here are also called from other projects' folders, where this one's
# variables are out of sight: each reads the lists of sources itself.
# Kernels are compiled for speed, all else for size. wasm-ld is called directly:
# clang's driver would run an old wasm-opt, where one is installed.
find_program(TESSERA_WASM_CLANG NAMES clang-19 clang-20 clang-18 clang-17 clang
  DOC "clang that knows the target wasm32")
find_program(TESSERA_WASM_LD NAMES wasm-ld-19 wasm-ld-20 wasm-ld-18 wasm-ld-17 wasm-ld
  DOC "LLVM's linker for WebAssembly")
mark_as_advanced(TESSERA_WASM_CLANG TESSERA_WASM_LD)

if(NOT TESSERA_WASM_CLANG OR NOT TESSERA_WASM_LD)
  message(STATUS "wasm: clang or wasm-ld not found; the target tessera-wasm will say so "
    "(Debian: clang-19 lld-19)")
  add_custom_target(tessera-wasm
    COMMAND ${CMAKE_COMMAND} -E echo
      "tessera-wasm needs clang and wasm-ld: apt-get install clang-19 lld-19, then configure again"
    COMMAND ${CMAKE_COMMAND} -E false)
  function(tessera_wasm_module)
    message(FATAL_ERROR "tessera_wasm_module: clang or wasm-ld not found (Debian: clang-19 lld-19)")
  endfunction()
  return()
endif()

# Flags for everything.
function(tess_wasm_flags result root)
  include("${root}/gen/sources.cmake")
  include("${root}/rpc/sources.cmake")
  set(flags --target=wasm32-unknown-unknown -std=c11 -ffreestanding -nostdlib
    -mbulk-memory -msign-ext -fvisibility=hidden -ffunction-sections -fdata-sections
    -ffp-contract=off -fno-math-errno -DNDEBUG
    -isystem "${root}/wasm/libc/include"
    -isystem "${NANOPB_SOURCE_DIR}"
    -I "${root}" -I "${root}/include")
  foreach(dir IN LISTS TESSERA_GEN_NANOPB_INCLUDES)
    list(APPEND flags -isystem "${root}/${dir}")
  endforeach()
  foreach(definition IN LISTS TESSERA_NANOPB_DEFINITIONS)
    list(APPEND flags -D${definition})
  endforeach()
  set(${result} ${flags} PARENT_SCOPE)
endfunction()

# Compiles one source; appends its object to the caller's list named by `list_name`.
function(tess_wasm_object folder source list_name)
  cmake_parse_arguments(PARSE_ARGV 3 arg "" "" "FLAGS;DEPENDS")
  cmake_path(SET root NORMALIZE "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/..")
  tess_wasm_flags(flags "${root}")
  cmake_path(ABSOLUTE_PATH source NORMALIZE)
  cmake_path(RELATIVE_PATH source BASE_DIRECTORY "${root}" OUTPUT_VARIABLE name)
  string(REPLACE "../" "" name "${name}")
  string(REGEX REPLACE "^/" "" name "${name}")
  set(object "${CMAKE_CURRENT_BINARY_DIR}/${folder}/${name}.o")
  cmake_path(GET object PARENT_PATH object_dir)
  file(MAKE_DIRECTORY "${object_dir}")
  add_custom_command(OUTPUT "${object}"
    COMMAND "${TESSERA_WASM_CLANG}" ${flags} ${arg_FLAGS} -MD -MF "${object}.d"
      -c "${source}" -o "${object}"
    DEPENDS "${source}" ${arg_DEPENDS} DEPFILE "${object}.d" VERBATIM
    COMMENT "wasm32 ${folder}: ${name}")
  set(${list_name} ${${list_name}} "${object}" PARENT_SCOPE)
endfunction()

# Links objects into one file. Relocations are compressed: otherwise every address and
# every index of a function takes five bytes, and files are a tenth larger.
function(tess_wasm_link_objects folder wasm stack_size)
  cmake_path(GET wasm PARENT_PATH wasm_dir)
  file(MAKE_DIRECTORY "${wasm_dir}")
  set(response "${CMAKE_CURRENT_BINARY_DIR}/${folder}.rsp")
  string(REPLACE ";" "\n" lines "${ARGN}")
  file(GENERATE OUTPUT "${response}" CONTENT "${lines}\n")
  add_custom_command(OUTPUT "${wasm}"
    COMMAND "${TESSERA_WASM_LD}" "@${response}" -o "${wasm}" --no-entry --gc-sections --strip-all
      --compress-relocations --fatal-warnings -z stack-size=${stack_size} --max-memory=4294967296
    DEPENDS ${ARGN} "${response}" VERBATIM COMMENT "Linking ${wasm}")
endfunction()

# One file `wasm`, its objects in `folder`: the module's sources, kernels for
# `variant` (simd128, scalar), and an extension with the messages it needs.
function(tess_wasm_link folder wasm variant)
  cmake_parse_arguments(PARSE_ARGV 3 arg "" "" "EXTENSION;EXTENSION_FLAGS;MESSAGES;DEPENDS")
  cmake_path(SET root NORMALIZE "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/..")
  foreach(list IN ITEMS rpc matmul gen wasm)
    include("${root}/${list}/sources.cmake")
  endforeach()
  set(warnings -Wall -Wextra -Wshadow -Wstrict-prototypes -Wpointer-arith -Wcast-qual
    -Wwrite-strings -Wundef)
  if(TESSERA_WERROR)
    list(APPEND warnings -Werror)
  endif()
  set(machine "")
  set(table ${TESSERA_MATMUL_TABLE_PORTABLE})
  if(variant STREQUAL "simd128")
    set(machine -msimd128)
    set(table ${TESSERA_MATMUL_TABLE_SIMD128})
  endif()

  set(objects "")
  foreach(source IN LISTS TESSERA_CONTROLLER_SOURCES TESSERA_MODULE_SOURCES
      TESSERA_WASM_ENTRY_SOURCES)
    tess_wasm_object("${folder}" "${root}/wasm/${source}" objects FLAGS ${machine} -Os ${warnings})
  endforeach()
  foreach(source IN LISTS TESSERA_WASM_LIBC_SOURCES)
    tess_wasm_object("${folder}" "${root}/wasm/${source}" objects
      FLAGS ${machine} -O2 -fno-builtin ${warnings})
  endforeach()
  foreach(source IN LISTS TESSERA_RPC_CORE_SOURCES TESSERA_RPC_SERVICES_SOURCES
      TESSERA_RPC_NANOPB_SOURCES TESSERA_RPC_LOCK_NONE)
    tess_wasm_object("${folder}" "${root}/${source}" objects FLAGS ${machine} -Os ${warnings})
  endforeach()
  foreach(source IN LISTS TESSERA_MATMUL_PURE_SOURCES TESSERA_MATMUL_SHA256_PORTABLE table)
    set(speed -Os)
    if(source IN_LIST TESSERA_MATMUL_KERNEL_SOURCES)
      set(speed ${TESSERA_MATMUL_KERNEL_OPTIONS})
    endif()
    tess_wasm_object("${folder}" "${root}/matmul/${source}" objects
      FLAGS ${machine} ${speed} ${warnings})
  endforeach()
  # Not ours: no warnings.
  foreach(source IN LISTS TESSERA_GEN_NANOPB_SOURCES)
    tess_wasm_object("${folder}" "${root}/${source}" objects FLAGS ${machine} -Os -w)
  endforeach()
  foreach(name IN ITEMS pb_common pb_encode pb_decode)
    tess_wasm_object("${folder}" "${NANOPB_SOURCE_DIR}/${name}.c" objects FLAGS ${machine} -O2 -w)
  endforeach()
  foreach(source IN LISTS arg_MESSAGES)
    tess_wasm_object("${folder}" "${source}" objects FLAGS ${machine} -Os -w ${arg_EXTENSION_FLAGS}
      DEPENDS ${arg_DEPENDS})
  endforeach()
  foreach(source IN LISTS arg_EXTENSION)
    tess_wasm_object("${folder}" "${source}" objects
      FLAGS ${machine} -Os ${warnings} ${arg_EXTENSION_FLAGS} DEPENDS ${arg_DEPENDS})
  endforeach()

  tess_wasm_link_objects("${folder}" "${wasm}" 131072 ${objects})
endfunction()

# One file `wasm`, its objects in `folder`: SOURCES, which define functions of module.h,
# behind the border of abi.h with the client's core, nanopb and the messages of the target
# MESSAGES (tessera_generate, nanopb; no field types of codec_nanopb.h). FLAGS are for all,
# STACK is bytes. Optimised when it is linked (clang and wasm-ld of one LLVM), but for libc:
# code that is generated then may call memcpy.
function(tess_wasm_client_module folder wasm)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "MESSAGES;STACK" "SOURCES;FLAGS")
  cmake_path(SET root NORMALIZE "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/..")
  foreach(list IN ITEMS rpc wasm)
    include("${root}/${list}/sources.cmake")
  endforeach()
  get_target_property(dir ${arg_MESSAGES} TESSERA_GENERATED_DIR)
  get_target_property(generated ${arg_MESSAGES} SOURCES)
  set(messages ${generated})
  list(FILTER messages INCLUDE REGEX "\\.c$")
  set(objects "")
  set(flags ${arg_FLAGS} -flto)
  foreach(source IN LISTS arg_SOURCES)
    tess_wasm_object("${folder}" "${CMAKE_CURRENT_SOURCE_DIR}/${source}" objects
      FLAGS ${flags} -Wall -Wextra -isystem "${dir}" DEPENDS ${generated})
  endforeach()
  foreach(source IN LISTS TESSERA_RPC_CORE_SOURCES TESSERA_RPC_LOCK_NONE
      TESSERA_RPC_NANOPB_PLAIN_SOURCES
      ITEMS wasm/entry_wasm.c wasm/module_plain.c wasm/transport_host.c wasm/header_text.c)
    tess_wasm_object("${folder}" "${root}/${source}" objects FLAGS ${flags})
  endforeach()
  foreach(source IN LISTS TESSERA_WASM_LIBC_SOURCES)
    tess_wasm_object("${folder}" "${root}/wasm/${source}" objects FLAGS ${arg_FLAGS} -fno-builtin)
  endforeach()
  foreach(name IN ITEMS pb_common pb_encode pb_decode)
    tess_wasm_object("${folder}" "${NANOPB_SOURCE_DIR}/${name}.c" objects FLAGS ${flags} -w)
  endforeach()
  foreach(source IN LISTS messages)
    tess_wasm_object("${folder}" "${source}" objects FLAGS ${flags} -w -isystem "${dir}"
      DEPENDS ${generated})
  endforeach()
  tess_wasm_link_objects("${folder}" "${wasm}" ${arg_STACK} ${objects})
endfunction()

# tessera_wasm_module: the module with services of one's own.
#
#   tessera_wasm_module(TARGET <name>
#     SOURCES <file.c>...        define tess_module_extend (wasm/extension.h)
#     MESSAGES <target>...)      libraries of tessera_generate(RUNTIME nanopb)
#
# Makes <name>.wasm (simd128) and <name>-scalar.wasm, in CMAKE_RUNTIME_OUTPUT_DIRECTORY
# or else the current build folder. The sources see wasm/libc's headers and no
# other C library.
function(tessera_wasm_module)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "TARGET" "SOURCES;MESSAGES")
  if(NOT arg_TARGET OR NOT arg_SOURCES OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "tessera_wasm_module: TARGET and SOURCES are needed, MESSAGES allowed")
  endif()
  set(out "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  if(NOT out)
    set(out "${CMAKE_CURRENT_BINARY_DIR}")
  endif()
  set(flags "")
  set(messages "")
  set(headers "")
  foreach(target IN LISTS arg_MESSAGES)
    get_target_property(dir ${target} TESSERA_GENERATED_DIR)
    get_target_property(generated ${target} SOURCES)
    list(APPEND flags -isystem "${dir}")
    list(APPEND headers ${generated})
    list(FILTER generated INCLUDE REGEX "\\.c$")
    list(APPEND messages ${generated})
  endforeach()
  tess_wasm_link("${arg_TARGET}.simd128" "${out}/${arg_TARGET}.wasm" simd128
    EXTENSION ${arg_SOURCES} EXTENSION_FLAGS ${flags} MESSAGES ${messages} DEPENDS ${headers})
  tess_wasm_link("${arg_TARGET}.scalar" "${out}/${arg_TARGET}-scalar.wasm" scalar
    EXTENSION ${arg_SOURCES} EXTENSION_FLAGS ${flags} MESSAGES ${messages} DEPENDS ${headers})
  add_custom_target(${arg_TARGET} ALL
    DEPENDS "${out}/${arg_TARGET}.wasm" "${out}/${arg_TARGET}-scalar.wasm")
  if(arg_MESSAGES)
    add_dependencies(${arg_TARGET} ${arg_MESSAGES})
  endif()
endfunction()

set(wasm_simd128 "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/tessera-module.wasm")
set(wasm_scalar "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/tessera-module-scalar.wasm")
tess_wasm_link(simd128 "${wasm_simd128}" simd128
  EXTENSION "${CMAKE_CURRENT_SOURCE_DIR}/extension_none.c")
tess_wasm_link(scalar "${wasm_scalar}" scalar
  EXTENSION "${CMAKE_CURRENT_SOURCE_DIR}/extension_none.c")
add_custom_target(tessera-wasm ALL DEPENDS "${wasm_simd128}" "${wasm_scalar}")
