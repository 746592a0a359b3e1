#!/usr/bin/env bash
# Gives every target of tests/fuzz to libFuzzer, and prints what each came to. Needs cargo, the
# registry and a C++ compiler; neither nightly nor cargo-fuzz.
#
#   tests/fuzz.sh [SECONDS]             all targets, so many seconds in all (60 if none are named)
#   tests/fuzz.sh SECONDS TARGET...     only these
#
# FUZZ_DIR is where the build, the inputs that were found and the crashes lie; kept, so that the
# next run goes on. FUZZ_BUILD_SECONDS bounds the build (1200 if none are named). FUZZ_SEED is where
# chance begins (1).
# Ends with 1 if a target panics, hangs for 20 seconds or takes 2 GiB: the input is named, and the
# command that repeats it.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true
target_dir=${CARGO_TARGET_DIR:-target}
place=${FUZZ_DIR:-$target_dir/libfuzzer}
mkdir -p "$place"
place=$(cd "$place" && pwd)
export CARGO_TERM_COLOR=never

skip() {
  echo "SKIPPED: $1; the same targets ran as properties (cargo nextest run -p sexton-fuzz)"
  exit 0
}

"${CXX:-c++}" --version >"$place/build.log" 2>&1 || skip 'no C++ compiler for libFuzzer'
timeout 120 cargo fetch --locked >"$place/build.log" 2>&1 ||
  skip "the registry does not give libFuzzer's crate (see $place/build.log)"

built=0
RUSTC_WORKSPACE_WRAPPER=$PWD/tests/fuzz/instrument.sh timeout "${FUZZ_BUILD_SECONDS:-1200}" \
  cargo build --locked --package sexton-fuzz --bin sexton-fuzz >"$place/build.log" 2>&1 || built=$?
if [ "$built" = 124 ]; then skip "not built within ${FUZZ_BUILD_SECONDS:-1200} seconds"; fi
if [ "$built" != 0 ]; then
  tail -40 "$place/build.log" >&2
  echo 'the fuzz targets do not build' >&2
  exit 1
fi
# Where it was built the next build of the program without libFuzzer will lie.
program=$place/sexton-fuzz
cp "$target_dir/debug/sexton-fuzz" "$program"

# Each target has a directory of inputs; there is none without.
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
  for corpus in tests/fuzz/corpus/*/; do targets+=("$(basename "$corpus")"); done
fi
each=$((seconds / ${#targets[@]}))
if [ "$each" -lt 1 ]; then each=1; fi

# Stores are made on every execution: in memory, where there is such a place.
rooms=${TMPDIR:-/tmp}
if [ -w /dev/shm ]; then rooms=/dev/shm; fi
room=$(mktemp -d "$rooms/sexton-fuzz.XXXXXX")
trap 'rm -rf "$room"' EXIT
mkdir -p "$place/crashes"

failures=0
stat() { sed -n "s/^stat::$1: *//p" "$place/$2.log" | tail -1; }
printf '%-12s %10s %8s %14s %8s\n' target executions '/s' coverage inputs
for name in "${targets[@]}"; do
  found=$place/inputs/$name log=$place/$name.log status=0
  mkdir -p "$found"
  SEXTON_FUZZ=$name TMPDIR=$room timeout -k 5 $((each + 60)) "$program" "$found" \
    "tests/fuzz/corpus/$name" -seed="${FUZZ_SEED:-1}" -max_total_time="$each" -max_len=4096 -timeout=20 \
    -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$place/crashes/$name-" \
    >"$log" 2>&1 || status=$?
  edges=$(sed -n 's/^INFO: Loaded 1 modules *(\([0-9]*\) .*/\1/p' "$log")
  covered=$(grep -o 'cov: [0-9]*' "$log" | tail -1 | cut -d' ' -f2 || true)
  printf '%-12s %10s %8s %14s %8s\n' "$name" "$(stat number_of_executed_units "$name")" \
    "$(stat average_exec_per_sec "$name")" "${covered:-?} of ${edges:-?}" \
    "$(find "$found" -type f | wc -l)"
  rm -rf "${room:?}"/*
  # Ended by its bound while it still read its inputs: nothing was wrong with any of them.
  if [ "$status" = 0 ] || [ "$status" = 124 ]; then continue; fi
  failures=$((failures + 1))
  crash=$(sed -n 's/^.*Test unit written to //p' "$log" | tail -1)
  echo "-- $name failed:" >&2
  # What it says up to libFuzzer's own first line about it.
  grep -v -e '^#' -e '^INFO:' -e '^WARNING:' -e 'NEW_FUNC' -e '^$' "$log" |
    sed '/^==[0-9]*==/q' | head -60 | cut -c1-2000 >&2
  echo "-- the input is ${crash:-not there: see $log}; to repeat it:" >&2
  echo "   cargo run --package sexton-fuzz -- $name ${crash:-FILE}" >&2
done
exit $((failures > 0))
