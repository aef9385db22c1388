# tessera_matmul_wasm(TARGET target OUTPUT file TABLE portable|simd128 SOURCES ...)
# builds matmul/'s freestanding files with one table of kernels and the given
# sources (absolute paths) into a bare WebAssembly module without imports: for
# tests and benchmarks. The server's module is built in wasm/.
find_program(WASM_CLANG NAMES clang-19 clang)
find_program(WASM_LD NAMES wasm-ld-19 wasm-ld)
set(TESSERA_MATMUL_DIR "${CMAKE_CURRENT_LIST_DIR}")
include("${TESSERA_MATMUL_DIR}/sources.cmake")
include("${TESSERA_MATMUL_DIR}/../wasm/sources.cmake")

function(tessera_matmul_wasm)
  cmake_parse_arguments(W "" "TARGET;OUTPUT;TABLE" "SOURCES" ${ARGN})
  string(TOUPPER ${W_TABLE} table)
  set(root "${TESSERA_MATMUL_DIR}/..")
  set(flags --target=wasm32-unknown-unknown -ffreestanding -nostdlib -std=c11 -mbulk-memory -O2
    -ffp-contract=off -fvisibility=hidden -Wall -Wextra -isystem "${root}/wasm/libc/include"
    "-I${root}" "-I${root}/include")
  if(W_TABLE STREQUAL "simd128")
    list(APPEND flags -msimd128)
  endif()
  set(sources ${W_SOURCES})
  foreach(source IN LISTS TESSERA_MATMUL_PURE_SOURCES TESSERA_MATMUL_SHA256_PORTABLE
      TESSERA_MATMUL_TABLE_${table})
    list(APPEND sources "${TESSERA_MATMUL_DIR}/${source}")
  endforeach()
  foreach(source IN LISTS TESSERA_WASM_LIBC_SOURCES)
    list(APPEND sources "${root}/wasm/${source}")
  endforeach()
  set(objects)
  foreach(source IN LISTS sources)
    get_filename_component(name "${source}" NAME_WE)
    set(object "${CMAKE_CURRENT_BINARY_DIR}/${W_TARGET}/${name}.o")
    set(extra)
    if("${name}.c" IN_LIST TESSERA_MATMUL_KERNEL_SOURCES)
      set(extra ${TESSERA_MATMUL_KERNEL_OPTIONS})
    endif()
    add_custom_command(OUTPUT "${object}" DEPENDS "${source}" DEPFILE "${object}.d"
      COMMAND "${CMAKE_COMMAND}" -E make_directory "${CMAKE_CURRENT_BINARY_DIR}/${W_TARGET}"
      COMMAND "${WASM_CLANG}" ${flags} ${extra} -MD -MF "${object}.d" -MT "${object}"
        -c "${source}" -o "${object}" VERBATIM)
    list(APPEND objects "${object}")
  endforeach()
  add_custom_command(OUTPUT "${W_OUTPUT}" DEPENDS ${objects}
    COMMAND "${WASM_LD}" --no-entry --gc-sections --strip-all -z stack-size=65536 ${objects}
      -o "${W_OUTPUT}" VERBATIM)
  add_custom_target(${W_TARGET} ALL DEPENDS "${W_OUTPUT}")
endfunction()
