tessera_add_fuzzer(json SOURCES fuzz_json.c LIBRARIES json-test-schema)
