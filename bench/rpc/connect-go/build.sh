#!/usr/bin/env bash
# Builds bench-connect-go. Usage: build.sh ECHO_PROTO OUTPUT WORK_FOLDER
# The plugins and libraries are those that go.mod pins; nothing generated is kept
# in the source tree.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
proto=$(realpath "$1") output=$(realpath -m "$2") work=$(realpath -m "$3")
mkdir -p "$work/bin"
cp "$here"/{go.mod,go.sum,main.go} "$work/"
cd "$work"
GOBIN=$work/bin "${GO:-go}" install tool
PATH=$work/bin:$PATH protoc -I "$(dirname "$proto")" --go_out=. --go_opt=module=tessera/bench \
  --connect-go_out=. --connect-go_opt=module=tessera/bench "$(basename "$proto")"
"${GO:-go}" build -trimpath -o "$output" .
