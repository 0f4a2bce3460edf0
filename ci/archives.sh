#!/usr/bin/env bash
# Unpacks archives as other programs write them (GNU tar in every dialect, bsdtar, pax,
# busybox, Python, git, zstd, pzstd; those of star, Solaris and others made by hand) and
# compares the result with GNU tar's: tests/archives/judge.py. Programs that are not
# installed are skipped and named.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo build --quiet --locked --package cryptstream
python3 tests/archives/judge.py target/debug/cryptstream
