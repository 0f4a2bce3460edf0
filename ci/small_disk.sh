#!/usr/bin/env bash
# Tests that need root: file systems that fill up, that are read-only, and that have no
# unnamed files (bindfs, a FUSE file system), where named temporaries are used. Runs in a
# mount namespace of its own, so that nothing stays mounted.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ $EUID -ne 0 ]]; then
    echo "small_disk: skipped, it needs root for mounting"
    exit 0
fi
if [[ ${1:-} != inside ]]; then
    cargo build --release --package cryptstream --features openssl
    exec unshare --mount "$0" inside
fi

CS=$PWD/${CARGO_TARGET_DIR:-target}/release/cryptstream
[[ -x $CS ]] || CS=${CARGO_TARGET_DIR}/release/cryptstream
work=$(mktemp -d)
trap 'umount -R "$work"/{small,medium,few,full,fuse,ext4} 2> /dev/null || true; rm -rf "$work"' EXIT
cd "$work"
mkdir small medium few full real fuse ext4
mount -t tmpfs -o size=3M tmpfs small
mount -t tmpfs -o size=24M tmpfs medium
mount -t tmpfs -o nr_inodes=3 tmpfs few

passed=0
# expect CODE 'words' FOLDER command...: exit status, words on stderr, and a
# folder that holds afterwards what it held before.
expect() {
    local code=$1 words=$2 folder=$3 before after status=0
    shift 3
    before=$(cd "$folder" && find . -type f -exec sha256sum {} + | sort)
    timeout 120 "$@" 2>err || status=$?
    after=$(cd "$folder" && find . -type f -exec sha256sum {} + | sort)
    if [[ $status -ne $code ]] || ! grep -q "$words" err || [[ $before != "$after" ]]; then
        echo "FAILED: $*"
        echo "  status $status instead of $code, or no '$words' in: $(cat err)"
        diff <(echo "$before") <(echo "$after") || true
        exit 1
    fi
    passed=$((passed + 1))
}
# succeed command...
succeed() {
    timeout 120 "$@" || { echo "FAILED ($?): $*"; exit 1; }
    passed=$((passed + 1))
}
# Waits until a file matches a pattern.
await() {
    for _ in $(seq 1000); do
        compgen -G "$1" > /dev/null && return
        sleep 0.01
    done
    echo "FAILED: $1 never came"
    exit 1
}

"$CS" keygen -o id 2>/dev/null
head -c 5M /dev/urandom > five
head -c 2M /dev/urandom > two
head -c 40M /dev/urandom > forty
"$CS" encrypt -i id five five.enc
"$CS" encrypt -i id forty forty.enc
"$CS" encrypt -i id two two.enc

# A disk that is too small for the output.
expect 74 "no space left" small "$CS" encrypt -i id five small/out
expect 74 "make room" small "$CS" decrypt -i id five.enc small/out
expect 74 "no space left" small sh -c "cat five | '$CS' encrypt -i id - small/out"
expect 74 "no space left" small "$CS" encrypt five small/out --key x --argon2id 64MiB
# The same with workers: a worker or main may notice first.
for count in 1 2 4; do
    expect 74 "no space left" medium "$CS" encrypt -i id forty medium/out --processes $count
    expect 74 "make room" medium "$CS" decrypt -i id forty.enc medium/out --processes $count
    succeed "$CS" encrypt -i id forty out --processes $count --force
    expect 74 "no space left" medium "$CS" decrypt -i id out medium/out --processes $count --sandbox off
done
# The same on ext4, where space is reserved first.
truncate -s 32M image
if ! mkfs.ext4 -q image 2> err || ! mount -o loop image ext4 2> err; then
    echo "small_disk: the part on ext4 is skipped: $(head -1 err)"
else
    for count in 0 2; do
        expect 74 "no room.*no space left" ext4 "$CS" encrypt -i id forty ext4/out --processes $count
        expect 74 "make room" ext4 "$CS" decrypt -i id forty.enc ext4/out --processes $count
        expect 74 "no space left" ext4 sh -c "cat forty | '$CS' encrypt -i id - ext4/out --processes $count"
    done
    # What was reserved for a run that failed is free again.
    succeed "$CS" decrypt -i id five.enc ext4/out
    succeed cmp ext4/out five
    expect 77 "no key fits" ext4 "$CS" decrypt forty.enc ext4/out2 --key x
