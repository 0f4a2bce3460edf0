#!/usr/bin/env bash
# Measures cryptstream beside cp, age, rage, openssl, gpg and concryptor, if they are
# installed (this script installs nothing), and keeps the raw times.
#
#   bench/peers.sh                     everything; about ten minutes
#   bench/peers.sh --only small        one part: large, small, age, passphrase, pipe, memory
#   bench/peers.sh --dir /mnt --runs 9 on another file system, more runs
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo build --release --bin cryptstream
exec python3 bench/peers.py --program "${CARGO_TARGET_DIR:-target}/release/cryptstream" "$@"
