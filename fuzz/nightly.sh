#!/usr/bin/env bash
# A fleet's corpora, once a night: gathers what the machines' campaigns found, makes it small, and gives
# each machine what others have. Machines' folders are mounted, or copied here and back by `rsync -a`.
#
#   fuzz/nightly.sh SHARED MACHINE...
#
# SHARED and each MACHINE are folders with `corpus/` (inputs) and `artifacts/` (programs that diverged);
# what is missing is made. Nothing of a machine is deleted: its campaign makes its corpus small when it
# starts again. SHARED/findings.txt lists a signature a line with its smallest program; those of the file
# SHARED/known.txt are left out. The status is 1 if there is any, as of `vmadiff run`.
#
# VMADIFF is the command, `vmadiff` unless told otherwise; SECONDS_MOST what making small may take.
set -euo pipefail
vmadiff=${VMADIFF:-vmadiff}
[ $# -ge 2 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
for folder in "$@"; do
    [ -d "$folder" ] || { echo "$folder: not found, expected a folder" >&2; exit 2; }
done
shared=$1
shift
mkdir -p "$shared/corpus" "$shared/artifacts"

# Inputs are named by what they hold: what is there is the same.
take() { (cd "$1" && find . -maxdepth 1 -type f -exec cp -n -t "$2" {} +) 2>/dev/null || true; }
count() { find "$1" -type f | wc -l; }

for machine in "$@"; do
    mkdir -p "$machine/corpus" "$machine/artifacts"
    take "$machine/corpus" "$(realpath "$shared/corpus")"
    # Two machines may have given two programs one name.
    for program in "$machine"/artifacts/*.vma; do
        [ -e "$program" ] || continue
        sum=$(sha1sum < "$program" | cut -c -12)
        cp -n "$program" "$shared/artifacts/$(basename "$program" .vma)-$sum.vma" 2>/dev/null || true
    done
done
echo "$shared/corpus: $(count "$shared/corpus") inputs of $# machines"
[ "$(count "$shared/corpus")" != 0 ] || { echo "no machine has an input" >&2; exit 2; }
"$vmadiff" corpus reduce "$shared/corpus" --seconds "${SECONDS_MOST:-3600}"
for machine in "$@"; do
    take "$shared/corpus" "$(realpath "$machine/corpus")"
done

touch "$shared/known.txt"
: > "$shared/findings.txt"
[ "$(count "$shared/artifacts")" = 0 ] && exit 0
# The first comment of an artifact is its signature and what happens.
for program in "$shared"/artifacts/*.vma; do
    signature=$(sed -n '1s/^# \([^ ]*\): .*/\1/p' "$program")
    if [ -z "$signature" ] || grep -q "^$signature\( \|$\)" "$shared/known.txt"; then continue; fi
    echo "$(stat -c %s "$program") $signature $program"
done | sort -k2,2 -k1,1n | awk '$2 != last { print $2, $3; last = $2 }' > "$shared/findings.txt"
cat "$shared/findings.txt"
[ ! -s "$shared/findings.txt" ]
