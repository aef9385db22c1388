# civetweb, compiled from source into our adapter. Three reasons: Debian 12's
# library crashes on the first TLS request, its build serves files and CGI that
# we never want reachable, and only from the inside can a connection's socket be
# had (rpc/civetweb_unity.c), without which nobody notices a client that left.
#
#   CIVETWEB_SOURCE_DIR  (cache) holds include/civetweb.h and src/civetweb.c.
#                        Give it to use a copy of your own (1.15 or 1.16).
#   civetweb             interface target: include folders, definitions, libraries
#                        for the one file that compiles it
#
# Without CIVETWEB_SOURCE_DIR the sources come from the distribution's source
# package, else from upstream by a pinned hash (TesseraSource.cmake).
include_guard(GLOBAL)
include(TesseraSource)

set(CIVETWEB_VERSION 1.15)
set(CIVETWEB_URL "https://github.com/civetweb/civetweb/archive/v${CIVETWEB_VERSION}.tar.gz")
set(CIVETWEB_SHA256 90a533422944ab327a4fbb9969f0845d0dba05354f9cacce3a5005fa59f593b9)
set(CIVETWEB_SOURCE_DIR "" CACHE PATH "civetweb's sources; empty: get them")

if(NOT CIVETWEB_SOURCE_DIR)
  tess_source_dir(civetweb_cache civetweb)
  if(NOT EXISTS "${civetweb_cache}/src/civetweb.c")
    tess_source_fetch(civetweb "${civetweb_cache}" "${CIVETWEB_URL}" ${CIVETWEB_SHA256})
  endif()
  set(CIVETWEB_SOURCE_DIR "${civetweb_cache}" CACHE PATH "civetweb's sources; empty: get them" FORCE)
endif()
foreach(file include/civetweb.h src/civetweb.c)
  if(NOT EXISTS "${CIVETWEB_SOURCE_DIR}/${file}")
    set(civetweb_gone "${CIVETWEB_SOURCE_DIR}")
    unset(CIVETWEB_SOURCE_DIR CACHE)
    message(FATAL_ERROR "civetweb: ${civetweb_gone}/${file} is missing. Configure again to get the "
      "sources anew, or give -DCIVETWEB_SOURCE_DIR=<folder with src/civetweb.c>.")
  endif()
endforeach()
file(STRINGS "${CIVETWEB_SOURCE_DIR}/include/civetweb.h" civetweb_version_line
  REGEX "define CIVETWEB_VERSION \"")
string(REGEX REPLACE ".*\"([^\"]+)\".*" "\\1" CIVETWEB_SOURCE_VERSION "${civetweb_version_line}")
message(STATUS "civetweb ${CIVETWEB_SOURCE_VERSION}: ${CIVETWEB_SOURCE_DIR}")

find_package(OpenSSL QUIET)
if(NOT TARGET civetweb)
  add_library(civetweb INTERFACE)
  target_include_directories(civetweb SYSTEM INTERFACE
    $<BUILD_INTERFACE:${CIVETWEB_SOURCE_DIR}/include> $<BUILD_INTERFACE:${CIVETWEB_SOURCE_DIR}/src>)
  # No files, no CGI. Sockets are looked at every 200 ms in place of 2 s, so that
  # the server stops soon.
  target_compile_definitions(civetweb INTERFACE USE_IPV6 NO_CGI NO_CACHING NO_FILES
    SOCKET_TIMEOUT_QUANTUM=200)
  if(OPENSSL_FOUND)
    target_compile_definitions(civetweb INTERFACE NO_SSL_DL OPENSSL_API_3_0)
    target_link_libraries(civetweb INTERFACE OpenSSL::SSL OpenSSL::Crypto)
  else()
    message(STATUS "civetweb: no OpenSSL development files, so no TLS")
    target_compile_definitions(civetweb INTERFACE NO_SSL)
  endif()
  target_link_libraries(civetweb INTERFACE ${CMAKE_DL_LIBS})
endif()
set(Civetweb_FOUND TRUE)
