# shellcheck shell=bash
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
# How services run a target, for scripts that stand in for them where no container runs: to be sourced.
#
# The values are those of OSS-Fuzz (commit 955c686, August 2026): infra/base-images/base-runner,
# `Dockerfile` for the variables, `run_fuzzer` for the order of arguments, `parse_options.py` for the
# sections of TARGET.options. ClusterFuzzLite runs in the same image. ClusterFuzz (commit 7758497)
# sets variables and arguments of its own, those of `prune` below.

export ASAN_OPTIONS="alloc_dealloc_mismatch=0:allocator_may_return_null=1\
:allocator_release_to_os_interval_ms=500:check_malloc_usable_size=0:detect_container_overflow=1\
:detect_odr_violation=0:detect_leaks=1:detect_stack_use_after_return=1:fast_unwind_on_fatal=0\
:handle_abort=1:handle_segv=1:handle_sigill=1:max_uar_stack_size_log=16:print_scariness=1\
:quarantine_size_mb=10:strict_memcmp=1:strip_path_prefix=/workspace/:symbolize=1:use_sigaltstack=1\
:dedup_token_length=3"
export UBSAN_OPTIONS="print_stacktrace=1:print_summary=1:silence_unsigned_overflow=1\
:strip_path_prefix=/workspace/:symbolize=1:dedup_token_length=3"

# The options of a section of TARGET.options, `key=value` a line.
options() {
    awk -v section="[$2]" '/^\[/ { inside = $0 == section; next }
        inside && /=/ { gsub(/[ \t]*=[ \t]*/, "="); print }' "$1.options"
}

# Runs TARGET as `run_fuzzer` does, with further arguments.
run_fuzzer() {
    local target=$1 asan own
    shift
    asan=$(options "$target" asan | paste -sd:)
    mapfile -t own < <(options "$target" libfuzzer | sed 's/^/-/')
    ASAN_OPTIONS="$ASAN_OPTIONS${asan:+:$asan}" "$target" -- -rss_limit_mb=2560 -timeout=25 "$@" \
        "${own[@]}" "-dict=$target.dict" </dev/null
}

# The variable that ClusterFuzz sets for AddressSanitizer when it prunes (`get_asan_options` in
# src/clusterfuzz/_internal/system/environment.py, with the least redzone), what its jobs for libFuzzer
# add (ENGINE_ASAN_TEMPLATE in src/local/butler/scripts/setup.py), and the engine (`set_sanitizer_options`
# in bot/fuzzers/libfuzzer.py). Fake stacks are as large as they come, and the quarantine is six times that
# of base-runner: a process takes more memory.
clusterfuzz_asan="redzone=16:alloc_dealloc_mismatch=0:print_scariness=1:strict_memcmp=0:detect_leaks=1\
:detect_stack_use_after_return=1:allocator_may_return_null=1:allow_user_segv_handler=0\
:check_malloc_usable_size=0:detect_odr_violation=0:fast_unwind_on_fatal=1:print_suppressions=0\
:handle_abort=1:handle_segv=1:handle_sigbus=1:handle_sigfpe=1:handle_sigill=1:print_summary=1\
:use_sigaltstack=1:symbolize=0\
:quarantine_size_mb=64:strict_memcmp=1:fast_unwind_on_fatal=0:allocator_release_to_os_interval_ms=500\
:handle_abort=2:handle_segv=2:handle_sigbus=2:handle_sigfpe=2:handle_sigill=2"
clusterfuzz_lsan="print_suppressions=0:handle_abort=1:handle_segv=1:handle_sigbus=1:handle_sigfpe=1\
:handle_sigill=1:print_summary=1:use_sigaltstack=1"

# Prunes as ClusterFuzz does: TARGET, the folder to write to, the one to read. The arguments are those of
# `get_fuzzer_flags` in bot/tasks/utasks/corpus_pruning_task.py, of which TARGET.options may lower the
# longest input (5 MiB otherwise) and set the memory and whether leaks are looked for.
prune() {
    local target=$1 asan name most=5242880 own=() given
    asan=$(options "$target" asan | paste -sd:)
    for name in rss_limit_mb=2560 max_len=$most detect_leaks=1; do
        given=$(options "$target" libfuzzer | sed -n "s/^${name%=*}=//p" | tail -n 1)
        if [ "${name%=*}" = max_len ] && [ "${given:-$most}" -gt "$most" ]; then given=$most; fi
        own+=("-${name%=*}=${given:-${name#*=}}")
    done
    ASAN_OPTIONS="$clusterfuzz_asan${asan:+:$asan}:exitcode=77" LSAN_OPTIONS=$clusterfuzz_lsan \
        UBSAN_OPTIONS='' "$target" -timeout=5 "${own[@]}" -use_value_profile=1 -merge=1 \
        "-artifact_prefix=$2-bad/" "$2" "$3" </dev/null
}

# The frames that ClusterFuzz tells bugs apart by, of a stack on standard input: the innermost three
# that are neither the runtime's nor the engine's (src/clusterfuzz/stacktraces/constants.py).
crash_state() {
    grep -aoP '^ +#\d+ 0x[0-9a-f]+ in \K.*' | grep -vE ' /rustc?/' |
        grep -vE '^(_|abort|alloc::|fuzzer::|gsignal|libfuzzer_sys::initialize|main|raise)' |
        grep -vE '^(core::|std::)panic|^rust_|^std::(process::abort|sys)|assert|logger|libpthread' |
        awk 'NR <= 3 { print $1 }'
}
