#!/bin/sh
# Builds examples/echo-wasm as another project would (Tessera as a subdirectory),
# and calls the service inside the module, in Node, with literal bytes.
#
#   tests/package/echo_wasm.sh SOURCE_DIR NANOPB_DIR CIVETWEB_DIR
#
# Exit 77: Node, curl or clang for wasm32 is missing.
set -eu
source=$1 nanopb=$2 civetweb=$3
for tool in node curl; do
  command -v "$tool" >/dev/null || { echo "echo_wasm: no $tool: skipped"; exit 77; }
done
name=echo_wasm
. "$(dirname "$0")/common.sh"

cp -R "$source/examples" "$work/examples"
cmake -S "$work/examples/echo-wasm" -B "$work/build" -G Ninja -DTESSERA_DIR="$source" \
  -DNANOPB_SOURCE_DIR="$nanopb" -DCIVETWEB_SOURCE_DIR="$civetweb" >"$work/cmake.log" 2>&1 ||
  { cat "$work/cmake.log"; fail "configure"; }
cmake --build "$work/build" -j 2 >"$work/build.log" 2>&1 || { cat "$work/build.log"; fail "build"; }

call() { # MODULE
  start node "$source/wasm/js/node-server.mjs" --listen 127.0.0.1:0 --module "$1"
  # EchoRequest{text: "hello"}; the answer has the same shape.
  printf '\012\005hello' >"$work/request"
  curl -sS -m 10 -f -H 'Content-Type: application/proto' --data-binary "@$work/request" \
    -o "$work/reply" "$url/echo.v1.EchoService/Echo" || fail "the call fails"
  cmp "$work/request" "$work/reply" || fail "the answer is another"
  # The module's own services are there as before.
  curl -sS -m 10 -f -H 'Content-Type: application/proto' --data-binary '' -o "$work/describe" \
    "$url/tessera.matmul.v1.MatmulService/Describe" || fail "Describe fails"
  [ -s "$work/describe" ] || fail "Describe says nothing"
  kill "$server"
  wait "$server" || true
  server=
}
for module in echo-module.wasm echo-module-scalar.wasm; do
  call "$work/build/$module"
  echo "ok: $module"
done
