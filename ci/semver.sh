#!/usr/bin/env bash
# Compares the public items of the libraries with those of an earlier commit, and fails where
# a change breaks callers and the version in Cargo.toml does not say so. Without an argument
# the commit is that of the last tag before this one; without such a tag there is nothing to
# compare. Needs cargo-semver-checks, which takes long to build and so is no part of the gate.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

baseline=${1:-$(git describe --tags --abbrev=0 --match 'v*' HEAD^ 2> /dev/null || true)}
if [[ -z $baseline ]]; then
    echo "semver: there is no earlier release"
    exit 0
fi
packages=()
for crate in format keys archive engine; do
    packages+=(--package "cryptstream-$crate")
done
cargo semver-checks --baseline-rev "$baseline" --only-explicit-features "${packages[@]}"
