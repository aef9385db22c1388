# tessera-wasm: the module for WebAssembly, compiled and linked freestanding with
# clang and wasm-ld, in two variants from the same sources:
#   bin/tessera-module.wasm         simd128
#   bin/tessera-module-scalar.wasm  for engines without SIMD, and for wasm2c
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
  return()
endif()

include("${PROJECT_SOURCE_DIR}/rpc/sources.cmake")
include("${PROJECT_SOURCE_DIR}/matmul/sources.cmake")
include("${PROJECT_SOURCE_DIR}/gen/sources.cmake")

set(TESSERA_WASM_MAX_MEMORY 4294967296)
set(TESSERA_WASM_STACK 131072)

set(wasm_flags --target=wasm32-unknown-unknown -std=c11 -ffreestanding -nostdlib
  -mbulk-memory -msign-ext -fvisibility=hidden -ffunction-sections -fdata-sections
  -ffp-contract=off -fno-math-errno -DNDEBUG
  -isystem "${CMAKE_CURRENT_SOURCE_DIR}/libc/include"
  -isystem "${NANOPB_SOURCE_DIR}"
  -I "${PROJECT_SOURCE_DIR}" -I "${PROJECT_SOURCE_DIR}/include")
foreach(dir IN LISTS TESSERA_GEN_NANOPB_INCLUDES)
  list(APPEND wasm_flags -isystem "${PROJECT_SOURCE_DIR}/${dir}")
endforeach()
foreach(definition IN LISTS NANOPB_DEFINITIONS)
  list(APPEND wasm_flags -D${definition})
endforeach()
set(wasm_warnings -Wall -Wextra -Wshadow -Wstrict-prototypes -Wpointer-arith -Wcast-qual
  -Wwrite-strings -Wundef)
if(TESSERA_WERROR)
  list(APPEND wasm_warnings -Werror)
endif()

# Compiles one source; appends its object to the caller's list named by `list_name`.
function(tess_wasm_object variant source list_name)
  cmake_parse_arguments(arg "" "" "FLAGS" ${ARGN})
  cmake_path(RELATIVE_PATH source BASE_DIRECTORY "${PROJECT_SOURCE_DIR}" OUTPUT_VARIABLE name)
  string(REPLACE "../" "" name "${name}")
  string(REGEX REPLACE "^/" "" name "${name}")
  set(object "${CMAKE_CURRENT_BINARY_DIR}/${variant}/${name}.o")
  cmake_path(GET object PARENT_PATH folder)
  file(MAKE_DIRECTORY "${folder}")
  add_custom_command(OUTPUT "${object}"
    COMMAND "${TESSERA_WASM_CLANG}" ${wasm_flags} ${arg_FLAGS} -MD -MF "${object}.d"
      -c "${source}" -o "${object}"
    DEPENDS "${source}" DEPFILE "${object}.d" VERBATIM
    COMMENT "wasm32 ${variant}: ${name}")
  set(${list_name} ${${list_name}} "${object}" PARENT_SCOPE)
endfunction()

# One variant: `output` below bin/ from the sources plus a table of kernels.
function(tess_wasm_module variant output)
  cmake_parse_arguments(arg "" "" "FLAGS;TABLE" ${ARGN})
  set(objects "")
  set(size ${arg_FLAGS} -Os)
  foreach(source IN LISTS TESSERA_CONTROLLER_SOURCES TESSERA_MODULE_SOURCES
      TESSERA_WASM_ENTRY_SOURCES)
    tess_wasm_object(${variant} "${CMAKE_CURRENT_SOURCE_DIR}/${source}" objects
      FLAGS ${size} ${wasm_warnings})
  endforeach()
  foreach(source IN LISTS TESSERA_WASM_LIBC_SOURCES)
    tess_wasm_object(${variant} "${CMAKE_CURRENT_SOURCE_DIR}/${source}" objects
      FLAGS ${size} -O2 -fno-builtin ${wasm_warnings})
  endforeach()
  foreach(source IN LISTS TESSERA_RPC_CORE_SOURCES TESSERA_RPC_NANOPB_SOURCES
      TESSERA_RPC_LOCK_NONE)
    tess_wasm_object(${variant} "${PROJECT_SOURCE_DIR}/${source}" objects
      FLAGS ${size} ${wasm_warnings})
  endforeach()
  foreach(source IN LISTS TESSERA_MATMUL_PURE_SOURCES arg_TABLE)
    set(speed -Os)
    if(source IN_LIST TESSERA_MATMUL_KERNEL_SOURCES)
      set(speed ${TESSERA_MATMUL_KERNEL_OPTIONS})
    endif()
    tess_wasm_object(${variant} "${PROJECT_SOURCE_DIR}/matmul/${source}" objects
      FLAGS ${arg_FLAGS} ${speed} ${wasm_warnings})
  endforeach()
  # Not ours: no warnings.
  foreach(source IN LISTS TESSERA_GEN_NANOPB_SOURCES)
    tess_wasm_object(${variant} "${PROJECT_SOURCE_DIR}/${source}" objects FLAGS ${size} -w)
  endforeach()
  foreach(source IN LISTS NANOPB_SOURCES)
    tess_wasm_object(${variant} "${source}" objects FLAGS ${size} -O2 -w)
  endforeach()
  set(wasm "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/${output}")
  file(MAKE_DIRECTORY "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  set(response "${CMAKE_CURRENT_BINARY_DIR}/${variant}.rsp")
  string(REPLACE ";" "\n" lines "${objects}")
  file(GENERATE OUTPUT "${response}" CONTENT "${lines}\n")
  add_custom_command(OUTPUT "${wasm}"
    COMMAND "${TESSERA_WASM_LD}" "@${response}" -o "${wasm}" --no-entry --gc-sections --strip-all
      --fatal-warnings -z stack-size=${TESSERA_WASM_STACK} --max-memory=${TESSERA_WASM_MAX_MEMORY}
    DEPENDS ${objects} "${response}" VERBATIM COMMENT "Linking ${output}")
endfunction()

tess_wasm_module(simd128 tessera-module.wasm FLAGS -msimd128
  TABLE ${TESSERA_MATMUL_TABLE_SIMD128})
tess_wasm_module(scalar tessera-module-scalar.wasm TABLE ${TESSERA_MATMUL_TABLE_PORTABLE})
add_custom_target(tessera-wasm ALL DEPENDS
  "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/tessera-module.wasm"
  "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/tessera-module-scalar.wasm")
