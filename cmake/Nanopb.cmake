# nanopb's C runtime, built from source: Debian's library has 16-bit sizes, and
# the same sources are also compiled to wasm32.
#
#   NANOPB_SOURCE_DIR   (cache) holds pb.h, pb_common.c, pb_encode.c, pb_decode.c.
#                       Give it to use a copy of your own.
#   nanopb              native static library; its PUBLIC definitions
#                       (NANOPB_DEFINITIONS) must hold wherever pb.h is included.
#   NANOPB_GENERATOR    protoc-gen-nanopb (Debian: nanopb)
#
# Without NANOPB_SOURCE_DIR the sources come from the distribution's source
# package, else from upstream by a pinned hash (TesseraSource.cmake).
include_guard(GLOBAL)
include(TesseraSource)

set(NANOPB_VERSION 0.4.7)
set(NANOPB_URL "https://github.com/nanopb/nanopb/archive/refs/tags/${NANOPB_VERSION}.tar.gz")
set(NANOPB_SHA256 e1d89b166367a3c42d42311bdc2ed57ff78f86aede9a66828516e45490d48c81)
set(NANOPB_SOURCE_DIR "" CACHE PATH "nanopb's C sources; empty: get them")
set(NANOPB_DEFINITIONS PB_FIELD_32BIT PB_ENABLE_MALLOC PB_VALIDATE_UTF8)
find_program(NANOPB_GENERATOR protoc-gen-nanopb)
mark_as_advanced(NANOPB_GENERATOR)

if(NOT NANOPB_SOURCE_DIR)
  tess_source_dir(nanopb_cache nanopb)
  if(NOT EXISTS "${nanopb_cache}/pb_decode.c")
    tess_source_fetch(nanopb "${nanopb_cache}" "${NANOPB_URL}" ${NANOPB_SHA256}
      pb.h pb_common.h pb_common.c pb_encode.h pb_encode.c pb_decode.h pb_decode.c LICENSE.txt)
  endif()
  set(NANOPB_SOURCE_DIR "${nanopb_cache}" CACHE PATH "nanopb's C sources; empty: get them" FORCE)
endif()
foreach(file pb.h pb_common.h pb_common.c pb_encode.h pb_encode.c pb_decode.h pb_decode.c)
  if(NOT EXISTS "${NANOPB_SOURCE_DIR}/${file}")
    set(nanopb_gone "${NANOPB_SOURCE_DIR}")
    unset(NANOPB_SOURCE_DIR CACHE)
    message(FATAL_ERROR "nanopb: ${nanopb_gone}/${file} is missing. Configure again to get the "
      "sources anew, or give -DNANOPB_SOURCE_DIR=<folder with pb.h>.")
  endif()
endforeach()
file(STRINGS "${NANOPB_SOURCE_DIR}/pb.h" nanopb_version_line REGEX "define NANOPB_VERSION")
string(REGEX REPLACE ".*\"nanopb-([^\"]+)\".*" "\\1" NANOPB_SOURCE_VERSION "${nanopb_version_line}")
message(STATUS "nanopb ${NANOPB_SOURCE_VERSION}: ${NANOPB_SOURCE_DIR}")

set(NANOPB_SOURCES
  "${NANOPB_SOURCE_DIR}/pb_common.c" "${NANOPB_SOURCE_DIR}/pb_encode.c"
  "${NANOPB_SOURCE_DIR}/pb_decode.c")
add_library(nanopb STATIC EXCLUDE_FROM_ALL ${NANOPB_SOURCES})
target_include_directories(nanopb SYSTEM PUBLIC $<BUILD_INTERFACE:${NANOPB_SOURCE_DIR}>)
target_compile_definitions(nanopb PUBLIC ${NANOPB_DEFINITIONS})
