# Options, warnings, sanitizers and output folders, for every target of this project.

option(TESSERA_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(TESSERA_BUILD_BENCH "Build the benchmarks" OFF)
option(TESSERA_BUILD_FUZZ "Build libFuzzer targets (clang only)" OFF)
option(TESSERA_WERROR "Warnings are errors" OFF)
set(TESSERA_SANITIZE "" CACHE STRING "Sanitizers: address;undefined or thread")

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")
include(GNUInstallDirs)

# Our own code is held to these; generated code and libraries are not
# (target_link_libraries(x PRIVATE tessera_warnings)).
add_library(tessera_warnings INTERFACE)
target_compile_options(tessera_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith
  -Wcast-qual -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wimplicit-fallthrough
  $<$<BOOL:${TESSERA_WERROR}>:-Werror>)

# POSIX names (clock_gettime, sigaction, ...) under -std=c11, everywhere.
add_compile_definitions(_POSIX_C_SOURCE=200809L _DEFAULT_SOURCE)

foreach(sanitizer IN LISTS TESSERA_SANITIZE)
  add_compile_options(-fsanitize=${sanitizer} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${sanitizer})
endforeach()
if("undefined" IN_LIST TESSERA_SANITIZE)
  add_compile_options(-fno-sanitize-recover=undefined)
endif()
