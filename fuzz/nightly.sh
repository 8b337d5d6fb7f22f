#!/usr/bin/env bash
# A fleet's corpora, once a night: gathers what the machines' campaigns found, makes it small, and gives
# each machine what others have. Machines' folders are mounted, or copied here and back by `rsync -a`.
#
#   fuzz/nightly.sh SHARED MACHINE...
#
# SHARED and each MACHINE are folders with `corpus/` (inputs) and `artifacts/` (programs that diverged);
# what is missing is made. Nothing of a machine is deleted: its campaign makes its corpus small when it
# starts again. SHARED/findings.txt lists a signature a line with its smallest program; those of the file
# SHARED/known.txt, which is read as `--known` is, are left out. The status is 1 if there is any, as of
# `vmadiff run`; 3 if a harness had failed on a machine, or something could not be copied, written or made
# small, which is named and comes another night.
#
# VMADIFF is the command, `vmadiff` unless told otherwise; SECONDS_MOST what making small may take.
set -Eeuo pipefail
# 1 is for findings: what fails otherwise, such as a folder that cannot be written to, is 3.
trap 'exit 3' ERR
export LC_ALL=C
vmadiff=${VMADIFF:-vmadiff}
[ $# -ge 2 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
for folder in "$@"; do
    [ -d "$folder" ] || { echo "$folder: not found, expected a folder" >&2; exit 2; }
    inputs=$(find "$folder" -maxdepth 1 -regextype posix-extended -regex '.*/[0-9a-f]{16,}' -print -quit)
    [ -z "$inputs" ] || { echo "$folder: holds inputs, expected a folder with \`corpus/\`" >&2; exit 2; }
done
[[ ${SECONDS_MOST:=3600} =~ ^[1-9][0-9]*$ ]] ||
    { echo "SECONDS_MOST: found \`$SECONDS_MOST\`, expected a number of seconds" >&2; exit 2; }
command -v -- "$vmadiff" >/dev/null || { echo "VMADIFF: $vmadiff: not found, expected the command" >&2; exit 2; }
shared=$1
shift
touch "$shared/known.txt"
line=0 known=
while IFS= read -r signature || [ -n "$signature" ]; do
    line=$((line + 1))
    signature=$(sed 's/\r$//; s/#.*//; s/^[[:space:]]*//; s/[[:space:]]*$//' <<<"$signature")
    [ -n "$signature" ] || continue
    [[ $signature =~ ^[a-z-]+/[^/[:space:]]+/[^/[:space:]]+$ ]] || {
        echo "$shared/known.txt:$line: found \`$signature\`, expected a signature such as \`outcome/munmap/value\`" >&2
        exit 2
    }
    known+=$signature$'\n'
done < "$shared/known.txt"
mkdir -p "$shared/corpus" "$shared/artifacts"

# One night at a time in each folder, where its file system has locks, which go with this process; what
# one left that was killed is taken away.
for folder in "$shared" "$@"; do
    exec {lock}> "$folder/.nightly.lock"
    taken=0
    flock -n -E 75 "$lock" 2>/dev/null || taken=$?
    case $taken in
        0) rm -rf -- "$folder"/{corpus,artifacts}/.nightly-* ;;
        75) echo "$folder: another night is at work there, or it is named twice" >&2; exit 2 ;;
    esac
done

failed=0
# Puts what follows the folder into it, each file whole or not at all.
put() {
    local to=$1 whole
    shift
    whole=$(mktemp -d "$to/.nightly-XXXXXX") || { failed=1; return; }
    if cp -t "$whole" -- "$@"; then
        mv -f -t "$to" -- "$whole"/*
    else
        echo "$to: not all of $# files could be copied" >&2
        failed=1
    fi
    rm -rf "$whole"
}
names() { find "$1" -maxdepth 1 -type f ! -name '.*' -size +0 -printf '%f\0' | sort -z; }
# Inputs are named by what they hold: what is there is the same.
take() {
    local missing batch
    mapfile -d '' missing < <(comm -z -23 <(names "$1") <(names "$2"))
    # A command's arguments have a limit.
    while [ "${#missing[@]}" != 0 ]; do
        batch=("${missing[@]:0:1000}")
        put "$2" "${batch[@]/#/$1/}"
        missing=("${missing[@]:1000}")
    done
}
count() { names "$1" | tr -dc '\0' | wc -c; }

for machine in "$@"; do
    mkdir -p "$machine/corpus" "$machine/artifacts"
    take "$machine/corpus" "$shared/corpus"
    # Two machines may have given two programs one name. How often one was found is no part of it.
    for program in "$machine"/artifacts/*.vma; do
        [ -s "$program" ] || continue
        sum=$(sed '/^# found [0-9]* times/d' "$program" | sha1sum | cut -c -12)
        name=$(basename "$program" .vma)
        named=$shared/artifacts/${name%"-$sum"}-$sum.vma
        [ -s "$named" ] && continue
        whole=$shared/artifacts/.nightly-$sum
        if cp -- "$program" "$whole"; then
            mv -- "$whole" "$named"
        else
            echo "$program: could not be copied to $shared/artifacts" >&2
            rm -f "$whole"
            failed=1
        fi
    done
    for input in "$machine"/artifacts/{crash,timeout,oom}-*; do
        [ -e "$input" ] || continue
        echo "$input: the harness failed; \`vmadiff run\` shows it" >&2
        failed=1
    done
done
echo "$shared/corpus: $(count "$shared/corpus") inputs of $# machines"
if [ "$(count "$shared/corpus")" != 0 ]; then
    "$vmadiff" corpus reduce "$shared/corpus" --seconds "$SECONDS_MOST" || {
        echo "$shared/corpus: could not be made small" >&2
        failed=1
    }
elif [ "$failed" = 0 ]; then
    echo "no machine has an input" >&2
    exit 2
fi
for machine in "$@"; do
    take "$shared/corpus" "$machine/corpus"
done

# The first comment of an artifact is its signature and what happens.
for program in "$shared"/artifacts/*.vma; do
    [ -e "$program" ] || continue
    signature=$(sed -n '1s/^# \([^ ]*\): .*/\1/p' "$program")
    if [ -z "$signature" ] || grep -qxF -- "$signature" <<<"$known"; then continue; fi
    echo "$(stat -c %s "$program") $signature $program"
done | sort -k2,2 -k1,1n | awk '$2 != last { last = $2; sub(/^[^ ]* /, ""); print }' > "$shared/.findings"
mv -- "$shared/.findings" "$shared/findings.txt"
cat "$shared/findings.txt"
[ "$failed" = 0 ] || exit 3
if [ -s "$shared/findings.txt" ]; then exit 1; fi
