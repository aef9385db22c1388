# The generated files, relative to the project: read by gen/CMakeLists.txt and
# by the wasm32 build, which compiles TESSERA_GEN_NANOPB_SOURCES itself.
set(TESSERA_GEN_PROTOS tessera/matmul/v1/matmul grpc/health/v1/health grpc/reflection/v1/reflection
  grpc/reflection/v1alpha/reflection)

set(TESSERA_GEN_PROTOBUF_C_SOURCES "")
set(TESSERA_GEN_NANOPB_SOURCES "")  # schemas included
set(TESSERA_GEN_SCHEMA_SOURCES "")
foreach(stem IN LISTS TESSERA_GEN_PROTOS)
  list(APPEND TESSERA_GEN_PROTOBUF_C_SOURCES gen/protobuf-c/${stem}.pb-c.c gen/rpc/${stem}.rpc.pb-c.c)
  list(APPEND TESSERA_GEN_NANOPB_SOURCES gen/nanopb/${stem}.pb.c gen/rpc/${stem}.rpc.pb.c
    gen/rpc/${stem}.schema.c)
  list(APPEND TESSERA_GEN_SCHEMA_SOURCES gen/rpc/${stem}.schema.c)
endforeach()

# Needed on the include path, beside include/.
set(TESSERA_GEN_PROTOBUF_C_INCLUDES gen/protobuf-c gen/rpc)
set(TESSERA_GEN_NANOPB_INCLUDES gen/nanopb gen/rpc)
