#!/usr/bin/env bash
# Runs everyday commands on every file system that can be had here: those of the kernel in
# loop devices, those behind FUSE (ntfs-3g, sshfs to this machine, bindfs, mergerfs, unionfs,
# rclone), tests/filesystems/faulty.py, which lacks the features it is told to, and delaying.py,
# which is slow. Needs root; runs in a mount namespace of its own, so that nothing stays mounted.
#     ci/filesystems.sh [NAME...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ $EUID -ne 0 ]]; then
    echo "filesystems: skipped, it needs root for mounting"
    exit 0
fi
if [[ ${CRYPTSTREAM_MOUNTS:-} != own ]]; then
    cargo build --release --package cryptstream --features openssl
    CRYPTSTREAM_MOUNTS=own exec unshare --mount "$0" "$@"
fi

faulty=$PWD/tests/filesystems/faulty.py
delaying=$PWD/tests/filesystems/delaying.py
target=$(realpath "${CARGO_TARGET_DIR:-target}")
CS=${CRYPTSTREAM:-$target/release/cryptstream}
work=$(mktemp -d)
server=
clean() {
    [[ -z $server ]] || kill "$server" || true
    umount -l "$work/mnt" 2> /dev/null || true
    rm -rf --one-file-system "$work"
}
trap clean EXIT
cd "$work"
mkdir real mnt

ran=() skipped=()
# FUSE programs mount when they are ready, some after they have returned.
await_mount() {
    for _ in $(seq 500); do
        mountpoint -q mnt && return
        sleep 0.01
    done
    return 1
}
loop() {
    truncate -s "$2" image
    "mkfs.$1" "${@:3}" image > /dev/null 2>&1
    mount -o loop image mnt
}
serve_ssh() {
    [[ -z $server ]] || return 0
    command -v sshfs > /dev/null && [[ -x /usr/sbin/sshd ]] || return 1
    mkdir -p /run/sshd
    ssh-keygen -q -N '' -t ed25519 -f key
    ssh-keygen -q -N '' -t ed25519 -f host
    port=$((20000 + RANDOM % 20000))
    printf '%s\n' "Port $port" "ListenAddress 127.0.0.1" "HostKey $work/host" \
        "AuthorizedKeysFile $work/key.pub" "StrictModes no" "UsePAM no" \
        "PermitRootLogin yes" "PidFile none" "Subsystem sftp internal-sftp" > sshd.conf
    /usr/sbin/sshd -D -f "$work/sshd.conf" 2> sshd.log &
    server=$!
}
mount_it() {
    case $1 in
        ext4) loop ext4 192M -q ;;
        xfs) loop xfs 320M -q ;;
        btrfs) loop btrfs 192M -q ;;
        vfat) loop vfat 192M ;;
        exfat) loop exfat 192M ;;
        tmpfs) mount -t tmpfs -o size=192M tmpfs mnt ;;
        overlay)
            mkdir -p real/{lower,upper,work}
            mount -t overlay overlay \
                -o lowerdir=real/lower,upperdir=real/upper,workdir=real/work mnt ;;
        ntfs)
            truncate -s 192M image
            mkntfs -qFf image > /dev/null
            ntfs-3g image mnt ;;
        exfat-fuse)
            truncate -s 192M image
            mkfs.exfat image > /dev/null
            mount.exfat-fuse "$(losetup --find --show image)" mnt ;;
        bindfs) bindfs real mnt ;;
        mergerfs) mkdir real/{1,2} && mergerfs real/1:real/2 mnt ;;
        unionfs) mkdir real/{1,2} && unionfs real/1=RW:real/2=RW mnt ;;
        sshfs)
            serve_ssh
            local ssh="ssh -F none -o StrictHostKeyChecking=no -o LogLevel=ERROR \
                -o UserKnownHostsFile=/dev/null -i $work/key -p $port"
            for _ in $(seq 100); do
                sshfs -o ssh_command="$ssh" "root@127.0.0.1:$work/real" mnt 2> sshfs.log && return
                sleep 0.05
            done
            return 1 ;;
        rclone) rclone mount --config /dev/null --daemon "$work/real" mnt ;;
        faulty*) # shellcheck disable=SC2086 # Each word is a fault.
            /usr/bin/python3 "$faulty" real mnt ${1#faulty} ;;
        delaying*) # shellcheck disable=SC2086 # Each word is an argument.
            python3 "$delaying" real mnt ${1#delaying} ;;
    esac
}

# Runs a command and shows its output if it fails.
try() {
    "$@" > out 2>&1 && return
    echo "FAILED on $name: $*"
    cat out
    exit 1
}
fails() {
    local code=$1 words=$2 status=0
    shift 2
    "$@" > out 2>&1 || status=$?
    [[ $status -eq $code ]] && grep -q -- "$words" out && return
    echo "FAILED on $name: $*: status $status instead of $code, or no '$words' in"
    cat out
    exit 1
}

