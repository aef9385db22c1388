#!/usr/bin/env bash
# Starts a server, waits for its line "listening on URL", and runs a client.
#   pair.sh SERVER... -- CLIENT...     "{url}" in the client's words is the URL
# The client's exit code; 1: the server did not start, or ended by itself or with
# an error (a sanitizer's findings are that).
set -euo pipefail
server=()
while [[ $1 != -- ]]; do server+=("$1"); shift; done
shift
scratch=$(mktemp -d)
mkfifo "$scratch/stdin"
: >"$scratch/log" # the background process may come to it later than sed
"${server[@]}" <"$scratch/stdin" >"$scratch/log" 2>&1 &
pid=$!
exec 3>"$scratch/stdin" # servers of other languages run until their stdin ends
trap 'kill -9 $pid 2>/dev/null || true; rm -rf "$scratch"' EXIT
url=
for _ in $(seq 600); do
  url=$(sed -n 's/^listening on //p' "$scratch/log")
  [[ -z $url ]] && kill -0 $pid 2>/dev/null || break
  sleep 0.05
done
[[ -n $url ]] || { echo "pair.sh: ${server[0]} does not start:"; cat "$scratch/log"; exit 1; }
rc=0
"${@//\{url\}/$url}" 3>&- || rc=$?
kill $pid 2>/dev/null || { echo "pair.sh: ${server[0]} ended by itself:"; cat "$scratch/log"; exit 1; }
server_rc=0
wait $pid || server_rc=$?
# 143: a program that leaves SIGTERM to the system.
if ((server_rc != 0 && server_rc != 143)); then
  echo "pair.sh: ${server[0]} ended with $server_rc:"
  cat "$scratch/log"
  exit 1
fi
exit $rc
