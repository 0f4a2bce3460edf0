#!/usr/bin/env bash
# Licences, sources, duplicate crates and known flaws of everything that is linked
# (deny.toml), by cargo-deny, which ci/install.sh installs.
#
# Known flaws come from the RustSec database. Where it cannot be fetched, the advisories
# pinned in ci/advisories are used, and the script says how old they are.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! cargo deny --version > /dev/null 2>&1; then
    echo "deny: skipped, cargo-deny is not installed; dependencies were not checked"
    exit 0
fi
# A database and a configuration of our own: the user's database stays as it is.
work=${CARGO_TARGET_DIR:-target}/deny
mkdir -p "$work"
work=$(cd "$work" && pwd)
sed "s|^\[advisories\]|&\ndb-path = \"$work/database\"|" deny.toml > "$work/deny.toml"
deny() {
    cargo deny --log-level error --config "$work/deny.toml" "$@"
}

if ! deny fetch db > /dev/null 2>&1; then
    echo "deny: the RustSec database could not be fetched;" \
        "known flaws are those of $(< ci/advisories/DATE)"
    pinned=$work/pinned
    rm -rf "$pinned" "$work/database"
    mkdir -p "$pinned"
    cp -r ci/advisories/crates "$pinned/"
    git -C "$pinned" init --quiet --initial-branch main
    git -C "$pinned" add .
    git -C "$pinned" -c user.name=pinned -c user.email=pinned@localhost commit --quiet -m pinned
    # In place of the address that cargo-deny clones.
    GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=url.file://$pinned.insteadOf \
        GIT_CONFIG_VALUE_0=https://github.com/RustSec/advisory-db deny fetch db
fi
# Also the crates for other systems, which a build does not fetch and the graph names.
cargo fetch --quiet --locked
deny --offline check --hide-inclusion-graph advisories bans licenses sources
