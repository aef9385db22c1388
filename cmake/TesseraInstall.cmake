# What others get: `cmake --install` puts the RPC library, its headers, the
# plugins of protoc and the package files below the prefix. With them
#
#   find_package(tessera)             targets tessera::rpc, tessera::civetweb, ...
#                                     and tessera_generate()
#   pkg-config tessera-civetweb ...   the same libraries without CMake
#
# This project uses the same names for its own targets.
include(CMakePackageConfigHelpers)
find_package(OpenSSL QUIET)  # as cmake/FindCivetweb.cmake does, in another scope

set(TESSERA_PACKAGE_LIBRARIES rpc protobuf-c nanopb json services zlib brotli zstd snappy pool policy civetweb curl)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/tessera")

foreach(name IN LISTS TESSERA_PACKAGE_LIBRARIES)
  if(NOT TARGET tessera-${name})
    continue()
  endif()
  add_library(tessera::${name} ALIAS tessera-${name})
  set_target_properties(tessera-${name} PROPERTIES EXPORT_NAME ${name})
  install(TARGETS tessera-${name} EXPORT tessera-targets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
endforeach()
foreach(name IN ITEMS protoc-gen-tessera protoc-gen-c-messages)
  install(TARGETS ${name} EXPORT tessera-targets RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endforeach()
foreach(name IN ITEMS tessera tessera-worker tessera-server)
  if(TARGET ${name})
    install(TARGETS ${name} RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
  endif()
endforeach()

install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/tessera" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING PATTERN "*.h")
# nanopb's headers go where no other nanopb is looked for: ours has wide sizes.
foreach(header IN ITEMS pb.h pb_common.h pb_decode.h pb_encode.h)
  install(FILES "${NANOPB_SOURCE_DIR}/${header}"
    DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/tessera/nanopb")
endforeach()

# ---- CMake ----
install(EXPORT tessera-targets NAMESPACE tessera:: DESTINATION "${package_dir}")
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/tessera-config.cmake.in"
  "${PROJECT_BINARY_DIR}/package/tessera-config.cmake" INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/package/tessera-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/package/tessera-config.cmake"
  "${PROJECT_BINARY_DIR}/package/tessera-config-version.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/TesseraGenerate.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/FindProtobufC.cmake"
  DESTINATION "${package_dir}")

# ---- pkg-config ----
# The libraries are static: what they need is always linked, so it stands in
# Requires and Libs, not in the .private lines.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
  BASE_DIRECTORY "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" OUTPUT_VARIABLE PC_TO_PREFIX)
function(tess_pkg_config name description)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "REQUIRES;LIBS;CFLAGS")
  if(NOT TARGET tessera-${name})
    return()
  endif()
  set(PC_NAME "tessera-${name}")
  set(PC_DESCRIPTION "${description}")
  string(JOIN " " PC_REQUIRES ${arg_REQUIRES})
  string(JOIN " " PC_LIBS ${arg_LIBS})
  string(JOIN " " PC_CFLAGS ${arg_CFLAGS})
  configure_file("${PROJECT_SOURCE_DIR}/cmake/tessera.pc.in"
    "${PROJECT_BINARY_DIR}/package/tessera-${name}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/package/tessera-${name}.pc"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endfunction()

set(nanopb_flags ${NANOPB_DEFINITIONS})
list(TRANSFORM nanopb_flags PREPEND "-D")
set(civetweb_requires tessera-rpc)
if(OPENSSL_FOUND)
  list(APPEND civetweb_requires openssl)
endif()
tess_pkg_config(rpc "Protobuf RPC for C over HTTP/1.1: the core" LIBS -pthread)
tess_pkg_config(protobuf-c "Tessera with messages of protobuf-c" REQUIRES tessera-rpc libprotobuf-c)
tess_pkg_config(nanopb "Tessera with messages of nanopb" REQUIRES tessera-rpc
  CFLAGS "-I\${includedir}/tessera/nanopb" ${nanopb_flags})
tess_pkg_config(json "Tessera's JSON codec" REQUIRES tessera-rpc yajl LIBS -lm)
tess_pkg_config(services "Tessera's health and reflection services" REQUIRES tessera-rpc)
tess_pkg_config(zlib "Tessera's gzip and deflate compression" REQUIRES tessera-rpc zlib)
tess_pkg_config(brotli "Tessera's br compression" REQUIRES tessera-rpc libbrotlienc libbrotlidec)
tess_pkg_config(zstd "Tessera's zstd compression" REQUIRES tessera-rpc libzstd)
tess_pkg_config(snappy "Tessera's snappy compression" REQUIRES tessera-rpc LIBS -lsnappy)
tess_pkg_config(pool "Tessera's warm allocator" REQUIRES tessera-rpc LIBS -pthread)
tess_pkg_config(civetweb "Tessera's HTTP server" REQUIRES ${civetweb_requires} LIBS -pthread -ldl)
tess_pkg_config(policy "Tessera's client policy: endpoints, retries, hedging" REQUIRES tessera-rpc LIBS -pthread)
tess_pkg_config(curl "Tessera's HTTP client transport" REQUIRES tessera-rpc libcurl LIBS -pthread)
