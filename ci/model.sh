#!/usr/bin/env bash
# Checks the queue with a model checker (loom): two consumers and main in every order of
# their steps, and a consumer that dies after any step. Then does the same with wrong versions
# of the queue, each of which must fail: a check that cannot fail proves nothing.
# LOOM_MAX_PREEMPTIONS allows more than the 2 or 3 preemptions of the tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# A folder of its own, since other flags would discard what is built in the usual one.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/model
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Optimised, the checker too, which Cargo.toml leaves as it is: there are hundreds of
# thousands of executions.
export CARGO_PROFILE_DEV_OPT_LEVEL=3 CARGO_PROFILE_DEV_DEBUG=false
optimised=(--config 'profile.dev.package."*".opt-level=3')

# check MUTANT [TEST]: runs one model, or all, on this wrong version of the queue, or on the
# right one. The flags stay the same, so that only our crate is built again.
check() {
    QUEUE_MUTANT=$1 RUSTFLAGS="--cfg loom --cfg queue_mutants" timeout 1200 cargo test --locked \
        "${optimised[@]}" --package cryptstream-shm --test model ${2:+-- --exact "$2"} > "$log" 2>&1
}

if ! check ""; then
    cat "$log"
    echo "model: the queue FAILED"
    exit 1
fi
grep "^test .* ok$" "$log"

# refuses TEST MUTANT...: the model TEST must fail with each.
refuses() {
    local test=$1 mutant
    shift
    for mutant in "$@"; do
        if check "$mutant" "$test"; then
            echo "model: the wrong version '$mutant' PASSED: the check sees too little"
            exit 1
        fi
        if ! grep -q "^test $test \.\.\. FAILED" "$log"; then
            cat "$log"
            echo "model: the wrong version '$mutant' was not judged"
            exit 1
        fi
        echo "model: '$mutant' is refused by '$test': $(sed -n '/^thread .* panicked at/{n;p;q}' "$log" | cut -c1-60)"
    done
}
refuses a_consumer_dies_over_a_single_task unnamed_claim forgets_loaded rereads
refuses nobody_oversleeps looks_once relaxed_look
refuses nobody_dies relaxed_publish
echo "model: the queue holds, and each wrong version of it is refused"
