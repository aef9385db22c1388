#!/usr/bin/env bash
# Installs what the tests need, builds everything, runs every test.
#
#   tools/test.sh                 all stages
#   tools/test.sh STAGE...        only these: see STAGES below
#   TESSERA_SKIP_DEPS=1           do not touch the system's packages
#   TESSERA_MAY_SKIP='NAME...'    these tests or stages may be skipped here, too
#
# Logs: build/test-logs/STAGE.log. The last line counts what passed and failed. What was
# skipped is shown, and has failed, unless tests/may-skip.txt lists it: what some machines
# cannot do. What can be had everywhere (Go, Node, npm's packages) may not be missing.
set -uo pipefail
cd "$(dirname "$0")/.."

STAGES=(deps generated format release lint conformance asan conformance-asan tsan conformance-tsan)
jobs=$(nproc)
logs=$PWD/build/test-logs
mkdir -p "$logs"
passed=0 failed=0 failures=() skipped=() unwelcome=()

read -ra may_skip <<<"$(sed -n 's/^\([^# ][^ ]*\) .*/\1/p' tests/may-skip.txt | tr '\n' ' ') ${TESSERA_MAY_SKIP:-}"

# skip STAGE NAME WHY: false where it may not be skipped
skip() {
  skipped+=("$1: $2${3:+: $3}")
  [[ " ${may_skip[*]} " == *" $2 "* ]] && return 0
  unwelcome+=("$2")
  return 1
}

