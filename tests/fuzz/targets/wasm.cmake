# The module's border, over the native build.
tessera_add_fuzzer(abi SOURCES fuzz_abi.c LIBRARIES tessera-module)
if(TESSERA_BUILD_FUZZ)
  foreach(library tessera-module tessera-controller)
    target_compile_options(${library} PRIVATE -fsanitize=fuzzer-no-link)
  endforeach()
endif()
