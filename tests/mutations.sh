#!/usr/bin/env bash
# Breaks the code on purpose, one breakage of tests/mutations.txt at a time, in a copy, and prints
# a table: caught, and by which tests, or NOT CAUGHT. Needs bash, tar and cargo.
#
#   tests/mutations.sh [PATTERN]           only breakages whose title contains PATTERN
#   tests/mutations.sh --seeds [PATTERN]   only breakages of the engine and of the host's runner, and
#                                          only the seeds of the scripted actors that every change
#                                          is simulated with: what do these catch?
#
# MUTATIONS_DIR is where the copy and its target directory lie; kept, so that a second run is quick.
# Ends with 1 if a breakage is not caught or does not apply, with 2 if nothing could be tried.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
seeds=''
if [[ ${1:-} == --seeds ]]; then
  seeds='-p sexton-sim --test seeds'
  shift
fi
only=${1:-}
place=${MUTATIONS_DIR:-$(mktemp -d)}
copy=$place/workspace
export CARGO_TARGET_DIR=$place/target CARGO_TERM_COLOR=never RUST_BACKTRACE=0
failures=0
tried=0

mkdir -p "$copy" "$CARGO_TARGET_DIR"
# With new times, so that nothing of an earlier run counts as built.
tar -C "$root" --exclude=./target --exclude=./.git -cf - . | tar -C "$copy" -xmf -
if [[ -n $seeds ]]; then
  # Building takes longer than running: our own packages are not optimised here.
  sed -i '/^\[profile\.dev\.package\.sexton-/,+1d' "$copy/Cargo.toml"
fi

# Core's own tests, behaviour and crashes, unless a breakage names others in a `test:` line.
usual='-p sexton-core -p sexton-tests --lib'
usual+=' --test lifecycle --test outputs --test endings --test sweeping --test crash'

# What to test and for how many seconds at most: a hang is a failure, too.
run_tests() {
  # shellcheck disable=SC2086  # words on purpose
  timeout "$2" cargo test --manifest-path "$copy/Cargo.toml" --no-fail-fast $1
}

build() {
  # shellcheck disable=SC2086  # words on purpose
  cargo test --quiet --manifest-path "$copy/Cargo.toml" --no-run $1
}

# One breakage: title, file, what to find, what to put there, what to test.
try() {
  local title=$1 file=$copy/$2 find=$3 with=$4 tests=$5 before out rest rc
  [[ $title == *"$only"* ]] || return 0
  if [[ -n $seeds ]]; then
    [[ $2 == crates/sexton-core/src/* || $2 == crates/sexton/src/* ]] || return 0
    # Neither the check of lifecycles nor the layer on threads is what a seed runs.
    [[ $2 != */coverage/* && $2 != */arbiter.rs ]] || return 0
    tests=$seeds
  fi
  tried=$((tried + 1))
  before=$(cat "$file"; printf x); before=${before%x}
  rest=${before/"$find"/}
  if [[ ${#rest} != $((${#before} - ${#find})) || $rest == *"$find"* ]]; then
    printf '| %s | DOES NOT APPLY: not there once | |\n' "$title"
    failures=$((failures + 1))
    return 0
  fi
  printf '%s' "${before/"$find"/"$with"}" >"$file"
  out=$place/out
  if ! build "$tests" >"$out" 2>&1; then
    printf '| %s | DOES NOT COMPILE | |\n' "$title"
    failures=$((failures + 1))
    printf '%s' "$before" >"$file"
    return 0
  fi
  rc=0
  run_tests "$tests" 120 >"$out" 2>&1 || rc=$?
  if [[ $rc == 0 ]]; then
    printf '| %s | **NOT CAUGHT** | |\n' "$title"
    failures=$((failures + 1))
  else
    rest=$(sed -n 's/^test \(.*\) \.\.\. FAILED$/`\1`/p' "$out" | head -4 | paste -sd, | sed 's/,/, /g')
    # 124: what `timeout` ends with. Anything else without a failed test took the process down.
    [[ $rc == 124 ]] && rest="${rest:+$rest, }hangs for 120 s"
    printf '| %s | caught | %s |\n' "$title" "${rest:-takes the process down}"
  fi
  printf '%s' "$before" >"$file"
}

first=${seeds:-$usual}
if ! { build "$first" && run_tests "$first" 600; } >"$place/out" 2>&1; then
  tail -30 "$place/out" >&2
  echo 'the tests fail without any breakage' >&2
  exit 2
fi

echo '| breakage | | by |'
echo '|---|---|---|'
title='' file='' find='' tests=$usual
while IFS= read -r line || [[ -n $line ]]; do
  case $line in
    '== '*) title=${line#== } tests=$usual ;;
    'test: '*) tests=${line#test: } ;;
    'file: '*) file=${line#file: } ;;
    'find: '*) find=${line#find: } ;;
    'with:'*) line=${line#with:}; try "$title" "$file" "$find" "${line# }" "$tests" ;;
  esac
done <"$copy/tests/mutations.txt"
if [[ $tried == 0 ]]; then
  printf 'no breakage has `%s` in its title\n' "$only" >&2
  exit 2
fi
exit $((failures > 0))
