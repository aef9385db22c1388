#!/usr/bin/env bash
# Builds connect-go's side of the tests: its message code is generated here, by
# plugins that go.sum pins, and is no part of this repository.
#   build.sh FOLDER     leaves FOLDER/interop-go
# Exit code 77: there is no Go, or its modules are out of reach.
set -euo pipefail
source=$(cd "$(dirname "$0")" && pwd)
folder=$(mkdir -p "$1" && cd "$1" && pwd)
go=$("$source/../../../../tools/go.sh") || { echo "SKIPPED: there is no Go"; exit 77; }
cd "$folder"
rm -rf gen
mkdir -p gen
cp "$source"/*.go "$source/go.mod" "$source/go.sum" .
export GOFLAGS="-mod=readonly -buildvcs=false"
"$go" mod download || { echo "SKIPPED: Go's modules cannot be fetched"; exit 77; }
protoc -I "$source/.." --plugin="protoc-gen-go=$("$go" tool -n protoc-gen-go)" \
  --plugin="protoc-gen-connect-go=$("$go" tool -n protoc-gen-connect-go)" \
  --go_out=. --go_opt=module=interop.test --connect-go_out=. --connect-go_opt=module=interop.test \
  interop.proto
"$go" build -o interop-go .
