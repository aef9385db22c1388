# The RPC core: files that need only mem*/str*, malloc/realloc/free and <stdarg.h>,
# so that they compile natively and to freestanding wasm32. Paths are relative to
# the project. A build adds one lock file: lock_pthread.c, or lock_none.c where
# there are no threads.
set(TESSERA_RPC_CORE_SOURCES
  rpc/code.c
  rpc/format.c
  rpc/memory.c
  rpc/output.c
  rpc/arena.c
  rpc/segments.c
  rpc/status.c
  rpc/utf8.c
  rpc/wire.c
  rpc/text.c
  rpc/hex.c
  rpc/base64.c
  rpc/percent.c
  rpc/metadata.c
  rpc/json_reader.c
  rpc/error_json.c
  rpc/deadline.c
  rpc/due.c
  rpc/etag.c
  rpc/compression.c
  rpc/compression_stream.c
  rpc/codec_proto.c
  rpc/runtime_bytes.c
  rpc/grpc_status.c
  rpc/router.c
  rpc/server.c
  rpc/call.c
  rpc/call_open.c
  rpc/receive.c
  rpc/exchange.c
  rpc/protocol_connect.c
  rpc/protocol_grpc_web.c
  rpc/client.c
  rpc/client_unary.c
  rpc/client_stream.c
  rpc/client_stream_blocking.c
  rpc/transport_memory.c
  rpc/transport_text.c
)
# Services that any server may mount, whatever its messages' runtime: health,
# reflection. They need their schemas of gen/rpc/.
set(TESSERA_RPC_SERVICES_SOURCES
  rpc/client_certificates.c
  rpc/descriptor_index.c
  rpc/health_server.c
  rpc/reflection.c
  rpc/reflection_http.c
)
set(TESSERA_RPC_SERVICES_SCHEMAS
  gen/rpc/grpc/health/v1/health.schema.c
  gen/rpc/grpc/reflection/v1/reflection.schema.c
  gen/rpc/grpc/reflection/v1alpha/reflection.schema.c
)
set(TESSERA_RPC_LOCK_PTHREAD rpc/lock_pthread.c)
set(TESSERA_RPC_LOCK_NONE rpc/lock_none.c)

# The nanopb runtime's glue (compile with nanopb's pb_common.c, pb_decode.c and
# pb_encode.c under TESSERA_NANOPB_DEFINITIONS, everywhere the same).
set(TESSERA_RPC_NANOPB_SOURCES rpc/runtime_nanopb.c rpc/nanopb_fields.c)
# The same for schemas without the field types of <tessera/codec_nanopb.h>.
set(TESSERA_RPC_NANOPB_PLAIN_SOURCES rpc/runtime_nanopb.c rpc/nanopb_fields_none.c)
set(TESSERA_NANOPB_DEFINITIONS PB_FIELD_32BIT PB_ENABLE_MALLOC PB_VALIDATE_UTF8)
