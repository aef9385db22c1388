#!/bin/sh
# `buf lint` and `buf format` over proto/.
# buf comes from npm (@bufbuild/buf), a pinned version; it is kept in npm's cache.
set -eu
cd "$(dirname "$0")/../.."
command -v npx >/dev/null || { echo "buf.sh: npx is missing: run tools/deps.sh --test" >&2; exit 1; }
buf() { npx --yes --package "@bufbuild/buf@1.75.0" buf "$@"; }

buf lint proto
buf format --diff --exit-code proto
echo "buf.sh: proto/ is clean"
