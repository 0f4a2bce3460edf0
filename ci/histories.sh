#!/usr/bin/env bash
# Tries more random histories of a folder and its encrypted copy than `cargo test` does:
# histories.sh [ROUNDS]. A round takes about a tenth of a second.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export CRYPTSTREAM_HISTORIES=${1:-400}
cargo test --quiet --locked -p cryptstream --test cli -- --nocapture histories::
