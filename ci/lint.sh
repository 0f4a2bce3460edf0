#!/usr/bin/env bash
# Formatting, clippy and documentation, with warnings denied.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo fmt --all --check
cargo fmt --manifest-path fuzz/Cargo.toml --check
ci/paths.sh
ci/promises.sh
ci/public_types.py engine
ci/cycles.py format beneath archive benchmark cli engine job keys protection reference remote s3_test_server shm
cargo clippy --workspace --all-targets --locked -- --deny warnings
RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --locked --quiet
