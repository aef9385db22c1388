#!/bin/sh
# What README.md and docs/adding-a-service.md show, taken as it stands there, built
# against an installed Tessera and run.
#
#   tests/package/readme.sh BUILD_DIR SOURCE_DIR
set -eu
build=$1 source=$2
name=readme
. "$(dirname "$0")/installed.sh"

# block FILE NAME: the code block below the line "`NAME`:".
block() {
  awk -v head="\`$2\`:" '
    $0 == head { found = 1 }
    found && /^```/ { if (inside) exit; inside = 1; next }
    inside' "$1"
}
# fence FILE LANGUAGE N: the Nth code block in that language.
fence() {
  awk -v head="\`\`\`$2" -v n="$3" '
    inside && /^```/ { exit }
    inside
    !inside && other && /^```$/ { other = 0; next }
    !inside && !other && /^```/ { if ($0 == head && ++count == n) inside = 1; else other = 1 }' "$1"
}

# ---- the service of README.md ----
mkdir "$work/say"
for file in say.proto server.c CMakeLists.txt; do
  block "$source/README.md" "$file" >"$work/say/$file"
  [ -s "$work/say/$file" ] || fail "README.md has no block $file"
done
sed -i 's/127\.0\.0\.1:9000/127.0.0.1:0/' "$work/say/server.c"
cmake -S "$work/say" -B "$work/say/build" -DCMAKE_PREFIX_PATH="$prefix" >"$work/cmake.log" 2>&1 ||
  { cat "$work/cmake.log"; fail "configure"; }
! grep -q Warning "$work/cmake.log" || { cat "$work/cmake.log"; fail "README.md's CMakeLists.txt warns"; }
cmake --build "$work/say/build" >"$work/build.log" 2>&1 || { cat "$work/build.log"; fail "build"; }
start stdbuf -oL "$work/say/build/server"
say() { curl -sS -m 10 -H 'Content-Type: application/json' -d "$1" "$url/demo.v1.SayService/Say"; }
got=$(say '{"text": "hello"}')
[ "$got" = '{"text":"hello"}' ] || fail "to hello it says '$got'"
got=$(say '{}')
[ "$got" = '{"code":"invalid_argument","message":"say something"}' ] || fail "to nothing it says '$got'"
echo "ok: README.md's service"

# ---- docs/adding-a-service.md: schema and build of examples/echo, by CMake and by hand ----
guide=$source/docs/adding-a-service.md
mkdir -p "$work/echo/echo/v1" "$work/echo/gen"
fence "$guide" proto 1 >"$work/echo/echo/v1/echo.proto"
fence "$guide" "" 1 >"$work/echo/echo/v1/echo.options"
fence "$guide" cmake 1 >"$work/echo/CMakeLists.txt"
fence "$guide" sh 1 >"$work/echo/by_hand.sh"
cp "$source"/examples/echo/*.c "$work/echo/"
cmake -S "$work/echo" -B "$work/echo/build" -DCMAKE_PREFIX_PATH="$prefix" >"$work/cmake.log" 2>&1 ||
  { cat "$work/cmake.log"; fail "configure, docs/adding-a-service.md"; }
cmake --build "$work/echo/build" >"$work/build.log" 2>&1 ||
  { cat "$work/build.log"; fail "build, docs/adding-a-service.md"; }
(cd "$work/echo" && PATH="$prefix/bin:$PATH" sh -e by_hand.sh) ||
  fail "protoc and pkg-config by hand, docs/adding-a-service.md"
echo "ok: docs/adding-a-service.md's build"

# Its other pieces are parts of functions: they compile where they belong.
{
  for header in client client_certificates compressors health http_server json reflection transport_curl; do
    echo "#include <tessera/$header.h>"
  done
  printf '#include <stdio.h>\n#include <stdlib.h>\n#include "echo/v1/echo.rpc.pb-c.h"\n'
  echo 'void in_a_server(tess_server *server), in_a_client(void);'
  fence "$guide" c 1 | sed '/^static const/,$d'
  fence "$guide" c 5
  fence "$guide" c 7
  printf 'void in_a_server(tess_server *server) {\ntess_status status = TESS_STATUS_INIT;\n'
  fence "$guide" c 2 | grep -v '^\.'
  fence "$guide" c 3
  fence "$guide" c 9
  printf 'tess_http_server_options options = {\n'
  fence "$guide" c 2 | grep '^\.'
  printf '};\n(void)health, (void)options;\n{\n'
  fence "$guide" c 1 | sed -n '/^static const/,$p'
  printf '(void)http;\n}\n}\nvoid in_a_client(void) {\ntess_status status = TESS_STATUS_INIT;\n'
  fence "$guide" c 4
  printf '{\n'
  fence "$guide" c 6
  printf '}\n{\nconst tess_method *method = &echo_v1_echo_service_methods_pb_c[0];\n'
  fence "$guide" c 8
  printf '}\n'
  fence "$guide" c 10
  printf '}\n'
} >"$work/echo/pieces.c"
# shellcheck disable=SC2046
cc -std=c11 -Wall -Wextra -Wno-shadow -Wno-unused-parameter \
  -Wno-unused-function -Werror -c -o "$work/pieces.o" "$work/echo/pieces.c" -I"$work/echo/gen" \
  $(pkg-config --cflags tessera-curl tessera-services tessera-civetweb tessera-json tessera-protobuf-c) ||
  { cat -n "$work/echo/pieces.c"; fail "pieces of docs/adding-a-service.md do not compile"; }
echo "ok: docs/adding-a-service.md's pieces"
echo "readme: ok"
