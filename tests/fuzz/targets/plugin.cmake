# The protoc plugin.
tessera_add_fuzzer(plugin SOURCES fuzz_plugin.c LIBRARIES tess_plugin)
