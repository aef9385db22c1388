# The generated files, relative to the project: read by gen/CMakeLists.txt and
# by the wasm32 build, which compiles TESSERA_GEN_NANOPB_SOURCES itself.
set(TESSERA_GEN_PROTOS tessera/matmul/v1/matmul grpc/health/v1/health)

set(TESSERA_GEN_PROTOBUF_C_SOURCES "")
set(TESSERA_GEN_NANOPB_SOURCES "")
foreach(stem IN LISTS TESSERA_GEN_PROTOS)
  list(APPEND TESSERA_GEN_PROTOBUF_C_SOURCES gen/protobuf-c/${stem}.pb-c.c)
  list(APPEND TESSERA_GEN_NANOPB_SOURCES gen/nanopb/${stem}.pb.c)
endforeach()

# Needed on the include path, beside include/.
set(TESSERA_GEN_PROTOBUF_C_INCLUDES gen/protobuf-c)
set(TESSERA_GEN_NANOPB_INCLUDES gen/nanopb)
