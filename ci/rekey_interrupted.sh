#!/usr/bin/env bash
# Interrupts a rekeying at every call that changes something, on every kind of file system
# where it works differently. `cargo test` does so in the temporary folder only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export CRYPTSTREAM_EXHAUSTIVE=1
cargo test --quiet --locked -p cryptstream --test cli -- --nocapture rekey_interrupted::
