#!/usr/bin/env bash
# No call in a tree takes a path: someone who can write to the tree could exchange what the
# path leads to between two calls. The modules that work in trees name everything relative to
# a directory's descriptor (crates/beneath). This script looks for calls in them that take a
# path. Those below are exceptions, each with its reason.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

files=(
    crates/beneath/src/*.rs
    crates/cli/src/tree.rs
    crates/cli/src/tree/*.rs
    crates/cli/src/tree/objects/*.rs
    crates/cli/src/commands/tree.rs
    crates/cli/src/report/tree.rs
    crates/engine/src/batch.rs
    crates/engine/src/batch_item.rs
    crates/engine/src/thread_pool.rs
    crates/engine/src/input/*.rs
    crates/engine/src/output/*.rs
    crates/engine/src/rekey/*.rs
)

# FILE|CODE|REASON
exceptions=(
    'crates/beneath/src/dir.rs|openat(CWD, path, DIRECTORY|Dir::open, for what the user has named'
    'crates/beneath/src/dir.rs|Self::open(path.parent()|Dir::open_parent, for what the user has named'
    'crates/beneath/src/dir.rs|chmodat(CWD, path, mode|the path is that of a descriptor in /proc'
    'crates/beneath/src/identity.rs|readlinkat(rustix::fs::CWD, link|the path is that of a descriptor in /proc'
    'crates/cli/src/tree/plan.rs|Dir::open(&root.output)|the user has named it'
    'crates/cli/src/tree/root.rs|Dir::open(&input)|the user has named it'
    'crates/cli/src/tree/root.rs|rustix::fs::stat(&input)|the user has named it'
    'crates/cli/src/tree/plan.rs|fs::canonicalize(input)|the name of `.`, which the user has named'
    'crates/cli/src/tree/root.rs|Dir::open(path)|an output that the user has named, or a folder above it'
    'crates/cli/src/tree/root.rs|fs::canonicalize(path)|an output that the user has named'
    'crates/cli/src/tree/root.rs|std::path::absolute(path)|a text; nothing is looked up'
    'crates/cli/src/tree/plan.rs|Dir::open_parent(input)|the user has named it; compared with what was opened'
    'crates/cli/src/tree/root.rs|self.output.exists()|only which question is asked; the user has named it'
    'crates/cli/src/tree/compare.rs|fs::canonicalize(&self.path)|an input that the user has named'
    'crates/cli/src/tree/named_folders.rs|open_folder(path)|an output that the user has named, or a folder above it'
    'crates/cli/src/tree/copy_structure.rs|Dir::open_parent(&path)|a folder that the user has named and this run has created; compared, and removed if it is empty'
    'crates/cli/src/tree/walk.rs|File::open(file)|--ignore-file, which the user has named'
    'crates/cli/src/tree/walk.rs|Dir::open(path)|a folder that the user has named'
    'crates/cli/src/commands/tree.rs|path.is_dir()|only which command is meant; the user has named it'
    'crates/engine/src/batch_item.rs|input.metadata()|an input that the caller has named'
    'crates/engine/src/input/source.rs|Dir::open_parent(path)|an input that the user has named'
    'crates/engine/src/input/source.rs|File::open(path)|an input that the user has named'
    'crates/engine/src/input/removal.rs|Dir::open_parent(path)|an input that the user has named; only listed'
    'crates/engine/src/input/removal.rs|statx(CWD, &self.path|the attack that a test expects to succeed'
    'crates/engine/src/input/removal.rs|fs::unlink(&self.path)|the attack that a test expects to succeed'
    'crates/cli/src/tree/objects/folder.rs|open_folder(path)|an output that the user has named, or a folder above it'
    'crates/engine/src/output/pending.rs|openat(CWD, descriptor_path(|the path is that of a descriptor in /proc'
    'crates/engine/src/output/pending.rs|rustix::fs::open(descriptor_path(|the path is that of a descriptor in /proc'
    'crates/engine/src/output/staging.rs|Dir::open(path)|an output that the user has named'
    'crates/engine/src/output/staging.rs|Dir::open(Path::new(".")|the working folder; only compared'
    'crates/engine/src/output/target.rs|Dir::open(path)|an output that the user has named'
    'crates/engine/src/output/target.rs|open_waiting(CWD, path.as_ref()|the path is that of a descriptor in /proc'
    'crates/engine/src/output/temporary.rs|fs::read("/proc/sys|a file of the system'
    'crates/engine/src/output/temporary.rs|fs::read_link("/proc/self|a file of the system'
    'crates/engine/src/output/unnamed.rs|accessat(CWD, path|the path is that of a descriptor in /proc'
    'crates/engine/src/output/unnamed.rs|linkat(CWD, descriptor_path(|the path is that of a descriptor in /proc'
)

# Prints FILE:LINE:CODE of calls that take a path, but not in comments, nor in tests at the
# end of a file. Functions that are imported by name count where they are imported.
find_calls() {
    awk '
        FNR == 1 { is_test = 0; in_use = 0 }
        /^#\[cfg\(test\)\]/ { is_test = 1 }
        is_test || /^[[:space:]]*\/\// { next }
        /^[[:space:]]*(pub(\([a-z]*\))? )?use / { in_use = 1; from = $0 }
        in_use {
            line = $0
            if (from ~ /std::fs/ && line !~ /use std::fs(::File|::\{File, Metadata\})?;/) report()
            else if (from ~ /std::os::unix::fs/ && line ~ /symlink|[^f]chown|lchown|mkfifo|chroot/) report()
            else if (from ~ /rustix::fs/ && FILENAME !~ /beneath/) {
                sub(/.*rustix::fs/, "", line)
                gsub(/f(stat|statvfs|chmod|chown|lock|getxattr|setxattr|listxattr|removexattr)|flistxattr/, "", line)
                gsub(/futimens|makedev|statx|openat|linkat|fcntl_getfl/, "", line)
                if (line ~ /[^A-Za-z_][a-z_]+/) report()
            }
            if (/;[[:space:]]*$/) in_use = 0
            next
        }
        {
            line = $0
            # These take a descriptor.
            gsub(/fs::(fstat|fstatfs|fstatvfs|fgetxattr|fadvise|makedev|fchmod|fsync|futimens|flock)\(/, "", line)
            gsub(/fs::(fdatasync|syncfs|fallocate|copy_file_range|ioctl_ficlone)\(/, "", line)
            gsub(/(file|file\(\)|unnamed)\.metadata\(\)/, "", line)
            # Relative to the descriptor of a folder; CWD is found below.
            gsub(/fs::(openat|statx)\(/, "", line)
            # Of a target, whether it is a path, and of a source, whether it is a file.
            gsub(/source\.is_file\(\)/, "", line)
        }
        line ~ /(^|[^a-z_])fs::[a-z_]+\(/ ||
        line ~ /(^|[^A-Za-z])(File::(open|create|create_new|options)|OpenOptions|DirBuilder)/ ||
        line ~ /(^|[^A-Z_a-z])CWD([^A-Z_a-z]|$)/ ||
        line ~ /(Dir|Self)::open(_parent)?\(/ ||
        line ~ /(^|[^A-Za-z_])open_folder\(/ ||
        line ~ /canonicalize|path::absolute|WalkBuilder|WalkDir|walkdir/ ||
        line ~ /\.(is_dir|is_file|is_symlink|exists|try_exists|metadata|symlink_metadata|read_dir|read_link)\(\)/ { report() }
        function report() {
            text = $0
            sub(/^[[:space:]]+/, "", text)
            print FILENAME ":" FNR ":" text
        }
    ' "$@"
}

# It must find such a call.
sample=$(mktemp -d)
trap 'rm -rf "$sample"' EXIT
while IFS= read -r call; do
    printf '%s\n' "$call" > "$sample/call.rs"
    if [[ -z $(find_calls "$sample/call.rs") ]]; then
        echo "paths: this is not found: $call"
        exit 1
    fi
done << 'END'
    let there = fs::metadata(path)?;
    let there = std::fs::symlink_metadata(&path).is_ok();
use std::fs::metadata;
use std::fs::{self, remove_file};
use rustix::fs::{FileType, unlink};
use std::os::unix::fs::symlink;
    let file = File::open(path)?;
    let file = OpenOptions::new().read(true).open(path)?;
    let fd = rustix::fs::openat(CWD, path, flags, mode)?;
    if path.is_dir() {
    if path.exists() {
    let real = path.canonicalize()?;
    let dir = Dir::open(&found)?;
    let (dir, name) = Dir::open_parent(path)?;
    for entry in path.read_dir()? {
    rustix::fs::chmod(path, mode)?;
    std::os::unix::fs::symlink(target, path)?;
    let walk = WalkBuilder::new(folder);
END

used=" "
failed=0
sources=()
for file in "${files[@]}"; do
    [[ $file == */tests.rs ]] || sources+=("$file")
done
while IFS= read -r found; do
    file=${found%%:*}
    is_known=0
    for index in "${!exceptions[@]}"; do
        IFS='|' read -r where code _ <<< "${exceptions[index]}"
        if [[ $file == "$where" && $found == *"$code"* ]]; then
            is_known=1
            used+="$index "
        fi
    done
    if [[ $is_known -eq 0 ]]; then
        echo "paths: takes a path in a tree: $found"
        failed=1
    fi
done < <(find_calls "${sources[@]}")
for index in "${!exceptions[@]}"; do
    if [[ $used != *" $index "* ]]; then
        echo "paths: this exception is not needed: ${exceptions[index]}"
        failed=1
    fi
done
exit "$failed"
