# Compressed bodies, GET queries, the messages of the product.
tessera_add_fuzzer(compressed SOURCES fuzz_compressed.c
  LIBRARIES tessera-rpc rpc-test-protobuf-c tessera-zlib tessera-brotli tessera-zstd tessera-snappy)
tessera_add_fuzzer(get SOURCES fuzz_get.c LIBRARIES rpc-test-protobuf-c tessera-json tessera-zlib)
tessera_add_fuzzer(messages SOURCES fuzz_messages.c LIBRARIES tessera-gen-protobuf-c tessera-gen-nanopb)
if(TESSERA_BUILD_FUZZ)
  foreach(library tessera-json tessera-brotli tessera-zstd tessera-snappy)
    target_compile_options(${library} PRIVATE -fsanitize=fuzzer-no-link)
  endforeach()
endif()
# Reflection, from both ends.
tessera_add_fuzzer(reflection SOURCES fuzz_reflection.c
  LIBRARIES rpc-test-protobuf-c tessera-services tessera-json tessera-zlib)
tessera_add_fuzzer(descriptors SOURCES fuzz_descriptors.c LIBRARIES tessera-json)
if(TESSERA_BUILD_FUZZ)
  target_compile_options(tessera-services PRIVATE -fsanitize=fuzzer-no-link)
endif()
