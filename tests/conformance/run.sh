#!/usr/bin/env bash
# Runs the official Connect conformance suite against our servers and our clients,
# over HTTP/1.1, and prints the counts.
#
#   tests/conformance/run.sh [server|client|both] [OPTION...] [runner options]
#
#   --preset NAME     which build: release (default), asan, tsan, dev, ...
#   --runtime NAME    protobuf-c, nanopb, wasm (the client inside WebAssembly,
#                     through the Node host) or all (default)
#
# Runner options: -vv, --run PATTERN, ... (connectconformance --help).
# Every case must pass: there is no list of known failures. Up to three that failed run
# once more by themselves, and the log says so: the suite's own servers have races (one
# that sends its headers while it still reads loses the rest of the request, as Go's
# HTTP/1.1 server sees fit). Programs that a sanitizer finds fault with fail at once.
#
# Needs Go (tools/go.sh), which fetches the runner and its protos the first time
# (connectrpc.com/conformance v1.0.5), and Node for wasm. Exit codes: 0 all passed,
# 1 not, 2 wrong usage, 77 the suite cannot be had here.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=v1.0.5
preset=release what=both runtime=all
case ${1:-} in server | client | both) what=$1; shift ;; esac
while (($# > 0)); do
  case $1 in
    --preset) preset=${2:?}; shift 2 ;;
    --runtime) runtime=${2:?}; shift 2 ;;
    *) break ;;
  esac
done
case $runtime in
  protobuf-c | nanopb | wasm | all) ;;
  *) echo "run.sh: no runtime '$runtime' (protobuf-c, nanopb, wasm, all)" >&2; exit 2 ;;
esac

# ---- the suite ----
skip() { echo "conformance: SKIPPED: $1"; exit 77; }
go=$(tools/go.sh) || skip "there is no Go: the lines above say why"
runner=$("$go" env GOPATH)/bin/connectconformance
suite=$("$go" env GOMODCACHE)/connectrpc.com/conformance@$version
# The programs are generated from the protos of the version that runs them.
if [[ ! -d $suite || $("$go" version -m "$runner" 2>/dev/null) != *"connectrpc.com/conformance"*"$version"* ]]; then
  "$go" install "connectrpc.com/conformance/cmd/connectconformance@$version" ||
    skip "the suite cannot be fetched"
fi

# ---- the programs ----
build=build/$preset
mkdir -p "$build"
cmake --preset "$preset" -DTESSERA_BUILD_TESTS=ON "-DTESSERA_CONFORMANCE_PROTO_DIR=$suite/proto" >"$build/conformance.log"
cmake --build "$build" -j "$(nproc)" --target conformance >>"$build/conformance.log" ||
  { tail -n 40 "$build/conformance.log" >&2; exit 1; }

# ---- the runs ----
# The runner compares messages on one core, which takes most of the time: as many runs
# at a time as there are cores. Whatever a sanitizer says goes to files of each run's own,
# because the runner shows a program's stderr only when a case fails.
reports=$PWD/$build/conformance-reports
rm -rf "$reports"
runs=() pids=()
# How many cases may run a second time.
most_again=3
trap '((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true' EXIT
# start_suite MODE-RUNTIME CONFIG OPTION... -- COMMAND...
start_suite() {
  local name=$1 conf=$2
  shift 2
  export ASAN_OPTIONS="log_path=$reports/$name/asan:${ASAN_OPTIONS:-}"
  export UBSAN_OPTIONS="log_path=$reports/$name/ubsan:print_stacktrace=1:${UBSAN_OPTIONS:-}"
  export TSAN_OPTIONS="log_path=$reports/$name/tsan:${TSAN_OPTIONS:-}"
  exec "$runner" --conf "tests/conformance/$conf" --mode "${name%%-*}" "$@"
}
declare -A commands
# run MODE RUNTIME CONFIG COMMAND...: begins one
run() {
  local name=$1-$2 conf=$3
  while (($(jobs -rp | wc -l) >= $(nproc))); do sleep 0.2; done
  echo "== $1, $2"
  runs+=("$1 $2")
  shift 3
  commands[$name]=$(printf '%q ' "$conf" -- "$@")
  mkdir -p "$reports/$name"
  (start_suite "$name" "$conf" "${runner_options[@]}" -- "$@") >"$build/conformance-$name.log" 2>&1 &
  pids+=($!)
}
# again NAME: those of its cases that failed pass, by themselves
again() {
  local log=$build/conformance-$1.log case options=() words
  while IFS= read -r case; do options+=(--run "$case"); done < <(sed -n 's/^FAILED: \(.*\):$/\1/p' "$log" | sort -u)
  ((${#options[@]} > 0)) || return 1
  eval "words=(${commands[$1]})"
  sed -n '/^FAILED: /,$p' "$log"
  echo "== $1: those once more"
  (start_suite "$1" "${words[0]}" "${options[@]}" "${words[@]:1}") >"$log.again" 2>&1 || { tail -n 60 "$log.again"; return 1; }
  tail -n 1 "$log.again"
}
passed=0 failed=0 cases=0 table=()
# count PID MODE RUNTIME: waits for its end
count() {
  local name=$2-$3 log=$build/conformance-$2-$3.log rc=0 good=0 bad=0
  wait "$1" || rc=$?
  if [[ $(tail -n 1 "$log") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
    good=${BASH_REMATCH[1]} bad=${BASH_REMATCH[2]}
  fi
  if ((bad > 0 && bad <= most_again && good > 0)) && ! compgen -G "$reports/$name/*" >/dev/null && again "$name"; then
    rc=0 good=$((good + bad)) bad=0
  fi
  if ((rc == 0 && bad == 0 && good > 0)) && ! compgen -G "$reports/$name/*" >/dev/null; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    tail -n 60 "$log"
    for report in "$reports/$name"/*; do [[ ! -e $report ]] || { echo "-- $report"; head -n 60 "$report"; mv "$report" "$log.$(basename "$report")"; }; done
  fi
  cases=$((cases + good))
  table+=("$(printf '%-7s %-11s %5d passed, %d failed' "$2" "$3" "$good" "$bad")")
}
runner_options=("$@")
wants() { [[ $runtime == all || $runtime == "$1" ]]; }
if [[ $what != client ]]; then
  ! wants protobuf-c || run server protobuf-c config.yaml "$build/bin/conformance-server"
  ! wants nanopb || run server nanopb config.yaml "$build/bin/conformance-server-nanopb"
fi
if [[ $what != server ]]; then
  ! wants protobuf-c || run client protobuf-c config.yaml "$build/bin/conformance-client"
  ! wants nanopb || run client nanopb config.yaml "$build/bin/conformance-client-nanopb"
  # A sanitizer has nothing to watch in a module.
  if wants wasm && [[ $preset != asan && $preset != tsan ]]; then
    if command -v node >/dev/null && [[ -f $build/bin/conformance-client.wasm ]]; then
      run client wasm config-wasm.yaml node tests/conformance/client_wasm.mjs "$build/bin/conformance-client.wasm"
    else
      echo "== client, wasm: left out: needs node, clang and wasm-ld"
    fi
  fi
fi
for i in "${!runs[@]}"; do
  read -r mode name <<<"${runs[i]}"
  count "${pids[i]}" "$mode" "$name"
done
pids=()
printf '%s\n' "${table[@]}"
echo "conformance: $passed runs passed, $failed failed, $cases cases ($preset)"
((failed == 0))
