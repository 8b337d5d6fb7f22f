#!/usr/bin/env bash
# Stands in for OSS-Fuzz where no container runs: builds all targets with the variables that its
# images set, and checks them by the rules of its bad_build_check.
#
#   fuzz/oss-fuzz/check.sh             builds and checks; SANITIZER=address, none or coverage
#   fuzz/oss-fuzz/check.sh --only DIR  checks what DIR holds, as $OUT would
#
# `address` needs a nightly toolchain, as on OSS-Fuzz. What it leaves out: their libFuzzer (the
# one of libfuzzer-sys is linked) and the container's file system.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)

export SANITIZER=${SANITIZER:-address} FUZZING_ENGINE=libfuzzer FUZZING_LANGUAGE=rust
export ARCHITECTURE=x86_64
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Of coverage builds: else every process leaves a file where it runs.
export LLVM_PROFILE_FILE="$work/profiles/%p.profraw"

bad() { echo "BAD BUILD: $*"; broken=1; }

# The image's `cargo`: a coverage build is a plain one, of all binaries.
coverage_cargo() {
    mkdir "$work/bin"
    cat > "$work/bin/cargo" <<EOF
#!/bin/bash -eu
if [ "\$1 \$2" = "fuzz build" ]; then
    cd fuzz
    "$(command -v cargo)" build --bins
    mkdir -p target/x86_64-unknown-linux-gnu/release
    find target/debug -maxdepth 1 -type f -exec cp {} target/x86_64-unknown-linux-gnu/release/ \;
else
    exec "$(command -v cargo)" "\$@"
fi
EOF
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
        address) export RUSTUP_TOOLCHAIN=nightly; flags="$flags -Zsanitizer=address" ;;
        coverage) flags="$flags -Cinstrument-coverage"; coverage_cargo ;;
        none) ;;
        *) echo "SANITIZER is $SANITIZER, expected address, none or coverage"; exit 2 ;;
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
    said=$(cd "$work/cwd" && "$target" -seed=1337 -runs=4 2>&1) || true
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

check_seeds() {
    local target=$1 said
    local options=(-runs=0 -rss_limit_mb=2560 -timeout=25 "-dict=$target.dict")
    mkdir "$work/seeds"
    unzip -q "${target}_seed_corpus.zip" -d "$work/seeds" || bad "$target has no seeds"
    said=$("$target" "${options[@]}" "$work/seeds" 2>&1) ||
        bad "$target fails on its seeds: $(tail -n 5 <<<"$said")"
    echo "$(basename "$target"): $(find "$work/seeds" -type f | wc -l) seeds, $(
        grep -oP 'cov: \d+ ft: \d+' <<<"$said" | tail -n 1 | sed 's/$/, /')$(
        grep -oP 'rss: \d+Mb' <<<"$said" | tail -n 1)"
    rm -rf "$work/seeds"
}

check() {
    local target found=0
    broken=0
    for target in "$1"/*; do
        if [ ! -x "$target" ] || [ -d "$target" ]; then continue; fi
        found=$((found + 1))
        [[ $(basename "$target") =~ ^[A-Za-z0-9_-]+$ ]] || bad "$target: not a name of a target"
        check_instrumentation "$target"
        check_start "$target"
        check_seeds "$target"
    done
    [ "$found" -gt 0 ] || bad "$1 holds no target"
    [ "$broken" = 0 ] || exit 1
    echo "$found targets well, SANITIZER=$SANITIZER"
}

if [ "${1:-}" = --only ]; then
    check "$(cd "$2" && pwd)"
else
    mkdir "$work/out"
    build "$work/out"
    check "$work/out"
fi
