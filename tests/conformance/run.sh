#!/usr/bin/env bash
# Runs the official Connect conformance suite against our server and our client,
# over HTTP/1.1, and prints the counts.
#
#   tests/conformance/run.sh [server|client|both] [runner options, e.g. -vv, --run PATTERN]
#
# Needs Go, which fetches the runner and its protos the first time
# (connectrpc.com/conformance v1.0.5). BUILD_DIR: default build/release.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=v1.0.5
build=${BUILD_DIR:-build/release}
what=both
case ${1:-} in server | client | both) what=$1; shift ;; esac

go=$(command -v go || echo /usr/local/go/bin/go)
[[ -x $go ]] || { echo "run.sh: Go is missing" >&2; exit 2; }
runner=$("$go" env GOPATH)/bin/connectconformance
if [[ ! -x $runner || ! -d $("$go" env GOMODCACHE)/connectrpc.com/conformance@$version ]]; then
  "$go" install connectrpc.com/conformance/cmd/connectconformance@$version
fi
if [[ ! -x $build/bin/conformance-client ]]; then
  cmake --preset "$(basename "$build")"
  cmake --build "$build" -j "$(nproc)" --target conformance-server conformance-client
fi

failed=0
run() {
  echo "== $1"
  "$runner" --conf tests/conformance/config.yaml --mode "$1" "${@:3}" -- "$build/bin/$2" || failed=1
}
[[ $what == client ]] || run server conformance-server "$@"
[[ $what == server ]] || run client conformance-client "$@"
exit $failed
