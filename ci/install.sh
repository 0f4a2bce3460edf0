#!/usr/bin/env bash
# Installs what the checks need beyond Rust and a C compiler, as far as it is
# missing: `age` (the judge compares with it), bindfs (a file system without
# unnamed files), chromium (looks at the page of `benchmark`) and cargo-fuzz. On
# a system without apt, or without root, the checks that need these say that
# they are skipped.
set -euo pipefail

wanted=()
command -v age > /dev/null || wanted+=(age)
command -v bindfs > /dev/null || wanted+=(bindfs)
command -v script > /dev/null || wanted+=(bsdutils)
command -v python3 > /dev/null || wanted+=(python3 python3-venv)
command -v g++ > /dev/null || wanted+=(g++)
command -v chromium > /dev/null || wanted+=(chromium)
if [[ ${#wanted[@]} -gt 0 ]]; then
    if [[ $EUID -eq 0 ]] && command -v apt-get > /dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${wanted[@]}" > /dev/null
    else
        echo "install: not installed, for want of root or apt: ${wanted[*]}"
    fi
fi
if ! cargo fuzz --version > /dev/null 2>&1; then
    cargo install --quiet --locked cargo-fuzz
fi
