#!/usr/bin/env bash
# Formatting, clippy and documentation, with warnings denied; dependencies and
# licences where cargo-deny is installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo fmt --all --check
cargo fmt --manifest-path fuzz/Cargo.toml --check
cargo clippy --workspace --all-targets --locked -- --deny warnings
RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --locked --quiet
if cargo deny --version > /dev/null 2>&1; then
    # Not `advisories`: their database may be out of reach.
    cargo deny --log-level error check --hide-inclusion-graph bans licenses sources
else
    echo "lint: cargo-deny is not installed; dependencies and licences were not checked"
fi
