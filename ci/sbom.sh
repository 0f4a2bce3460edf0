#!/usr/bin/env bash
# Lists every crate that is linked into the program, as CycloneDX: release/*.cdx.json below
# the target folder. Not inside the program, as with `cargo auditable`, which needs a second
# build. Needs cargo-cyclonedx and python3.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo cyclonedx --version > /dev/null 2>&1 ||
    { echo "sbom: needs cargo-cyclonedx: cargo install --locked cargo-cyclonedx"; exit 1; }
triple=$(rustc -vV | sed -n 's/^host: //p')
out=${CARGO_TARGET_DIR:-target}/release/cryptstream.cdx.json
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2> /dev/null || date +%s)} \
    cargo cyclonedx -qq --manifest-path crates/cli/Cargo.toml --format json --spec-version 1.5 \
    --target "$triple" --no-build-deps --describe binaries
# Without the path of this checkout.
sed "s|path+file://$PWD/|path+file:///|g" crates/cli/cryptstream_bin.cdx.json > "$out"
rm crates/cli/*_bin.cdx.json

# Compared with what cargo links. Crates that only tests need may be listed too.
cargo tree --locked --package cryptstream --edges normal --target "$triple" \
    --prefix none --no-dedupe --format '{p}' | python3 -c '
import json, sys
bill = json.load(open(sys.argv[1]))
listed = {(c["name"], c["version"]) for c in [bill["metadata"]["component"], *bill["components"]]}
linked = {(l.split()[0], l.split()[1][1:]) for l in sys.stdin if l.strip()}
missing = linked - listed
if missing or not linked:
    sys.exit(f"FAILED: not in the SBOM: {sorted(missing)}")
print(f"sbom: {sys.argv[1]} lists {len(listed)} crates, all {len(linked)} that are linked among them")
' "$out"
