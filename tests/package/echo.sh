#!/bin/sh
# Installs Tessera below a temporary prefix, builds examples/echo against it with
# CMake, and one program with pkg-config alone; runs them against each other.
#
#   tests/package/echo.sh BUILD_DIR SOURCE_DIR
set -eu
build=$1 source=$2
work=$(mktemp -d)
server=
cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  [ -z "$server" ] || wait "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP
fail() { echo "package: $1" >&2; exit 1; }
expect() { # WHAT GOT WANTED
  [ "$2" = "$3" ] || fail "$1: got '$2', not '$3'"
  echo "ok: $1"
}

prefix=$work/prefix
cmake --install "$build" --prefix "$prefix" >"$work/install.log" || { cat "$work/install.log"; fail install; }

# A copy, so that nothing of the source tree is found by chance.
cp -R "$source/examples/echo" "$work/echo"
cmake -S "$work/echo" -B "$work/build" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" >"$work/cmake.log" 2>&1 ||
  { cat "$work/cmake.log"; fail "configure"; }
cmake --build "$work/build" -j 2 >"$work/build.log" 2>&1 || { cat "$work/build.log"; fail "build"; }
! grep -rqF "$source/" "$prefix/lib" --include='*.cmake' --include='*.pc' ||
  fail "installed files name the source tree"

"$work/build/echo-server" 127.0.0.1:0 >"$work/server.out" &
server=$!
url=
tries=0
while [ -z "$url" ]; do
  tries=$((tries + 1))
  [ "$tries" -le 100 ] || fail "the server does not start"
  url=$(sed -n 's/^listening on //p' "$work/server.out")
  [ -n "$url" ] || sleep 0.1
done

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
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
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