# run NAME COMMAND...: one stage; its output goes to its log, the end of it to
# the screen when it fails. A ctest summary in the log counts test by test, the
# conformance suite run by run, anything else as one test. Exit code 77 with a line
# "...: SKIPPED: why", and what ctest skipped: it cannot be done here; it is shown, and
# counts neither way where it may be skipped, else as failed.
run() {
  local name=$1 log=$logs/$1.log start=$SECONDS rc=0 summary
  shift
  printf '== %-16s ' "$name"
  "$@" >"$log" 2>&1 </dev/null || rc=$?
  summary=$(grep -E '^[0-9]+% tests passed, [0-9]+ tests? failed out of [0-9]+' "$log" | tail -1)
  if [[ $summary =~ passed,\ ([0-9]+)\ tests?\ failed\ out\ of\ ([0-9]+) ]]; then
    local bad=${BASH_REMATCH[1]} all=${BASH_REMATCH[2]} left_out
    mapfile -t left_out < <(sed -n '/^The following tests did not run:/,/^$/s/^[[:space:]]*[0-9]* - \(.*\) (Skipped)$/\1/p' "$log")
    local good=$((all - bad - ${#left_out[@]})) hidden=0
    # A test that failed, and was left out when it ran again, has failed.
    if ((${#left_out[@]} > 0)); then
      hidden=$(grep -E '\*\*\*(Failed|Timeout|Exception)' "$log" | grep -cFf <(printf ': %s \n' "${left_out[@]}")) || true
      ((hidden == 0)) || rc=1
      bad=$((bad + hidden))
    fi
    printf '%d of %d tests passed' "$good" "$all"
    ((${#left_out[@]} == 0)) || printf ', %d SKIPPED' "${#left_out[@]}"
    for test in "${left_out[@]}"; do skip "$name" "$test" || bad=$((bad + 1)) rc=1; done
    passed=$((passed + good)) failed=$((failed + bad))
    if ((rc != 0 && bad == 0)); then failed=$((failed + 1)) bad=1; fi
    ((bad == 0)) || failures+=("$name")
  elif [[ $(tail -n 1 "$log") =~ ^conformance:\ ([0-9]+)\ runs\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ cases ]]; then
    passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
    printf '%s' "${BASH_REMATCH[0]#conformance: }"
    ((rc == 0)) || failures+=("$name")
  elif ((rc == 77)); then
    rc=0
    printf 'SKIPPED'
    skip "$name" "$name" "$(sed -n 's/.*SKIPPED: //p' "$log" | tail -n 1)" ||
      { rc=1 failed=$((failed + 1)); failures+=("$name"); }
  elif ((rc == 0)); then
    passed=$((passed + 1))
    printf 'ok'
  else
    failed=$((failed + 1)) failures+=("$name")
    printf 'FAILED (exit %d)' "$rc"
  fi
  printf ' (%d s)\n' $((SECONDS - start))
  if ((rc != 0)); then
    if [[ -n $summary ]]; then
      sed -n '/^The following tests FAILED/,$p' "$log" | head -n 40
      ctest_failures "$log" | sed 's/^/   | /'
    else
      tail -n 60 "$log" | sed 's/^/   | /'
    fi
    echo "   whole log: $log"
  fi
  return "$rc"
}

# ctest_failures LOG: what each test that failed printed, the end of it, try by try.
ctest_failures() {
  awk '
    function show(  i) {
      if (bad) for (i = lines > 50 ? lines - 49 : 1; i <= lines; i++) print line[i]
      bad = lines = 0
    }
    /^ *Start +[0-9]+: / || /^[0-9]+% tests passed/ || /^ *([0-9]+\/[0-9]+ )?Test +#[0-9]+: / { show() }
    /\*\*\*(Failed|Timeout|Exception)/ { bad = 1 }
    { line[++lines] = $0 }
    END { show() }' "$1" | tail -n 400
}

build() { cmake --preset "$1" "${@:2}" && cmake --build --preset "$1" -j "$jobs"; }

# Two places a core; tests/CMakeLists.txt says how many each test takes.
# Tests of real processes may meet a busy machine: they get a second try, and the
# log tells of the first.
ctest_all() {
  local dir=build/$1
  shift
  ctest --test-dir "$dir" --output-on-failure --no-tests=error --repeat until-pass:2 -j $((2 * jobs)) "$@"
}

stage_deps() { [[ -n ${TESSERA_SKIP_DEPS:-} ]] || tools/deps.sh --test; }
stage_generated() { tools/protoc-gen.sh --check; }
stage_format() { tests/lint/format.sh; }
stage_lint() { tests/lint/buf.sh; }
stage_release() { build release -DTESSERA_WERROR=ON -DTESSERA_BUILD_TESTS=ON && ctest_all release; }
stage_conformance() { tests/conformance/run.sh; }
stage_conformance-asan() { tests/conformance/run.sh --preset asan; }
stage_conformance-tsan() { tests/conformance/run.sh --preset tsan; }
# What a sanitizer cannot watch (browsers, Node, a JIT) is left to the release build, and
# so is what differs by the engine alone and takes minutes: sanitizers see it with one.
# The sanitizers' builds are clang's: with -Werror they show its warnings as well.
stage_asan() { build asan -DTESSERA_WERROR=ON && ctest_all asan -LE 'browser|node|jit|npm|package|slow|sim' -E "$by_engine"; }
stage_tsan() { build tsan && ctest_all tsan -LE 'browser|node|jit|npm|package|slow|sim|fuzz' -E "$by_engine|$one_thread"; }
# Nothing to race with: one thread in one process.
one_thread='^(wasm/|matmul_(kernel|plan|decimal|verify|schedule|npy)|test_(json|limits|arena|codecs_agree)|json_against_python|gen_)'
by_engine='^e2e_(losses|blocks_server|workers)_wasm2c$'

# The environment may carry settings for other programs' BLAS; keep them.
stages=("$@")
[[ ${#stages[@]} -gt 0 ]] || stages=("${STAGES[@]}")
for stage in "${stages[@]}"; do
  declare -F "stage_$stage" >/dev/null || { echo "test.sh: no stage '$stage' (${STAGES[*]})" >&2; exit 2; }
done
for stage in "${stages[@]}"; do
  run "$stage" "stage_$stage" || [[ $stage != deps ]] || break
done
for skip in "${skipped[@]}"; do echo "SKIPPED: $skip"; done
if ((${#unwelcome[@]} > 0)); then echo "not to be skipped (tests/may-skip.txt): ${unwelcome[*]}"; fi
if ((failed > 0)); then echo "failed: ${failures[*]}"; fi
echo "$passed passed, $failed failed"
((failed == 0))
