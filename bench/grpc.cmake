# bench_grpc_sources(RESULT PROTO): the C++ messages and gRPC stubs of ./PROTO.proto, made in
# the folder RESULT_DIR; for PROTOC and GRPC_CPP_PLUGIN.
function(bench_grpc_sources result proto)
  set(dir "${CMAKE_CURRENT_BINARY_DIR}/grpc")
  file(MAKE_DIRECTORY "${dir}")
  set(sources "${dir}/${proto}.pb.cc" "${dir}/${proto}.grpc.pb.cc")
  add_custom_command(
    OUTPUT ${sources} "${dir}/${proto}.pb.h" "${dir}/${proto}.grpc.pb.h"
    COMMAND "${PROTOC}" -I "${CMAKE_CURRENT_SOURCE_DIR}" --cpp_out=${dir} --grpc_out=${dir}
            --plugin=protoc-gen-grpc=${GRPC_CPP_PLUGIN} ${proto}.proto
    DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${proto}.proto" VERBATIM)
  set(${result} ${sources} PARENT_SCOPE)
  set(${result}_DIR "${dir}" PARENT_SCOPE)
endfunction()
