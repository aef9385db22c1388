#!/usr/bin/env bash
# buf curl, the Connect project's own command, against worker and server: Connect
# and gRPC-Web over HTTP/1.1, unary, a stream, and an error; with our schemas, and
# with what the peers tell at /descriptors.binpb.
#   buf-curl.sh BIN_DIR
set -euo pipefail
bin=$1
cd "$(dirname "$0")/../../.."
scratch=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait; rm -rf "$scratch"' EXIT

# start NAME COMMAND...: sets url
start() {
  local log=$scratch/$1
  shift
  : >"$log" # the background process may come to it later than sed
  "$@" >"$log" 2>&1 &
  pids+=($!)
  for _ in $(seq 200); do
    url=$(sed -n 's/^listening on //p' "$log")
    [[ -z $url ]] || return 0
    sleep 0.05
  done
  echo "buf-curl.sh: $1 does not start" >&2
  cat "$log" >&2
  exit 1
}
# Looked up once: npx takes a second each time.
buf_path=$(timeout 60 npx --yes --package "@bufbuild/buf@1.75.0" -c 'command -v buf')
buf() { timeout 60 "$buf_path" "$@"; }
checks=0
# check WHAT TEXT: the last output holds it
check() {
  checks=$((checks + 1))
  grep -qF -- "$2" "$scratch/out" || { echo "buf-curl.sh: $1: no '$2' in:" >&2; cat "$scratch/out" >&2; exit 1; }
}
call() { buf curl --schema proto "$@" >"$scratch/out" 2>&1; }

one='"rows": 1, "cols": 2, "dtype": "DTYPE_FLOAT64"'
request="{\"a\": {$one, \"values\": [1, 2]}, \"b\": {\"rows\": 2, \"cols\": 1, \"dtype\": \"DTYPE_FLOAT64\", \"values\": [3, 4]}}"
start worker "$bin/tessera-worker" --listen 127.0.0.1:0
worker=$url
start server "$bin/tessera-server" --listen 127.0.0.1:0 --worker "$worker" --mode proxy
server=$url
service=tessera.matmul.v1.MatmulService

for peer in "$worker" "$server"; do
  for protocol in connect grpcweb; do
    call --protocol $protocol -d "$request" "$peer/$service/Multiply"
    check "$protocol to $peer" '"rows": 1'
    call --protocol $protocol "$peer/$service/Describe"
    check "$protocol to $peer" '"version": "0.1.0"'
    call --protocol $protocol -d "$request" "$peer/$service/MultiplyTiles"
    check "$protocol stream from $peer" '"cols": 1'
    if call --protocol $protocol -d '{}' "$peer/$service/Multiply"; then
      echo "buf-curl.sh: a request without matrices was accepted" >&2
      exit 1
    fi
    check "$protocol error of $peer" 'invalid_argument'
  done
done
# The schema from the peer itself. (Reflection of buf curl needs HTTP/2.)
for peer in "$worker" "$server"; do
  for protocol in connect grpcweb; do
    buf curl --schema "$peer/descriptors.binpb" --protocol $protocol -d "$request" \
      "$peer/$service/Multiply" >"$scratch/out" 2>&1
    check "$protocol to $peer by its own descriptors" '"rows": 1'
  done
  buf curl --schema "$peer/descriptors.binpb" --list-methods >"$scratch/out" 2>&1
  check "methods of $peer" "$service/Multiply"
  check "methods of $peer" 'grpc.reflection.v1.ServerReflection/ServerReflectionInfo'
  buf curl --schema "$peer/descriptors.binpb" "$peer/grpc.health.v1.Health/Check" >"$scratch/out" 2>&1
  check "health of $peer" 'SERVING'
done
# 1 * 3 + 2 * 4 as a float64
call -d "$request" "$worker/$service/Multiply"
check product '11'
echo "buf-curl.sh: $checks checks passed"
