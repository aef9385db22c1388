#!/usr/bin/env bash
# Every C file of ours is formatted as .clang-format says. --fix formats them.
set -euo pipefail
cd "$(dirname "$0")/../.."
mode=(--dry-run -Werror)
[[ ${1:-} == --fix ]] && mode=(-i)
git ls-files '*.c' '*.h' '*.cc' ':!gen/*' | xargs -r clang-format-19 "${mode[@]}"
