#!/usr/bin/env bash
# A BLAS that the environment slows down: the worker measures it and says so.
#   environment.sh TESSERA_WORKER
set -eu
worker=$1 pid=
dir=$(mktemp -d)
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$dir"' EXIT
speed() { env -u BLIS_ARCH_TYPE "$@" "$worker" --measure --threads 1 --kernel openblas |
  awk '/^float32 square/ { print $4 }'; }
"$worker" --version | grep -q openblas || { echo "no OpenBLAS in this build"; exit 77; }
if env -u BLIS_ARCH_TYPE "$worker" --measure --threads 1 --kernel blis 2>/dev/null | grep -q blis; then
  if BLIS_ARCH_TYPE=-7 "$worker" --listen 127.0.0.1:0 2>"$dir/err"; then exit 1; fi
  grep -qx 'tessera-worker: BLIS_ARCH_TYPE=-7: a BLAS of this machine ends the program with that; unset it' "$dir/err"
fi
fast=$(speed -u OPENBLAS_CORETYPE)
slow=$(speed OPENBLAS_CORETYPE=Prescott)
echo "openblas: $fast Gflop/s, $slow as Prescott"
awk -v a="$fast" -v b="$slow" 'BEGIN { exit !(a > 1.6 * b) }' ||
  { echo "Prescott's code is not slow here"; exit 77; }
start() { # VARIABLES...: starts a worker, waits until it listens
  : >"$dir/out"
  env "$@" "$worker" --listen 127.0.0.1:0 --threads 1 --kernel openblas >"$dir/out" 2>"$dir/err" &
  pid=$!
  for _ in $(seq 200); do grep -q listening "$dir/out" && return; sleep 0.1; done
  echo "the worker did not start"; exit 1
}
describe() {
  url=$(sed -n 's/^listening on //p' "$dir/out")
  curl -sS --max-time 10 -H 'content-type: application/json' -d '{}' \
    "$url/tessera.matmul.v1.MatmulService/Describe"
}
start OPENBLAS_CORETYPE=Prescott
grep 'OPENBLAS_CORETYPE=Prescott slows this machine down' "$dir/err"
describe | grep -q 'OPENBLAS_CORETYPE=Prescott slows'
kill "$pid"; wait "$pid"
start -u OPENBLAS_CORETYPE -u BLIS_ARCH_TYPE
[ ! -s "$dir/err" ]
describe | grep -q '"gflops":[1-9]'
kill "$pid"; wait "$pid"
