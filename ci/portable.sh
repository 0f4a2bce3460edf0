#!/usr/bin/env bash
# Runs the tests of crates/shm on Linux with the code for other systems: memory without
# seals, pipes instead of futexes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/portable
RUSTFLAGS="--cfg portable_platform" cargo test --quiet --locked --package cryptstream-shm
