#!/bin/bash -eu
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

# Builds all targets into $OUT, each with its seeds, its dictionary and its options, as OSS-Fuzz and
# ClusterFuzzLite ask for it. `check.sh` beside it does the same where no container runs.

cd "$SRC/vmadiff"
. fuzz/oss-fuzz/toolchain
export RUSTUP_TOOLCHAIN="${VMADIFF_TOOLCHAIN:-$channel}"

# The sanitizer is in RUSTFLAGS already. Optimized, with debug assertions and checks for overflows, as
# `cargo fuzz run` builds. Under SANITIZER=coverage the image's `cargo` makes of this a plain
# `cargo build --bins` in fuzz/, without them.
features=()
if [ "$SANITIZER" = address ]; then features=(--features asan); fi
cargo fuzz build -O --debug-assertions --sanitizer none "${features[@]}"

# Seeds are made of the programs that are kept as text: a minute's work, which needs neither sanitizer
# nor all optimizations.
seeds="$WORK/seeds"
rm -rf "$seeds" "$WORK"/*.zip
env -u RUSTFLAGS cargo run --locked --target-dir "$WORK/vmadiff" \
    --no-default-features --features command -- corpus seeds corpus -o "$seeds"
(cd "$seeds" && zip -q -r "$WORK/bytes.zip" .)
# The parsers' targets take the texts and the logs as they are.
zip -q -r "$WORK/text.zip" corpus -i '*.vma'
zip -q -j "$WORK/strace.zip" tests/data/*.strace

for target in $(cargo fuzz list); do
    cp "fuzz/target/x86_64-unknown-linux-gnu/release/$target" "$OUT/"
    case "$target" in
        text | strace) seeds=$target options=text ;;
        *) seeds=bytes options=vmadiff ;;
    esac
    cp "$WORK/$seeds.zip" "$OUT/${target}_seed_corpus.zip"
    cp "fuzz/oss-fuzz/$options.dict" "$OUT/$target.dict"
    cp "fuzz/oss-fuzz/$options.options" "$OUT/$target.options"
    # Signatures of open bugs, a line each: the target passes over them.
    cp fuzz/oss-fuzz/vmadiff.known "$OUT/$target.known"
done
