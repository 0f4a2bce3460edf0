#!/usr/bin/env bash
# Runs the tests of crates/shm under Miri, as far as it can: the slot word, the queue on the
# heap, and the copy by words. It cannot map shared memory, nor call futexes between
# processes.
#
# Miri needs a nightly compiler with the component `miri` and the standard library's
# sources. Without them the check is skipped and says so.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if cargo miri --version > /dev/null 2>&1; then
    cargo=(cargo)
elif cargo +nightly miri --version > /dev/null 2>&1; then
    cargo=(cargo +nightly)
else
    echo "miri: skipped, it is not installed (rustup component add --toolchain nightly miri rust-src)"
    exit 0
fi
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/miri
"${cargo[@]}" miri test --locked --package cryptstream-shm --lib -- slot:: queue:: region::copy::
echo "miri: no undefined behaviour in the slot word, the queue and the copy by words"
