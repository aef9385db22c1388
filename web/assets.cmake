# Writes OUT, the C table tessera_web_assets, from web/assets.json.
# cmake -DROOT=(source tree) -DMODULE=(.wasm, or empty) -DOUT=(.c) -P assets.cmake
cmake_minimum_required(VERSION 3.25)
file(READ "${ROOT}/web/assets.json" manifest)

# text as a C string literal
function(c_string text result)
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  set(${result} "\"${text}\"" PARENT_SCOPE)
endfunction()

set(headers)
string(JSON last LENGTH "${manifest}" headers)
math(EXPR last "${last} - 1")
foreach(i RANGE ${last})
  string(JSON name MEMBER "${manifest}" headers ${i})
  string(JSON value GET "${manifest}" headers "${name}")
  c_string("${name}: ${value}" line)
  string(REGEX REPLACE "\"$" "\\\\r\\\\n\"" line "${line}")
  string(APPEND headers "  ${line}\n")
endforeach()

set(arrays)
set(rows)
set(count 0)
# One file: its bytes as an array, and its row of the table.
function(add_file url file)
  file(READ "${file}" bytes HEX)
  if(bytes STREQUAL "")
    message(FATAL_ERROR "${file} is empty")
  endif()
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
  string(REGEX MATCH "[^.]*$" ending "${url}")
  string(JSON type GET "${manifest}" types "${ending}")
  c_string("${url}" url)
  c_string("${type}" type)
  set(name "file_${count}")
  math(EXPR count "${count} + 1")
  set(count ${count} PARENT_SCOPE)
  set(arrays "${arrays}/* ${url} */\nstatic const uint8_t ${name}[] = {\n${bytes}};\n\n" PARENT_SCOPE)
  set(rows "${rows}  {${url}, ${type}, ${name}, sizeof ${name}, headers},\n" PARENT_SCOPE)
endfunction()

string(JSON last LENGTH "${manifest}" files)
math(EXPR last "${last} - 1")
foreach(i RANGE ${last})
  string(JSON url MEMBER "${manifest}" files ${i})
  string(JSON file GET "${manifest}" files "${url}")
  add_file("${url}" "${ROOT}/${file}")
endforeach()
if(MODULE)
  string(JSON url GET "${manifest}" module)
  add_file("${url}" "${MODULE}")
endif()

file(WRITE "${OUT}" "/* Written by web/assets.cmake; do not edit. */
#include \"web/assets.h\"

#include <stddef.h>

static const char headers[] =
${headers};

${arrays}const tess_static_file tessera_web_assets[] = {
${rows}  {NULL, NULL, NULL, 0, NULL},
};
")
