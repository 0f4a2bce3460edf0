#!/usr/bin/env bash
# A program that needs nothing of the system it runs on: glibc is linked in. It takes 0.67 of
# the time to start (bench/results/2026-11-25-2-cores-static.txt). Packed with manual pages,
# completions and licence.
#
#   ci/static.sh           builds and packs it
#   ci/static.sh build     only builds it; fails where the system cannot link it
#   ci/static.sh program   where it is, or where the usual one is if it was not built
#   ci/static.sh test      the tests that another C library could break: workers, the sandbox,
#                          signals, plugins
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# With a target named, the flags do not reach build scripts and macros, which
# cannot be static.
triple=$(rustc -vV | sed -n 's/^host: //p')
target=${CARGO_TARGET_DIR:-target}
program=$target/$triple/release/cryptstream
if [[ ${1:-} == program ]]; then
    [[ -e $program ]] || program=$target/release/cryptstream
    echo "$program"
    exit 0
fi
if [[ ${1:-} == build ]]; then
    [[ $triple == *-linux-gnu ]] && echo 'int main(void) { return 0; }' |
        cc -static-pie -x c -o /dev/null - 2> /dev/null ||
        { echo "static: this system has no static C library"; exit 1; }
fi
[[ $triple == *-linux-gnu ]] || { echo "static: skipped, $triple has no static glibc"; exit 0; }
# The crate `getrandom` would look for the system call in a shared library, which is missing,
# and then read /dev/urandom, which a bare root lacks.
export RUSTFLAGS='-C target-feature=+crt-static --cfg getrandom_backend="linux_getrandom"'

if [[ ${1:-} == test ]]; then
    cargo test --locked --target "$triple" --package cryptstream-engine --test crash --test sandbox
    cargo test --locked --target "$triple" --package cryptstream \
        --test cli -- everyday:: interrupted:: keys:: plugin:: workers::
    exit 0
fi

cargo build --release --locked --target "$triple" --package cryptstream
[[ ${1:-} != build ]] || exit 0
if readelf --program-headers "$program" | grep -q INTERP; then
    echo "FAILED: $program asks for a dynamic loader"
    exit 1
fi
# The system then loads it at an address that an attacker does not know.
if ! readelf --file-header "$program" | grep -q 'Type: *DYN'; then
    echo "FAILED: $program is not position independent"
    exit 1
fi
version=$("$program" --version)
name=cryptstream-${version#* }-$triple-static
folder=$target/static/$name
rm -rf "$target/static"
mkdir -p "$folder/man" "$folder/completions"
for binary in cryptstream cryptstream-transport; do
    strip --strip-all -o "$folder/$binary" "$(dirname "$program")/$binary"
done
"$program" man "$folder/man"
for shell in bash zsh fish; do
    "$program" completions $shell > "$folder/completions/cryptstream.$shell"
done
cp LICENSE README.md CHANGELOG.md SECURITY.md "$folder/"
# The same source gives the same file.
date=@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2> /dev/null || date +%s)}
tar -C "$target/static" --sort=name --owner=0 --group=0 --numeric-owner --mtime="$date" \
    -c "$name" | gzip -9n > "$target/static/$name.tar.gz"
echo "static: $target/static/$name.tar.gz, $(stat -c %s "$target/static/$name.tar.gz") bytes"
