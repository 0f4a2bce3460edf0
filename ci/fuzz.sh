#!/usr/bin/env bash
# Runs every fuzz target for a while: ci/fuzz.sh [seconds per target, 20].
# Exits non-zero when a target finds something; the input is then in
# fuzz/artifacts/.
set -euo pipefail

seconds=${1:-20}
if ! [[ $seconds =~ ^[1-9][0-9]*$ ]]; then
    echo "usage: ci/fuzz.sh [seconds per target]" >&2
    exit 2
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! cargo fuzz --version >/dev/null 2>&1; then
    cargo install --locked cargo-fuzz
fi

# Fails if fuzz/Cargo.lock is behind the manifests.
cargo fetch --quiet --locked --manifest-path fuzz/Cargo.toml
cargo run --quiet --locked --package cryptstream-reference --bin fuzz_seeds -- fuzz/corpus
cargo run --quiet --locked --package cryptstream --features test-helpers --bin archive_seeds -- \
    fuzz/corpus

# Without a sanitizer: those need a nightly compiler and look for memory errors, which our
# code cannot have without `unsafe`; the cipher library, which is C, would not be
# instrumented anyway. Stable still has coverage to guide the inputs, and finds panics,
# overflows and failed assertions.
cargo fuzz build --sanitizer none

# Inputs a little longer than two chunks; 4 s is far more than any should take.
for target in $(cargo fuzz list); do
    echo "== $target: $seconds s"
    cargo fuzz run --sanitizer none "$target" -- \
        -max_total_time="$seconds" -max_len=40000 -timeout=4 -rss_limit_mb=2048 -print_final_stats=1
done
