#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs what Tessera's products are measured against, each as its own users
# get it, and builds the programs of this folder against it.
#
#   bench/product/peers/install.sh             all of them
#   bench/product/peers/install.sh grpc ggml   these alone
#
#   grpc       Debian packages
#   scalapack  Debian packages (with Open MPI)
#   dask, ray  PyPI, in a virtual environment; versions in requirements.txt
#   ggml       source, at a pinned commit: CPU, BLAS (OpenBLAS) and RPC backends
#   cosma      source, COSTA and COSMA at pinned commits, on OpenBLAS and Open MPI
#
# All goes to build/bench/peers (or $PEERS_DIR): src/, prefix/, venv/, bin/, and
# a file status/NAME that says 'ok VERSION' or why not: bench/run.py shows that.
# A commit's hash pins its source; git reads url.*.insteadOf as ever, for those
# who keep mirrors. Exit 1: one of those asked for could not be installed.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
dir=${PEERS_DIR:-$root/build/bench/peers}
jobs=${JOBS:-$(nproc)}
all=(grpc scalapack dask ray ggml cosma)

ggml_url=https://github.com/ggml-org/ggml.git
ggml_commit=d99724f2b141fed9e1a9f402213506c081433465
costa_url=https://github.com/eth-cscs/COSTA.git
costa_commit=2484769535772f807d402901ffca63bb6678dd42 # v2.3.0, as COSMA 2.8.4 wants it
cosma_url=https://github.com/eth-cscs/COSMA.git
cosma_commit=2df0432ce9b2863c556bb634f7b2c7d1f5b6fc1e # v2.8.4

case ${1-} in -h | --help) sed -n '4,21s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
names=("$@")
((${#names[@]})) || names=("${all[@]}")
for name in "${names[@]}"; do
  [[ " ${all[*]} " == *" $name "* ]] || { echo "install.sh: no peer $name; there are: ${all[*]}" >&2; exit 2; }
done
mkdir -p "$dir"/{src,prefix,log,status,bin}

# fail REASON: for status/NAME.
fail() {
  echo "$1" >"$dir/reason"
  return 1
}

# Debian's packages; root or sudo only where one is missing.
packages() {
  local missing=() package sudo=()
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  ((EUID == 0)) || sudo=(sudo -n)
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}" </dev/null ||
    fail "these packages could not be installed: ${missing[*]}"
}

# checkout NAME URL COMMIT: src/NAME at that commit, which is the pin.
checkout() {
  local to=$dir/src/$1
  [[ -d $to/.git ]] || git init -q "$to" || return 1
  if [[ $(git -C "$to" rev-parse -q --verify HEAD 2>/dev/null) != "$3" ]]; then
    timeout 300 git -C "$to" fetch -q --depth 1 "$2" "$3" && git -C "$to" checkout -q --detach "$3" ||
      fail "$2 at $3 could not be fetched" || return 1
  fi
  [[ $(git -C "$to" rev-parse HEAD) == "$3" ]] || fail "$2 is not at $3"
}

# build NAME [CMAKE OPTION...]: src/NAME into prefix/.
build() {
  local name=$1
  shift
  cmake -S "$dir/src/$name" -B "$dir/build/$name" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_PREFIX_PATH="$dir/prefix" -DCMAKE_INSTALL_PREFIX="$dir/prefix" -DCMAKE_INSTALL_LIBDIR=lib "$@" &&
    cmake --build "$dir/build/$name" -j "$jobs" && cmake --install "$dir/build/$name" >/dev/null ||
    fail "$name did not build: see $dir/log"
}

# The programs of this folder that need PEER.
programs() {
  cmake -S "$here" -B "$dir/build/programs-$1" -G Ninja -DCMAKE_BUILD_TYPE=Release -DPEER="$1" \
    -DCMAKE_PREFIX_PATH="$dir/prefix" -DCMAKE_RUNTIME_OUTPUT_DIRECTORY="$dir/bin" &&
    cmake --build "$dir/build/programs-$1" -j "$jobs" ||
    fail "the programs of bench/product/peers did not build with $1: see $dir/log"
}

venv() {
  packages python3-venv || return 1
  [[ -x $dir/venv/bin/python ]] || /usr/bin/python3 -m venv "$dir/venv" || fail "python3 -m venv failed" || return 1
  "$dir/venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt" ||
    fail "pip could not install bench/product/peers/requirements.txt"
}

version() { dpkg-query -W -f '${Version}' "$1"; }

install_grpc() {
  packages libgrpc++-dev protobuf-compiler-grpc libopenblas-dev && programs grpc &&
    echo "gRPC C++ $(version libgrpc++-dev), Debian" >"$dir/version"
}

install_scalapack() {
  packages libscalapack-openmpi-dev openmpi-bin libopenmpi-dev libopenblas-dev && programs scalapack &&
    echo "ScaLAPACK $(version libscalapack-openmpi-dev), Open MPI $(version openmpi-bin), Debian" >"$dir/version"
}

install_dask() {
  venv && "$dir/venv/bin/python" -c 'import dask, distributed, numpy
print("Dask", dask.__version__ + ", distributed", distributed.__version__ + ", NumPy", numpy.__version__)' >"$dir/version"
}

install_ray() {
  venv && "$dir/venv/bin/python" -c 'import ray, numpy
print("Ray", ray.__version__ + ", NumPy", numpy.__version__)' >"$dir/version"
}

install_ggml() {
  packages libopenblas-dev && checkout ggml "$ggml_url" "$ggml_commit" &&
    build ggml -DGGML_BLAS=ON -DGGML_BLAS_VENDOR=OpenBLAS -DGGML_RPC=ON -DGGML_RPC_RDMA=OFF -DBUILD_SHARED_LIBS=OFF \
      -DGGML_BUILD_TESTS=OFF -DGGML_BUILD_EXAMPLES=OFF &&
    programs ggml && echo "ggml ${ggml_commit:0:8}, OpenBLAS" >"$dir/version"
}

install_cosma() {
  packages openmpi-bin libopenmpi-dev libopenblas-dev && checkout costa "$costa_url" "$costa_commit" &&
    checkout cosma "$cosma_url" "$cosma_commit" &&
    build costa -DCOSTA_SCALAPACK=OFF -DCOSTA_WITH_TESTS=OFF -DCOSTA_WITH_APPS=OFF -DCOSTA_WITH_BENCHMARKS=OFF &&
    build cosma -DCOSMA_BLAS=OPENBLAS -DCOSMA_SCALAPACK=OFF -DCOSMA_WITH_TESTS=OFF -DCOSMA_WITH_APPS=OFF \
      -DCOSMA_WITH_BENCHMARKS=OFF &&
    programs cosma && echo "COSMA ${cosma_commit:0:8} (2.8.4), COSTA ${costa_commit:0:8} (2.3.0)" >"$dir/version"
}

bad=0
for name in "${names[@]}"; do
  echo "install.sh: $name ..."
  rm -f "$dir/reason" "$dir/version"
  if "install_$name" >"$dir/log/$name" 2>&1; then
    echo "ok $(cat "$dir/version")" >"$dir/status/$name"
  else
    echo "no $(cat "$dir/reason" 2>/dev/null || echo "failed: see $dir/log/$name")" >"$dir/status/$name"
    tail -n 5 "$dir/log/$name" >&2
    bad=1
  fi
  echo "install.sh: $name: $(cat "$dir/status/$name")"
done
exit "$bad"