"$CS" keygen -o id 2> /dev/null
"$CS" keygen -o other 2> /dev/null
head -c 9M /dev/urandom > large
echo small > small
mkdir -p tree/sub
cp large tree/
echo x > tree/x
echo y > tree/sub/y
touch -d '2026-01-02 03:04:05.678901234' tree/x

# No keys on file systems where every file is open to everybody.
keeps_bits() { [[ $(stat -c %a mnt/kept-id) == 600 ]]; }
# What works everywhere.
single_files() {
    try "$CS" encrypt -i id small mnt/small.enc
    fails 73 "exists" "$CS" encrypt -i id small mnt/small.enc
    try "$CS" encrypt -i id large mnt/large.enc --processes 2
    try "$CS" encrypt -i id large mnt/small.enc --force
    try "$CS" encrypt small mnt/passphrase.enc --key word
    try "$CS" decrypt mnt/passphrase.enc mnt/passphrase --key word
    try cmp small mnt/passphrase
    try "$CS" decrypt -i id mnt/large.enc mnt/large --processes 2
    try cmp large mnt/large
    fails 73 "same file" "$CS" encrypt -i id mnt/large mnt/large --force
    if keeps_bits; then
        fails 73 "the key was read from" "$CS" encrypt -i mnt/kept-id small mnt/kept-id --force
    fi
    try "$CS" encrypt -i id mnt/large again.enc --force
    try "$CS" verify -q -i id mnt/large.enc mnt/small.enc
    try "$CS" inspect mnt/large.enc
}
trees() {
    try "$CS" encrypt -i id tree mnt/sealed
    try "$CS" decrypt -i id mnt/sealed mnt/opened
    try diff -r tree mnt/opened
    try "$CS" verify -q -i id mnt/sealed
    # A key of this run that lies in the tree is left out, and nothing else is.
    keeps_bits || return 0
    cp id mnt/opened/id
    try "$CS" encrypt -i mnt/opened/id mnt/opened mnt/resealed
    [[ ! -e mnt/resealed/id.enc && -e mnt/resealed/x.enc ]] || { echo "FAILED on $name: a key"; exit 1; }
    rm mnt/opened/id
}
# What is there is known by its time, at the step in which the file system keeps it.
reruns() {
    rm -rf changed
    cp -a tree changed
    try "$CS" encrypt -i id changed mnt/mirror
    try "$CS" encrypt -i id changed mnt/mirror
    echo longer > changed/x
    fails 73 "x.enc" "$CS" encrypt -i id changed mnt/mirror
    try "$CS" encrypt -i id changed mnt/mirror --newer --json
    grep -q '"replaced":1,' out || { echo "FAILED on $name: a rerun"; cat out; exit 1; }
    try "$CS" encrypt -i id changed mnt/mirror
    try "$CS" decrypt -i id mnt/mirror mnt/restored
    try "$CS" decrypt -i id mnt/mirror mnt/restored
    try diff -r changed mnt/restored
}
archives() {
    try "$CS" encrypt -i id --archive mnt/opened mnt/packed.enc
    try "$CS" decrypt -i id --extract mnt/packed.enc mnt/unpacked
    try diff -r tree mnt/unpacked
    try "$CS" decrypt -i id --extract mnt/packed.enc mnt/unpacked --force
    try diff -r tree mnt/unpacked
}
keys() {
    try "$CS" keygen -o mnt/new-id
    fails 73 "exists" "$CS" keygen -o mnt/new-id
    # Where every file looks as if others could write to it, the advice must work.
    if (($((8#$(stat -c %a mnt/new-id))) & 8#022)); then
        fails 78 "install -m 600 mnt/new-id" "$CS" encrypt -i mnt/new-id small mnt/mine.enc
        install -m 600 mnt/new-id copied
        try "$CS" encrypt -i copied small mnt/mine.enc
        try "$CS" decrypt -q -i copied mnt/mine.enc - > /dev/null
        rm copied mnt/mine.enc
    fi
    try "$CS" rekey -i id mnt/large.enc --new-identity other
    try "$CS" rekey -i id mnt/small.enc --new-identity other
    try "$CS" verify -q -i other mnt/large.enc mnt/small.enc
}
removal() {
    cp small mnt/source
    try "$CS" encrypt -i id mnt/source mnt/target --remove-source
    [[ ! -e mnt/source ]] || { echo "FAILED on $name: the source is still there"; exit 1; }
}
nothing_left() {
    local where=mnt
    [[ $name != faulty* ]] || where=real
    # FUSE removes files that were open a moment after they were closed.
    for _ in $(seq 100); do
        # Not through the mount: where all inodes are equal, find sees loops there.
        left=$(find "$where" -name '.*cryptstream*' -o -name '.fuse_hidden*')
        [[ -n $left ]] || return 0
        sleep 0.01
    done
    echo "FAILED on $name: left behind: $left"
    exit 1
}

# Mounts NAME, or says why that cannot be done here, and does the rest there.
on() {
    name=$1
    shift
    if [[ ${#only[@]} -gt 0 && " ${only[*]} " != *" ${name%% *} "* ]]; then return; fi
    rm -rf real image
    mkdir real
    if ! mount_it "$name" > mount.log 2>&1 || ! await_mount; then
        skipped+=("$name")
        echo "filesystems: $name is skipped: $(tail -1 mount.log)"
        umount -l mnt 2> /dev/null || true
        return
    fi
    cp id mnt/kept-id
    local step
    for step in "$@"; do "$step"; done
    # rclone makes a file that was opened after it was removed; the next run removes it.
    [[ $name == rclone ]] || nothing_left
    umount mnt 2> /dev/null || { sleep 0.2; umount -l mnt; }
    ran+=("$name")
}
only=("$@")
all=(single_files trees reruns archives keys removal)

for kind in ext4 xfs btrfs tmpfs overlay vfat exfat exfat-fuse ntfs bindfs sshfs mergerfs unionfs; do
    on $kind "${all[@]}"
done
for faults in new-inodes one-inode coarse link=EPERM link=ENOSYS; do
    on "faulty $faults" "${all[@]}"
done
# Nothing can be made durable: what was asked for that is said, and its source is kept.
not_durable() {
    cp small mnt/source
    fails 74 "flushed" "$CS" encrypt -i id mnt/source mnt/target --remove-source
    try cmp small mnt/source
    try "$CS" verify -q -i id mnt/target
}
for faults in hidden-mtime utimens=EPERM chmod=EPERM; do
    on "faulty $faults" single_files trees archives keys removal
done
for faults in fsync=EINVAL "link=EPERM new-inodes fsync=EOPNOTSUPP chown=EPERM"; do
    on "faulty $faults" single_files trees archives keys not_durable
done

# Files are written from front to back, and are not changed afterwards.
in_order_only() {
    single_files
    trees
    archives
    try "$CS" keygen -o mnt/new-id
    fails 64 "cannot be read back" "$CS" encrypt -i id small mnt/source --remove-source
}
on rclone in_order_only
on "faulty append" in_order_only

# Where storage makes the workers wait, there are more of them than cores. On a busy machine they
# may wait longer for a core.
company() {
    local most workers=0
    most=$(($(nproc) < 4 ? $(nproc) : 4))
    head -c 48M /dev/urandom > real/long
    for _ in $(seq 20); do
        rm -f mnt/long.enc
        try "$CS" encrypt -i id --json mnt/long mnt/long.enc
        workers=$(sed -n 's/.*"workers":\([0-9]*\).*/\1/p' out)
        [[ $most -gt 1 && $workers -le $most ]] || break
    done
    [[ $most -eq 1 || $workers -gt $most ]] ||
        { echo "FAILED on $name: $workers workers"; cat out; exit 1; }
    try "$CS" decrypt -i id mnt/long.enc mnt/opened-long
    try cmp real/long real/opened-long
    try "$CS" encrypt -i id --json --processes 1 mnt/large mnt/one.enc
    grep -q '"workers":1,' out || { echo "FAILED on $name: not one worker"; cat out; exit 1; }
}
on "delaying --mib 15" single_files trees company

# What cannot work is said before the work, and how it can be done.
no_other_names() {
    fails 73 "encrypt F - > OUT" "$CS" encrypt -i id small mnt/small.enc
    "$CS" encrypt -i id small - > mnt/small.enc
    try "$CS" verify -q -i id mnt/small.enc
}
on "faulty link=EPERM rename=EPERM" no_other_names

# Of files and folders whose names are one name there, none takes another's place, also if
# the other has gone from the original, and none is removed that is not in the copy.
twins() {
    local flags
    for flags in "--newer" "--newer --remove-source" "--force --remove-source"; do
        rm -rf twins back mnt/copy
        mkdir -p twins/Dir twins/dir
        for text in A a Dir/1 dir/1; do echo "$text" > "twins/$text"; done
        for _ in 1 2; do # shellcheck disable=SC2086 # They are several.
            fails 73 "only in upper and lower case" "$CS" encrypt -i id twins mnt/copy $flags --processes 0
        done
        try "$CS" decrypt -i id mnt/copy back
        [[ $(cat back/? back/*/1 twins/? twins/*/1 2> /dev/null | sort -u | wc -l) == 4 ]] ||
            { echo "FAILED on $name: a file is lost with $flags"; exit 1; }
    done
}
on "faulty fold" "${all[@]}" twins

echo "filesystems: ${#ran[@]} passed, ${#skipped[@]} skipped"
[[ ${#ran[@]} -gt 0 || ${#only[@]} -gt 0 ]]
