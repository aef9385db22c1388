#!/usr/bin/env bash
# connect-go's client against our server, and our client against connect-go's.
#   connect-go.sh BIN_DIR FOLDER     builds its program in FOLDER first (go/build.sh)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/go/build.sh" "$2"
"$here/pair.sh" "$1/interop-server" -- "$2/interop-go" client "{url}"
"$here/pair.sh" "$2/interop-go" server -- "$1/interop-client" "{url}" --no-bidi --no-text
