# The native host: files that claim to be modules, and what a module calls.
add_library(fuzz-server-parts STATIC
  "${PROJECT_SOURCE_DIR}/server/abi_table.c" "${PROJECT_SOURCE_DIR}/server/allow_list.c"
  "${PROJECT_SOURCE_DIR}/server/engine_system.c" "${PROJECT_SOURCE_DIR}/server/engine_wasm.c"
  "${PROJECT_SOURCE_DIR}/server/host_headers.c" "${PROJECT_SOURCE_DIR}/server/wasm_file.c")
target_include_directories(fuzz-server-parts PUBLIC "${PROJECT_SOURCE_DIR}")
target_link_libraries(fuzz-server-parts PUBLIC tessera-rpc PRIVATE tessera_warnings)
if(TESSERA_BUILD_FUZZ)
  target_compile_options(fuzz-server-parts PRIVATE -fsanitize=fuzzer-no-link)
endif()
tessera_add_fuzzer(wasm_file SOURCES fuzz_wasm_file.c LIBRARIES fuzz-server-parts)
tessera_add_fuzzer(host_import SOURCES fuzz_host_import.c LIBRARIES fuzz-server-parts)
