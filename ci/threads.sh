#!/usr/bin/env bash
# Runs the queue between threads of one process, where it guards plain memory, under
# ThreadSanitizer, a race detector that understands atomics. Then does so with a wrong
# version of the queue, in which it must find a race.
#
# Not helgrind or drd: they take atomic loads and stores for plain ones, and would report
# every access to the queue's words as a race.
#
# The sanitizer is an unstable option of the compiler, but its runtime comes with
# the stable one for x86-64 Linux. RUSTC_BOOTSTRAP lets it be used; nothing that
# is built here is shipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=$(rustc -vV | sed -n 's/^host: //p')
if ! compgen -G "$(rustc --print sysroot)/lib/rustlib/$target/lib/librustc-*_rt.tsan.a" > /dev/null; then
    echo "threads: skipped, this compiler has no ThreadSanitizer for $target"
    exit 0
fi
export RUSTC_BOOTSTRAP=1
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/threads
# The standard library is not instrumented, so the detector does not see how it
# orders things: hence no mutex, no scope's end and no test harness in the test.
export TSAN_OPTIONS=halt_on_error=1
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# check MUTANT: runs the test on this wrong version of the queue, or on the right one.
check() {
    local flags="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg queue_mutants"
    QUEUE_MUTANT=$1 RUSTFLAGS=$flags timeout 600 \
        cargo test --locked --package cryptstream-shm --target "$target" --test threads \
        > "$log" 2>&1
}

if ! check ""; then
    cat "$log"
    echo "threads: the queue FAILED"
    exit 1
fi
grep "redone" "$log"
# The race has to happen to be seen, and on busy cores one thread may do all the work.
passed=0
while check relaxed_publish; do
    passed=$((passed + 1))
    if [[ $passed -eq 20 ]]; then
        echo "threads: the wrong version 'relaxed_publish' PASSED: the check sees too little"
        exit 1
    fi
done
if ! grep -q "WARNING: ThreadSanitizer: data race" "$log"; then
    cat "$log"
    echo "threads: the wrong version 'relaxed_publish' was not judged"
    exit 1
fi
echo "threads: no data race, and 'relaxed_publish' is refused"
