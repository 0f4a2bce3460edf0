#!/usr/bin/env bash
# Compares the release binary with a second implementation of the format, written in Python
# on the package `cryptography` (tests/judge). Needs python3 with venv and, for the first
# run, the package index; uses `age` if it is installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv/judge
if [[ ! -x $venv/bin/pip ]]; then
    python3 -m venv "$venv"
fi
"$venv/bin/pip" install --quiet --disable-pip-version-check --requirement tests/judge/requirements.txt

cargo build --release --package cryptstream --features openssl
# Not a release build, which would take long: this program is not the one that is tested.
cargo build --locked --package cryptstream --features test-helpers --bin export_file_key

target=${CARGO_TARGET_DIR:-target}
# Decrypts as the plugins of hardware keys would.
PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" tests/judge/tagged.py "$target/release/cryptstream"
PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" tests/judge/judge.py "$target/release/cryptstream" \
    --exporter "$target/debug/export_file_key"
