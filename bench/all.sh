#!/usr/bin/env bash
# Measures most of what docs/performance.md tells, beside cp and the other programs, and keeps
# the raw times. Takes about an hour; the machine should do nothing else. Needs 20 GB of disk.
#
#   bench/all.sh                 builds the program and measures it
#   bench/all.sh --quick         small sizes and few runs, to try the scripts: some minutes
#   PROGRAM=FILE bench/all.sh    measures another build
#   FOLDER=/mnt bench/all.sh     on another file system
#
# Of the other programs it measures those that are installed; bench/install-peers.sh brings them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

quick=
[ "${1:-}" != --quick ] || quick=1
if [ -z "${PROGRAM:-}" ]; then
    cargo build --release --bin cryptstream
    PROGRAM="${CARGO_TARGET_DIR:-target}/release/cryptstream"
fi
folder="${FOLDER:-${TMPDIR:-/tmp}}"
name="$(date +%F)-$(nproc)-cores-$(stat -f -c %T "$folder" | tr / -)${quick:+-quick}"
results="$PWD/bench/results/$name"
mkdir -p "$results"

# Arguments for a whole run, and for a quick one.
either() { if [ -n "$quick" ]; then echo "$2"; else echo "$1"; fi; }

for part in small large age passphrase pipe memory; do
    # shellcheck disable=SC2046
    python3 bench/peers.py --program "$PROGRAM" --dir "$folder" --only $part --keep "$results/$part.json" \
        $(either "--runs 7" "--runs 1 --size 64")
done
# shellcheck disable=SC2046
python3 bench/tree.py "$PROGRAM" --folder "$folder" --json "$results/tree.json" \
    $(either "--rounds 5" "--rounds 1 --files 500 --large-mib 64")
# shellcheck disable=SC2046
python3 bench/cold.py "$PROGRAM" --folder "$folder" --json "$results/cold.json" \
    $(either "--rounds 5" "--rounds 1 --mib 128 --pause 1")
if [ "$(id -u)" = 0 ]; then
    # shellcheck disable=SC2046
    python3 bench/waiting.py "$PROGRAM" --json "$results/waiting.json" \
        $(either "" "--rounds 1 --mib 32 --files 100")
else
    echo "skipped: storage that waits is a mount, which only root can make"
fi
# shellcheck disable=SC2046
python3 bench/scaling.py "$PROGRAM" --json "$results/scaling.json" \
    $(either "" "--rounds 1 --mib 64 --files 500")
"$PROGRAM" benchmark --quiet --json --folder /dev/shm --max-size 400KiB --runs "$(either 15 3)" > "$results/benchmark.json"

python3 bench/summary.py "$results" | tee "$results/summary.txt"
if [ -z "$quick" ]; then
    python3 bench/pictures.py speed "$results/large.json"
fi
