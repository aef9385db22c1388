# What reaches the HTTP server and the HTTP transport from the wire.
tessera_add_fuzzer(http_guard SOURCES fuzz_http_guard.c "${PROJECT_SOURCE_DIR}/rpc/http_server_guard.c"
                   LIBRARIES tessera-rpc)
tessera_add_fuzzer(request_head SOURCES fuzz_request_head.c
                   "${PROJECT_SOURCE_DIR}/rpc/http_request_head.c" LIBRARIES tessera-rpc)
tessera_add_fuzzer(reply_head SOURCES fuzz_reply_head.c "${PROJECT_SOURCE_DIR}/rpc/http_reply_head.c"
                   LIBRARIES tessera-rpc)
