#!/usr/bin/env bash
# Installs what the checks need besides Rust and a C compiler: `age` (the judge compares
# with it), rage, ssh-keygen and node (for round trips between programs), openssl and
# puttygen (keys in every form), bindfs (a file system without unnamed files) and the others
# that ci/filesystems.sh mounts, with an SSH server and a Python library for FUSE, strace
# (stops a program before any system call), btrfs-progs and xfsprogs (file systems that share
# blocks), chromium (opens the page of `benchmark`), fish, zsh and groff (read the completions
# and the manual), cargo-deb, lintian and mmdebstrap (the Debian package and a clean root for
# it), bsdtar, pax, busybox, zstd and other compressors (archives of other programs),
# cargo-deny (dependencies) and cargo-fuzz. On a system without apt, or without root, the
# checks that need these say that they are skipped.
set -euo pipefail

wanted=()
command -v age > /dev/null || wanted+=(age)
command -v bindfs > /dev/null || wanted+=(bindfs)
command -v strace > /dev/null || wanted+=(strace)
command -v sshfs > /dev/null || wanted+=(sshfs)
[[ -x /usr/sbin/sshd ]] || wanted+=(openssh-server)
command -v mergerfs > /dev/null || wanted+=(mergerfs)
command -v unionfs > /dev/null || wanted+=(unionfs-fuse)
command -v rclone > /dev/null || wanted+=(rclone)
command -v ntfs-3g > /dev/null || wanted+=(ntfs-3g)
command -v mkfs.exfat > /dev/null || wanted+=(exfatprogs)
command -v mount.exfat-fuse > /dev/null || wanted+=(exfat-fuse)
command -v mkfs.vfat > /dev/null || wanted+=(dosfstools)
[[ -e /usr/lib/python3/dist-packages/fusepy.py ]] || wanted+=(python3-fusepy)
command -v mkfs.btrfs > /dev/null || wanted+=(btrfs-progs)
command -v mkfs.xfs > /dev/null || wanted+=(xfsprogs)
command -v script > /dev/null || wanted+=(bsdutils)
command -v python3 > /dev/null || wanted+=(python3 python3-venv)
python3 -c 'import jsonschema' 2> /dev/null || wanted+=(python3-jsonschema)
command -v ssh-keygen > /dev/null || wanted+=(openssh-client)
command -v openssl > /dev/null || wanted+=(openssl)
command -v puttygen > /dev/null || wanted+=(putty-tools)
command -v npm > /dev/null || wanted+=(nodejs npm)
command -v g++ > /dev/null || wanted+=(g++)
command -v chromium > /dev/null || wanted+=(chromium)
command -v fish > /dev/null || wanted+=(fish)
command -v zsh > /dev/null || wanted+=(zsh)
command -v groff > /dev/null || wanted+=(groff)
command -v mmdebstrap > /dev/null || wanted+=(mmdebstrap)
command -v lintian > /dev/null || wanted+=(lintian)
command -v xz > /dev/null || wanted+=(xz-utils)
command -v bsdtar > /dev/null || wanted+=(libarchive-tools)
command -v pax > /dev/null || wanted+=(pax)
command -v busybox > /dev/null || wanted+=(busybox-static)
command -v compress > /dev/null || wanted+=(ncompress)
command -v setfacl > /dev/null || wanted+=(acl)
command -v setfattr > /dev/null || wanted+=(attr)
command -v 7z > /dev/null || wanted+=(p7zip-full)
for program in git zstd bzip2 lz4 lzip lzop zip; do
    command -v "$program" > /dev/null || wanted+=("$program")
done
if [[ ${#wanted[@]} -gt 0 ]]; then
    if [[ $EUID -eq 0 ]] && command -v apt-get > /dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${wanted[@]}" > /dev/null
    else
        echo "install: not installed, for want of root or apt: ${wanted[*]}"
    fi
fi
if ! cargo fuzz --version > /dev/null 2>&1; then
    cargo install --quiet --locked cargo-fuzz
fi
# Built without optimisation, as they run for seconds; `xz` does cargo-deb's compressing.
install_unoptimised() {
    CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_OPT_LEVEL=0 \
        CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 cargo install --quiet --locked "$@"
}
cargo deb --version > /dev/null 2>&1 || install_unoptimised --no-default-features cargo-deb
cargo deny --version > /dev/null 2>&1 || install_unoptimised cargo-deny

# Optimised as its authors ship it, but linked in a fraction of the time.
rage=0.12.1
if [[ $(rage --version 2> /dev/null) != "rage $rage" ]]; then
    CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        cargo install --quiet --locked --force "rage@$rage"
fi
