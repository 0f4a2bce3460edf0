#!/usr/bin/env bash
# Round trips of the release binary with other programs that know age's format
# (tests/interop): age, rage, the Python package `pyrage` and the npm package
# `age-encryption`. Needs python3 with venv, ssh-keygen, node and npm; for the
# first run the package indexes. ci/install.sh installs the programs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv/interop
if [[ ! -x $venv/bin/pip ]]; then
    python3 -m venv "$venv"
fi
"$venv/bin/pip" install --quiet --disable-pip-version-check --requirement tests/interop/requirements.txt

# A module finds its packages beside itself.
node=$venv/node
mkdir -p "$node"
if ! command -v npm > /dev/null; then
    echo "interop: npm is not installed"
elif ! cmp --silent tests/interop/package-lock.json "$node/installed.json"; then
    cp tests/interop/package.json tests/interop/package-lock.json "$node"
    npm ci --silent --ignore-scripts --no-audit --no-fund --prefix "$node"
    cp tests/interop/package-lock.json "$node/installed.json"
fi
cp tests/interop/typage.mjs "$node"

cargo build --release --package cryptstream --features openssl
PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" tests/interop/interop.py \
    "${CARGO_TARGET_DIR:-target}/release/cryptstream" --node "$node" "$@"
