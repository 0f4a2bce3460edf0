#!/usr/bin/env bash
# Attacks (tests/attacks): all with every protection on; then, for each protection, its
# attack with the protection turned off, which must then succeed. A protection whose
# attack does not notice that it is gone is not tested.
#     ci/attacks.sh [ROUNDS]
# ROUNDS is how often attacks that depend on a lucky moment are tried.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CRYPTSTREAM_ATTACK_ROUNDS=${1:-20}

attacks() {
    cargo test --quiet -p cryptstream --locked --features protection-switches --test attacks -- "$@"
}

attacks
listed=$(attacks --list)
mapfile -t names < <(sed -n 's/^    [A-Z][A-Za-z]* = "\([a-z_]*\)",$/\1/p' crates/protection/src/lib.rs)
[[ ${#names[@]} -gt 0 ]]
unproven=()
for name in "${names[@]}"; do
    if ! grep -q "^$name::" <<< "$listed"; then
        unproven+=("$name: no attack")
    elif output=$(CRYPTSTREAM_WITHOUT=$name attacks "$name::" 2>&1); then
        unproven+=("$name: its attack passes without it")
    elif ! grep -q "test result: FAILED" <<< "$output"; then
        printf '%s\n' "$output"
        unproven+=("$name: its attack did not run")
    fi
done
if [[ ${#unproven[@]} -gt 0 ]]; then
    printf 'attacks: %s\n' "${unproven[@]}"
    exit 1
fi
echo "attacks: each of ${#names[@]} protections was missed when it was off"
