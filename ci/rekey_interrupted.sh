#!/usr/bin/env bash
# Interrupts a rekeying at every call that changes something on every kind of file system
# that it takes another way on. The tests by themselves do so where the temporary folder is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export CRYPTSTREAM_EXHAUSTIVE=1
cargo test --quiet --locked -p cryptstream --test cli -- --nocapture rekey_interrupted::
