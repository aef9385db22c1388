#!/usr/bin/env bash
# Prints the path of a Go that the interoperability tests can use (1.24 or later):
# the machine's own, or else one fetched once, by pinned hash, from the Go module
# proxy into build/tools (Debian 12's package is too old). Nothing else is touched.
#
#   tools/go.sh             GOPROXY: the proxy, if not proxy.golang.org
#
# Exit 1, with one line on stderr: there is none and none can be had.
set -euo pipefail
cd "$(dirname "$0")/.."

least=24 # 1.24: what the suite asks for
version=1.26.8
declare -A hashes=(
  [amd64]=30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7
  [arm64]=02b36b6787b3ac767668f630e2998df45a3b1f9ffee08d1bf3ef6487cd658d99
)
fail() { echo "go.sh: $1" >&2; exit 1; }

own=$PWD/build/tools/go$version
for go in "$(command -v go || true)" /usr/local/go/bin/go "$own/bin/go"; do
  [[ -n $go && -x $go ]] || continue
  if [[ $("$go" version 2>/dev/null) =~ go1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= least)); then
    echo "$go"
    exit 0
  fi
done

case $(uname -s)-$(uname -m) in
  Linux-x86_64) machine=amd64 ;;
  Linux-aarch64) machine=arm64 ;;
  *) fail "no Go 1.$least or later, and none is known for this machine: see https://go.dev/dl/" ;;
esac
proxy=${GOPROXY:-https://proxy.golang.org}
proxy=${proxy%%[,|]*}
[[ $proxy == http*://* ]] || proxy=https://proxy.golang.org
module=golang.org/toolchain@v0.0.1-go$version.linux-$machine
mkdir -p build/tools
scratch=$(mktemp -d build/tools/go.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
curl -fsSL --retry 3 --max-time 300 -o "$scratch/go.zip" "${proxy%/}/${module/@//@v/}.zip" ||
  fail "Go $version cannot be fetched from $proxy"
echo "${hashes[$machine]}  $scratch/go.zip" | sha256sum --check --status ||
  fail "what $proxy sent is not Go $version"
python3 -m zipfile -e "$scratch/go.zip" "$scratch/all" || fail "the archive cannot be unpacked"
chmod +x "$scratch/all/$module/bin/"* "$scratch/all/$module/pkg/tool/linux_$machine/"*
rm -rf "$own"
mv "$scratch/all/$module" "$own"
echo "$own/bin/go"
