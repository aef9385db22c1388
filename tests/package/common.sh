# What the tests of packages share; sourced, with a name for errors in $name. Leaves
# $work, a folder that goes at the end. A server that is running is in $server, and ends
# with the script.
work=$(mktemp -d)
server=
cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  [ -z "$server" ] || wait "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP
fail() { echo "$name: $1" >&2; exit 1; }

# start COMMAND...: a server in the background; $url is where it says that it listens.
start() {
  : >"$work/server.out" # the background process may come to it later than sed
  "$@" >"$work/server.out" &
  server=$!
  url=
  tries=0
  while [ -z "$url" ]; do
    tries=$((tries + 1))
    [ "$tries" -le 100 ] || fail "the server does not start"
    url=$(sed -n 's/^listening on //p' "$work/server.out")
    [ -n "$url" ] || sleep 0.1
  done
}
