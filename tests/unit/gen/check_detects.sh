#!/bin/sh
# tools/protoc-gen.sh --check: passes on the tree, and fails when a generated file
# was edited, is missing, or is one too many.
set -eu
cd "$(dirname "$0")/../../.."
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
fail() { echo "check_detects: $1" >&2; exit 1; }

tools/protoc-gen.sh --check || fail "--check fails on the tree"

# The files of our own plugin are compared whatever else is installed.
edited=rpc/tessera/matmul/v1/matmul.rpc.pb.c
cp -R gen/rpc gen/nanopb gen/protobuf-c "$copy"
tools/protoc-gen.sh --check --out "$copy" >/dev/null || fail "--check fails on a copy"

echo "/* edited */" >>"$copy/$edited"
if out=$(tools/protoc-gen.sh --check --out "$copy" 2>&1); then fail "an edit goes unseen"; fi
case $out in *"$edited"*) ;; *) fail "the edited file is not named: $out" ;; esac
cp "gen/$edited" "$copy/$edited"

rm "$copy/$edited"
if tools/protoc-gen.sh --check --out "$copy" >/dev/null 2>&1; then fail "a missing file goes unseen"; fi
cp "gen/$edited" "$copy/$edited"

echo >"$copy/rpc/extra.c"
if tools/protoc-gen.sh --check --out "$copy" >/dev/null 2>&1; then fail "an extra file goes unseen"; fi
rm "$copy/rpc/extra.c"

# And what is written is what was compared.
tools/protoc-gen.sh --out "$copy/new" >/dev/null
diff -r gen/rpc "$copy/new/rpc" || fail "a new folder differs"
[ -z "$(find "$copy/new" -name '.protoc-gen*')" ] || fail "scratch folders are left behind"

tools/protoc-gen.sh --no-such-flag >/dev/null 2>&1 && fail "an unknown flag passes"
[ $? -eq 2 ] || fail "an unknown flag is no usage error"
echo "check_detects: ok"
