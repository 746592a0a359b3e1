#!/usr/bin/env bash
# What cargo runs instead of the compiler for our own packages (RUSTC_WORKSPACE_WRAPPER): the same
# with libFuzzer's counters in it. What we depend on is built as ever, and once.
set -euo pipefail
case " $* " in
  *' --crate-name build_script_'*) exec "$@" ;;
  *' --crate-name ___ '*) exec "$@" --cfg fuzzing ;;
esac
options=(--cfg fuzzing -Cpasses=sancov-module)
for option in level=4 inline-8bit-counters pc-table trace-compares; do
  options+=("-Cllvm-args=-sanitizer-coverage-$option")
done
exec "$@" "${options[@]}"
