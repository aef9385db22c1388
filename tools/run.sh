#!/usr/bin/env bash
# The whole way on this machine: installs what is missing, builds, starts two
# workers and the server, multiplies two matrices from NumPy's files over the
# wire, holds the answer against NumPy's own, and prints the address of the page.
#
#   tools/run.sh          leaves everything running
#   tools/run.sh --once   ends it again; exit 0: the product was right, else 1
#   tools/run.sh --stop   ends what an earlier run left running
#   TESSERA_SKIP_DEPS=1   do not touch the system's packages
#
# Logs, process ids and the matrices: build/run/.
set -uo pipefail
cd "$(dirname "$0")/.."

bin=$PWD/build/release/bin
run_dir=$PWD/build/run
pid_file=$run_dir/pids
started=() # process ids of this run
keep=0     # 1: all is well and stays

usage() { sed -n '2,12s/^# \{0,1\}//p' "$0"; }
say() { printf '== %s\n' "$*"; }
die() { printf 'run.sh: %s\n' "$*" >&2; exit 1; }

# ---- processes ----

# Is this pid still one of our programs? Pids are used again.
ours() { [[ $(readlink "/proc/$1/exe" 2>/dev/null) == "$bin"/* ]]; }

# end_all PID...: politely, then not.
end_all() {
  local pid
  for pid in "$@"; do ours "$pid" && kill "$pid" 2>/dev/null; done
  for _ in $(seq 100); do
    local left=0
    for pid in "$@"; do ours "$pid" && left=1; done
    ((left)) || return 0
    sleep 0.1
  done
  for pid in "$@"; do ours "$pid" && kill -9 "$pid" 2>/dev/null; done
}

end_earlier() {
  [[ -s $pid_file ]] || return 0
  local pids
  mapfile -t pids <"$pid_file"
  end_all "${pids[@]}"
  rm -f "$pid_file"
}

cleanup() {
  local rc=$?
  trap '' INT TERM
  if ((!keep && ${#started[@]})); then
    end_all "${started[@]}"
    rm -f "$pid_file"
  fi
  exit "$rc"
}

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# start NAME PORT PROGRAM ARGUMENT...: sets url. The port, or any where it is taken.
start() {
  local name=$1 port=$2 log=$run_dir/$1.log pid
  shift 2
  for port in "$port" 0; do
    if [[ $port != 0 ]] && taken "$port"; then continue; fi
    env -u OPENBLAS_CORETYPE setsid "$bin/$1" --listen "127.0.0.1:$port" "${@:2}" \
      >"$log" 2>&1 </dev/null &
    pid=$!
    disown "$pid"
    started+=("$pid")
    printf '%s\n' "$pid" >>"$pid_file"
    for _ in $(seq 300); do
      url=$(sed -n 's/^listening on //p' "$log" 2>/dev/null | head -n 1)
      [[ -n $url ]] && return 0
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.05
    done
    end_all "$pid"
  done
  tail -n 5 "$log" >&2
  die "$name did not start; see $log"
}

# ---- steps ----

# quietly WHAT LOG COMMAND...: its output goes to the log, its end to the screen
# when it fails.
quietly() {
  local what=$1 log=$run_dir/$2 from=$SECONDS
  shift 2
  say "$what (log: ${log#"$PWD"/})"
  if ! "$@" >"$log" 2>&1 </dev/null; then
    tail -n 25 "$log" >&2
    die "$what: failed after $((SECONDS - from)) s"
  fi
}

build() {
  local tests=OFF # the unit tests need a library that running does not
  pkg-config --exists check && tests=ON
  cmake --preset release -DTESSERA_BUILD_TESTS=$tests &&
    cmake --build --preset release --target tessera-worker tessera-server tessera
}

make_matrices() {
  timeout 60 /usr/bin/python3 - "$run_dir" <<'PYTHON'
import sys
import numpy as np
rng = np.random.default_rng()
for name, shape in (("A", (1024, 1536)), ("B", (1536, 1280))):
    np.save(f"{sys.argv[1]}/{name}.npy", rng.standard_normal(shape, dtype="float32"))
PYTHON
}

# |computed - exact| <= gamma(k + 3) |A| |B| for every element (Higham, Accuracy
# and Stability of Numerical Algorithms, 3.5); NumPy multiplies in float64.
check_product() {
  timeout 120 /usr/bin/python3 - "$run_dir" <<'PYTHON'
import sys
import numpy as np
a, b, c = (np.load(f"{sys.argv[1]}/{name}.npy") for name in "ABC")
wide_a, wide_b = a.astype("float64"), b.astype("float64")
expected = wide_a @ wide_b
terms = (a.shape[1] + 3) * 2.0 ** -24
bound = terms / (1 - terms) * (abs(wide_a) @ abs(wide_b))
if c.dtype != np.float32 or c.shape != expected.shape:
    sys.exit(f"C is {c.shape} of {c.dtype}, not {expected.shape} of float32")
share = float(np.max(abs(c - expected) / bound))
if not share <= 1:
    sys.exit(f"an element is off by {share:.1f} times its bound")
print(f"C is NumPy's product: the largest difference is {share:.4f} of its bound")
PYTHON
}

once=0
case ${1-} in
  "") ;;
  --once) once=1 ;;
  --stop) end_earlier; say "stopped"; exit 0 ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac
[[ $# -le 1 ]] || { usage >&2; exit 2; }

mkdir -p "$run_dir" || die "cannot write to $run_dir"
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

[[ -n ${TESSERA_SKIP_DEPS:-} ]] || quietly "installing missing packages" deps.log tools/deps.sh
quietly "building" build.log build
end_earlier

say "starting two workers and the server"
start worker1 8081 tessera-worker && worker1=$url
start worker2 8082 tessera-worker && worker2=$url
start server 8080 tessera-server --worker "$worker1" --worker "$worker2" --mode proxy && server=$url
printf '   %s\n' "worker $worker1" "worker $worker2" "server $server"

say "multiplying two NumPy files over the wire"
rm -f "$run_dir"/[ABC].npy
make_matrices || die "NumPy could not write the matrices"
timeout 120 "$bin/tessera" multiply "$run_dir/A.npy" "$run_dir/B.npy" -o "$run_dir/C.npy" \
  --server "$server" || die "the product failed; see $run_dir/server.log"
check_product || die "the product is wrong"

if ((once)); then
  say "done; everything is ended again"
  exit 0
fi
keep=1
say "running; the page is at $server/"
printf '   %s\n' "again:  build/release/bin/tessera multiply A.npy B.npy -o C.npy --server $server" \
  "stop:   tools/run.sh --stop"
