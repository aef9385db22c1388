#!/bin/sh
# Installs Tessera below a temporary prefix, builds examples/echo against it with
# CMake, and one program with pkg-config alone; runs them against each other.
#
#   tests/package/echo.sh BUILD_DIR SOURCE_DIR
set -eu
build=$1 source=$2
name=package
. "$(dirname "$0")/installed.sh"
expect() { # WHAT GOT WANTED
  [ "$2" = "$3" ] || fail "$1: got '$2', not '$3'"
  echo "ok: $1"
}

# A copy, so that nothing of the source tree is found by chance.
cp -R "$source/examples/echo" "$work/echo"
cmake -S "$work/echo" -B "$work/build" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" >"$work/cmake.log" 2>&1 ||
  { cat "$work/cmake.log"; fail "configure"; }
cmake --build "$work/build" -j 2 >"$work/build.log" 2>&1 || { cat "$work/build.log"; fail "build"; }
! grep -rqF "$source/" "$prefix/lib" --include='*.cmake' --include='*.pc' ||
  fail "installed files name the source tree"

start "$work/build/echo-server" 127.0.0.1:0

expect "protobuf-c client" "$("$work/build/echo-client" "$url" hello)" "hello"
expect "nanopb client" "$("$work/build/echo-client-nanopb" "$url" "hello, too")" "hello, too"
if command -v curl >/dev/null; then
  expect "curl, JSON" "$(curl -sS -m 10 -H 'Content-Type: application/json' -d '{"text":"json"}' \
    "$url/echo.v1.EchoService/Echo")" '{"text":"json"}'
  expect "curl, GET" "$(curl -sS -m 10 -G --data-urlencode 'message={"text":"get"}' -d 'encoding=json' \
    -d 'connect=v1' "$url/echo.v1.EchoService/Echo")" '{"text":"get"}'
fi
if [ -x "$build/bin/tessera" ]; then
  expect "tessera call asks for the schema" \
    "$("$build/bin/tessera" call "$url/echo.v1.EchoService/Echo" '{"text":"found"}')" '{"text":"found"}'
  expect "health" \
    "$("$build/bin/tessera" call "$url/grpc.health.v1.Health/Check" '{"service":"echo.v1.EchoService"}')" \
    '{"status":"SERVING"}'
fi
if "$work/build/echo-client" http://127.0.0.1:1 nobody >/dev/null 2>"$work/err"; then
  fail "a client without a server succeeds"
fi
grep -q unavailable "$work/err" || fail "a client without a server says: $(cat "$work/err")"

# The same client without CMake.
gen=$work/build/echo-messages.gen
# shellcheck disable=SC2046
"${CC:-cc}" -std=c11 -o "$work/client" "$source/examples/echo/client.c" -I"$gen" \
  "$gen/echo/v1/echo.pb-c.c" "$gen/echo/v1/echo.rpc.pb-c.c" "$gen/echo/v1/echo.schema.c" \
  $(pkg-config --cflags --libs tessera-curl tessera-protobuf-c)
expect "pkg-config client" "$("$work/client" "$url" again)" "again"

# A client needs no descriptors, and the linker may drop them ("proto3" stands in one).
# shellcheck disable=SC2046
"${CC:-cc}" -std=c11 -o "$work/small" "$source/examples/echo/client.c" -I"$gen" \
  "$work/build/libecho-messages.a" -Wl,--gc-sections $(pkg-config --cflags --libs tessera-curl tessera-protobuf-c)
expect "small client" "$("$work/small" "$url" less)" "less"
grep -q proto3 "$work/build/echo-server" || fail "the server carries no descriptors"
! grep -q proto3 "$work/small" || fail "the small client carries descriptors"

kill -TERM "$server"
wait "$server" || fail "the server ends with $?"
server=
echo "package: ok"