fi
# One that has room for the output, but not for old and new at once.
succeed "$CS" decrypt -i id two.enc small/out
expect 74 "no space left" small "$CS" decrypt -i id two.enc small/out --force
expect 74 "no space left" small "$CS" encrypt -i id small/out --remove-source
succeed cmp small/out two
# One with no room at all, not even for a key.
dd if=/dev/zero of=small/fill bs=4k 2>/dev/null || true
expect 74 "no space left" small "$CS" keygen -o small/id
expect 74 "no space left" small sh -c "'$CS' keygen > small/out2 || { s=\$?; rm small/out2; exit \$s; }"
# A folder: what is complete stays, the rest is not there, and a rerun with more room
# continues.
rm small/*
mkdir tree
for i in $(seq 40); do head -c 150K /dev/urandom > tree/$i; done
head -c 1M /dev/urandom > tree/large
status=0
timeout 120 "$CS" encrypt -i id tree small/out 2> err || status=$?
done_before=$(find small/out -name '*.enc' | wc -l)
if [[ $status -ne 74 ]] || ! grep -q "make room" err || [[ $done_before -lt 5 || $done_before -gt 30 ]] \
    || [[ $(find small -type f | wc -l) -ne $done_before ]]; then
    echo "FAILED: a folder on a full disk: status $status, $done_before files, $(cat err)"
    exit 1
fi
succeed "$CS" verify -i id small/out --quiet
mount -o remount,size=16M small
succeed "$CS" encrypt -i id tree small/out --json > report
succeed grep -q "\"kept\":$done_before" report
succeed "$CS" decrypt -i id small/out back
succeed diff -r tree back
rm -r small/out
mount -o remount,size=3M small
# No inodes left.
touch few/1 few/2
expect 74 "no space left" few "$CS" encrypt -i id two few/out
# Read-only.
mount --bind full full && mount -o remount,bind,ro full
expect 73 "read-only" full "$CS" encrypt -i id two full/out

# A file system without unnamed files.
if ! command -v bindfs > /dev/null || [[ ! -e /dev/fuse ]]; then
    echo "small_disk: the part on FUSE is skipped, it needs bindfs and /dev/fuse"
else
    bindfs real fuse
    succeed "$CS" encrypt -i id two fuse/out
    succeed "$CS" encrypt -i id five fuse/out --force
    succeed "$CS" decrypt -i id fuse/out fuse/opened --remove-source
    succeed cmp fuse/opened five
    expect 73 "exists" real "$CS" decrypt -i id five.enc fuse/opened
    expect 77 "no key fits" real "$CS" decrypt five.enc fuse/out2 --key x
    # Interrupted while it waits for input.
    for signal in INT TERM HUP KILL; do
        mkfifo pipe
        # Without job control a shell has its children ignore SIGINT.
        (set -m; exec "$CS" encrypt -i id - fuse/out < pipe) & pid=$!
        exec 4> pipe
        head -c 2M /dev/urandom >&4
        await "fuse/.out.cryptstream-*.tmp"
        # A second run for the same name leaves the first one's file alone.
        succeed "$CS" encrypt -i id two fuse/other --force
        kill -$signal $pid
        exec 4>&-
        wait $pid || true
        rm pipe
        if [[ $signal != KILL ]] && compgen -G "fuse/.out.cryptstream-*.tmp" > /dev/null; then
            echo "FAILED: SIG$signal left the temporary"
            exit 1
        fi
        passed=$((passed + 1))
    done
    # The next run for that name removes what SIGKILL left.
    await "fuse/.out.cryptstream-*.tmp"
    succeed "$CS" encrypt -i id two fuse/out
    if [[ -n $(find real -name '.*') ]]; then
        echo "FAILED: left behind: $(find real -name '.*')"
        exit 1
    fi
fi
echo "small_disk: $passed checks passed"
