# Finds protobuf-c and the compilers around it.
#
#   ProtobufC::ProtobufC     the runtime library (imported target)
#   PROTOBUFC_PROTOC         protoc
#   PROTOBUFC_GEN_C          protoc-gen-c
#   PROTOBUFC_WKT_DIR        the folder above google/protobuf/descriptor.proto
#   ProtobufC_VERSION        of the headers
#
# Debian: libprotobuf-c-dev protobuf-c-compiler protobuf-compiler libprotobuf-dev libprotoc-dev
include(FindPackageHandleStandardArgs)

find_path(PROTOBUFC_INCLUDE_DIR protobuf-c/protobuf-c.h)
find_library(PROTOBUFC_LIBRARY protobuf-c)
find_program(PROTOBUFC_PROTOC protoc)
find_program(PROTOBUFC_GEN_C protoc-gen-c)
find_path(PROTOBUFC_WKT_DIR google/protobuf/compiler/plugin.proto)
mark_as_advanced(PROTOBUFC_INCLUDE_DIR PROTOBUFC_LIBRARY PROTOBUFC_PROTOC PROTOBUFC_GEN_C
  PROTOBUFC_WKT_DIR)

if(PROTOBUFC_INCLUDE_DIR)
  file(STRINGS "${PROTOBUFC_INCLUDE_DIR}/protobuf-c/protobuf-c.h" protobufc_version_line
    REGEX "^#define PROTOBUF_C_VERSION[ \t]+\"")
  string(REGEX REPLACE ".*\"([^\"]+)\".*" "\\1" ProtobufC_VERSION "${protobufc_version_line}")
endif()

find_package_handle_standard_args(ProtobufC
  REQUIRED_VARS PROTOBUFC_LIBRARY PROTOBUFC_INCLUDE_DIR PROTOBUFC_PROTOC PROTOBUFC_GEN_C
    PROTOBUFC_WKT_DIR
  VERSION_VAR ProtobufC_VERSION
  REASON_FAILURE_MESSAGE
    "Debian: apt-get install libprotobuf-c-dev protobuf-c-compiler protobuf-compiler libprotobuf-dev libprotoc-dev (or run tools/deps.sh)")

if(ProtobufC_FOUND AND NOT TARGET ProtobufC::ProtobufC)
  add_library(ProtobufC::ProtobufC UNKNOWN IMPORTED GLOBAL)
  set_target_properties(ProtobufC::ProtobufC PROPERTIES
    IMPORTED_LOCATION "${PROTOBUFC_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${PROTOBUFC_INCLUDE_DIR}")
endif()
