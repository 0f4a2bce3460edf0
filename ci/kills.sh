#!/usr/bin/env bash
# Kills main at more random moments than `cargo test` does: kills.sh [KILLS].
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export CRYPTSTREAM_KILLS=${1:-200}
cargo test --quiet --locked -p cryptstream --test cli -- --nocapture \
    faults::main_killed_at_random
