#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/chaos/run.sh [--count N] [--seed S] [--path cli,native,jsc,wasm2c] [--budget SECONDS]
# Random schedules of what can go wrong, against the programs in build/release/bin
# (or TESSERA_BIN_DIR). tests/chaos/chaos.py tells what must hold.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
export TESSERA_BIN_DIR=${TESSERA_BIN_DIR:-$root/build/release/bin} TESSERA_SOURCE_DIR=$root
export PYTHONDONTWRITEBYTECODE=1
python=/usr/bin/python3 # the distribution's: it has NumPy
[ -x "$python" ] || python=python3
exec "$python" "$root/tests/chaos/chaos.py" "$@"
