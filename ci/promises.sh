#!/usr/bin/env bash
# Every promise names its test: each test that SECURITY.md, docs/sandbox.md and
# docs/attacks.md quote (`path/to/file.rs` or `path/to/file.rs::function`) must exist.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

missing=0
while IFS=: read -r page quoted; do
    file=${quoted%%::*}
    function=${quoted#"$file"}
    function=${function#::}
    if [[ ! -f $file ]]; then
        echo "promises: $page names $file, which does not exist"
        missing=1
    elif [[ -n $function ]] && ! grep -q "fn $function(" "$file"; then
        echo "promises: $page names $function, which is not in $file"
        missing=1
    fi
done < <(grep -oHE '`(crates|tests)/[A-Za-z0-9_/]+\.(rs|py)(::[a-z0-9_]+)?`' \
    SECURITY.md docs/sandbox.md docs/attacks.md | tr -d '`')
exit "$missing"
