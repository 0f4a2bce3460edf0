#!/usr/bin/env bash
# The Debian package: builds it from the release binary, with manual pages and completions
# that this binary writes; checks it with lintian; installs it in a clean root of the running
# Debian release, tries it there and removes it again (tests/package/clean_root.sh).
# `ci/package.sh deb` only builds.
#
# Needs cargo-deb, and for the trial root, dpkg and mmdebstrap; ci/install.sh installs them.
# Steps that cannot be done are skipped and named.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Without cargo-deb, `deb` fails; the check is only skipped.
if [[ ${1:-} == deb ]] && ! cargo deb --version > /dev/null 2>&1; then
    echo "package: no package was made, since cargo-deb is not installed" >&2
    echo "help: cargo install --locked cargo-deb, or install without a package: make install" >&2
    exit 1
fi
target=${CARGO_TARGET_DIR:-target}
made=$target/release/package
skipped() {
    echo "package: skipped, $*"
    exit 0
}

cargo build --release --locked --package cryptstream --features openssl
program=$target/release/cryptstream

# The other files of the package; Cargo.toml of crates/cli says where each goes.
rm -rf "$made"
mkdir -p "$made/man" "$made/completions"
"$program" man "$made/man"
[[ -s $made/man/cryptstream.1 ]] || { echo "FAILED: no manual page was written"; exit 1; }
gzip -9n "$made"/man/*.1
for shell in bash zsh fish; do
    "$program" completions $shell > "$made/completions/cryptstream.$shell"
done
# The date of the last commit, so that the same source gives the same package.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2> /dev/null || date +%s)}
export SOURCE_DATE_EPOCH
version=$("$program" --version)
gzip -9n > "$made/changelog.Debian.gz" << END
cryptstream (${version#* }-1) unstable; urgency=medium

  * The changes are in changelog.gz.

 -- CryptStream maintainers <>  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
END

cargo deb --version > /dev/null 2>&1 || skipped "cargo-deb is not installed"
deb=$(cargo deb --quiet --no-build --locked --package cryptstream)
echo "package: $deb, $(stat -c %s "$deb") bytes"
[[ ${1:-} != deb ]] || exit 0

if command -v lintian > /dev/null; then
    # The package has no address, and closes no bug of Debian's.
    lintian --allow-root --fail-on error \
        --suppress-tags malformed-contact,bogus-mail-host-in-debian-changelog \
        --suppress-tags initial-upload-closes-no-bugs "$deb"
else
    echo "package: lintian is not installed, it was not asked"
fi

# The clean root.
[[ $EUID -eq 0 ]] || skipped "the trial in a clean root needs root"
command -v dpkg > /dev/null || skipped "the trial in a clean root needs dpkg"
command -v mmdebstrap > /dev/null || skipped "the trial in a clean root needs mmdebstrap"
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $suite" "Component: main" | head -1)
[[ -n $suite && -n $mirror ]] || skipped "apt knows no mirror of the release '$suite'"

# The essential packages and what the package depends on, without versions, which dpkg
# compares. Kept, as fetching it takes longer than all the rest.
needs=$(dpkg-deb --field "$deb" Depends | sed -E 's/\([^)]*\)|\|[^,]*| //g')
base=$target/clean-root/$suite-$needs.tar
if [[ ! -s $base ]]; then
    mkdir -p "$target/clean-root"
    mmdebstrap --quiet --format=tar --variant=essential --include="$needs" \
        --aptopt='Acquire::Languages "none"' "$suite" "$base.new" "$mirror"
    mv "$base.new" "$base"
fi
root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT
tar -C "$root" -xf "$base"
cp "$deb" "$root/cryptstream.deb"
cp tests/package/clean_root.sh "$root/"
(cd "$made" && find man completions -type f) > "$root/made"
# The program starts its workers through /proc. Nothing stays mounted.
unshare --mount sh -c 'mount -t proc proc "$1/proc" && exec chroot "$1" \
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 bash /clean_root.sh' sh "$root"
