#!/usr/bin/env bash
# Runs the tests of crates/shm on Linux with what stands in on other systems:
# memory without seals, pipes instead of futexes. It is as near
# as one can come to those systems from here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/portable
RUSTFLAGS="--cfg portable_platform" cargo test --quiet --locked --package cryptstream-shm
