# What of rpc/ touches the wire.
tessera_add_fuzzer(error_json SOURCES fuzz_error_json.c LIBRARIES tessera-rpc)
tessera_add_fuzzer(envelope SOURCES fuzz_envelope.c LIBRARIES tessera-rpc rpc-test-protobuf-c tessera-zlib)
tessera_add_fuzzer(headers SOURCES fuzz_headers.c LIBRARIES tessera-rpc rpc-test-protobuf-c tessera-zlib)
tessera_add_fuzzer(client_response SOURCES fuzz_client_response.c
                   LIBRARIES tessera-rpc rpc-test-protobuf-c tessera-zlib)
