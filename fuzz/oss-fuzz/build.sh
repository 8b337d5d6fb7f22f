#!/bin/bash -eu
# Builds all targets into $OUT, each with its seeds, its dictionary and its options, as OSS-Fuzz and
# ClusterFuzzLite ask for it. `check.sh` beside it does the same where no container runs.

cd "$SRC/vmadiff"

# The sanitizer is in RUSTFLAGS already. Under SANITIZER=coverage the image's `cargo` makes of this
# a plain `cargo build --bins` in fuzz/.
features=()
if [ "$SANITIZER" = address ]; then features=(--features asan); fi
cargo fuzz build -O --sanitizer none "${features[@]}"

# Seeds are made of the programs that are kept as text; no sanitizer needs to watch that.
seeds="$WORK/seeds"
rm -rf "$seeds" "$WORK"/*.zip
env -u RUSTFLAGS cargo run --release --locked --target-dir "$WORK/vmadiff" \
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
done
