# What touches the network. Each third-party header is included by one file.
#   tessera-civetweb  HTTP server on civetweb, which is compiled in
#   tessera-curl      HTTP client transport on libcurl
#   tessera-policy    several endpoints, retries, hedging, in front of a transport

find_package(Civetweb REQUIRED)
add_library(tessera-civetweb-unity OBJECT civetweb_unity.c)
target_include_directories(tessera-civetweb-unity PRIVATE "${PROJECT_SOURCE_DIR}"
  "${CMAKE_CURRENT_SOURCE_DIR}/civetweb")
target_link_libraries(tessera-civetweb-unity PRIVATE $<BUILD_INTERFACE:civetweb>)
# Somebody else's code: without our warnings, and without the thread sanitizer,
# which its stop flag (a plain volatile) would trip.
target_compile_options(tessera-civetweb-unity PRIVATE -w
  $<$<IN_LIST:thread,${TESSERA_SANITIZE}>:-fno-sanitize=thread>)

if(OPENSSL_FOUND)
  set(tls http_server_tls.c tls_options.c)
else()
  set(tls http_server_tls_none.c)
endif()
add_library(tessera-civetweb STATIC ${tls}
  server_civetweb.c http_request_head.c http_server_guard.c http_server_head.c http_server_pages.c http_server_serve.c
  http_server_watch.c $<TARGET_OBJECTS:tessera-civetweb-unity>)
target_include_directories(tessera-civetweb PRIVATE "${PROJECT_SOURCE_DIR}")
target_link_libraries(tessera-civetweb PUBLIC tessera-rpc Threads::Threads
  PRIVATE $<BUILD_INTERFACE:civetweb> $<BUILD_INTERFACE:tessera_warnings>)
if(OPENSSL_FOUND)
  target_link_libraries(tessera-civetweb PUBLIC OpenSSL::SSL OpenSSL::Crypto)
endif()

# A filter in front of any transport; the decisions are pure, the rest is threads.
add_library(tessera-policy STATIC endpoints.c lookup.c policy_call.c resolver_system.c response_peek.c retry.c
  transport_policy.c)
target_include_directories(tessera-policy PRIVATE "${PROJECT_SOURCE_DIR}")
target_link_libraries(tessera-policy PUBLIC tessera-rpc Threads::Threads
  PRIVATE $<BUILD_INTERFACE:tessera_warnings>)

find_package(CURL REQUIRED)
add_library(tessera-curl STATIC curl_request.c transport_curl.c transport_driver.c http_reply_head.c
  tls_options.c)
target_include_directories(tessera-curl PRIVATE "${PROJECT_SOURCE_DIR}")
target_link_libraries(tessera-curl PUBLIC tessera-rpc CURL::libcurl Threads::Threads
  PRIVATE $<BUILD_INTERFACE:tessera_warnings>)
