#!/usr/bin/env bash
# Installs the Debian or Ubuntu packages that Tessera needs and that are missing.
#
#   tools/deps.sh            what building and running needs
#   tools/deps.sh --test     and what the tests need (browsers, sanitizers, ...)
#   tools/deps.sh --bench    and the peers of the benchmarks
#   --dry-run                only print what would be installed
#
# Needs root or sudo only when something is missing. Exit 1: a needed package
# could not be installed.
set -euo pipefail

# Needed, in any case. ca-certificates: sources of nanopb and civetweb (CMake gets
# them from the distribution's archive) may come over https.
build=(build-essential ca-certificates cmake ninja-build pkg-config dpkg-dev
  protobuf-compiler libprotobuf-dev libprotoc-dev
  protobuf-c-compiler libprotobuf-c-dev nanopb
  libcurl4-openssl-dev libyajl-dev libssl-dev libjavascriptcoregtk-4.1-dev
  zlib1g-dev libbrotli-dev libsnappy-dev libzstd-dev
  libopenblas-dev libblis4 wabt clang-19 lld-19 libclang-rt-19-dev-wasm32
  python3-numpy curl)
# --test. nodejs and npm are looked for as commands: they often come from elsewhere.
test=(check git clang-format-19 libclang-rt-19-dev openssl python3-protobuf procps)
# Not in every release (Ubuntu ships browsers as snaps): tests that need one say
# that they skip.
test_wanted=(llvm-19 chromium firefox-esr)
# libcivetweb-dev: the floor that the RPC benchmarks are held against.
bench=(libcivetweb-dev nghttp2-client libgrpc++-dev protobuf-compiler-grpc g++ iproute2 musl-tools)

die() { echo "deps.sh: $1" >&2; exit 1; }

with_test=0 with_bench=0 dry_run=0
for arg in "$@"; do
  case $arg in
    --test) with_test=1 ;;
    --bench) with_bench=1 ;;
    --dry-run) dry_run=1 ;;
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "usage: tools/deps.sh [--test] [--bench] [--dry-run]" >&2; exit 2 ;;
  esac
done

command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
  die "no apt-get here; install these packages' equivalents: ${build[*]}"

installed() {
  [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}
known() {
  [[ $(apt-cache policy "$1" 2>/dev/null) =~ Candidate:\ ([^[:space:]]+) && ${BASH_REMATCH[1]} != "(none)" ]]
}

needed=("${build[@]}") wanted=()
if ((with_test)); then
  needed+=("${test[@]}") wanted+=("${test_wanted[@]}")
  command -v node >/dev/null || needed+=(nodejs)
  command -v npm >/dev/null || needed+=(npm)
fi
if ((with_bench)); then needed+=("${bench[@]}"); fi

missing=() missing_wanted=()
for package in "${needed[@]}"; do installed "$package" || missing+=("$package"); done
for package in "${wanted[@]}"; do installed "$package" || missing_wanted+=("$package"); done
if ((${#missing[@]} + ${#missing_wanted[@]} == 0)); then
  echo "deps.sh: everything is installed"
  exit 0
fi
if ((dry_run)); then
  printf '%s\n' "${missing[@]}" "${missing_wanted[@]}"
  exit 0
fi

sudo=()
if ((EUID != 0)); then
  command -v sudo >/dev/null ||
    die "run as root: apt-get install ${missing[*]} ${missing_wanted[*]}"
  sudo=(sudo)
fi
apt() {
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 \
    -o Acquire::Retries=3 "$@" </dev/null
}

apt update || echo "deps.sh: apt-get update failed; going on with the lists at hand" >&2
unknown=()
for package in "${missing[@]}"; do known "$package" || unknown+=("$package"); done
if ((${#unknown[@]})); then
  . /etc/os-release
  die "${PRETTY_NAME:-this system} has no package ${unknown[*]} (known to work: Debian 12 and 13; Ubuntu 24.04 with universe and updates)"
fi
available=()
for package in "${missing_wanted[@]}"; do
  if known "$package"; then
    available+=("$package")
  else
    echo "deps.sh: no package $package here: the tests that need it will skip" >&2
  fi
done

echo "deps.sh: installing ${missing[*]} ${available[*]}"
apt install -y --no-install-recommends "${missing[@]}" "${available[@]}" ||
  die "apt-get install failed; see above"
