//! Pipes, devices and descriptors that are named as files. As in age, cat(1) and shells, they are
//! read or written, or an error says how to do it.

use crate::common::*;

fn folder() -> Dir {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("small", "small");
    dir
}

/// Runs a script in which every command must succeed.
#[track_caller]
fn script(dir: &Dir, script: &str) -> Done {
    dir.shell(&format!("set -e\n{script}")).run().ok()
}

#[test]
fn descriptors_are_streams_and_never_replaced() {
    let dir = folder();
    script(
        &dir,
        "$CS encrypt -i id small encrypted
         $CS decrypt -i id encrypted /dev/stdout > decrypted
         cmp small decrypted
         cat encrypted | $CS decrypt -i id /dev/stdin /dev/fd/1 | cmp - small
         $CS decrypt -i id /dev/stdin < encrypted | cmp - small
         exec 3> log
         echo before >&3
         $CS decrypt -i id encrypted /dev/fd/3
         echo after >&3
         printf 'before\\nsmallafter\\n' | cmp - log
         echo kept > log
         $CS decrypt -i id encrypted /dev/fd/3 3>> log
         printf 'kept\\nsmall' | cmp - log
         $CS decrypt -i id --range 0-1 /dev/stdin < encrypted | grep -qx sm
         $CS keygen -o /dev/stdout > new-id 2> /dev/null
         $CS encrypt -i new-id small again",
    );
    // A new identity too.
    script(
        &dir,
        "exec 3> log
         echo '# before' >&3
         $CS keygen -o /dev/fd/3 2> said
         echo '# after' >&3
         grep -q 'log: \\|/dev/fd/3: other users can read' said
         chmod 600 log
         head -n 1 log | grep -qx '# before'
         tail -n 1 log | grep -qx '# after'
         $CS encrypt -i log small there
         $CS decrypt -i log there - | cmp - small
         $CS keygen -o >(cat > piped) 2> said
         ! grep -q warning said
         until [ -s piped ]; do sleep 0.01; done
         chmod 600 piped
         $CS encrypt -i piped small here
         ! $CS keygen -o id 2> said
         grep -q 'already exists' said",
    );
    // With a report, which must not be mixed with the data.
    let done = dir.shell("$CS decrypt -i id encrypted /dev/stdout --json").run().ok();
    assert_eq!(done.stdout, b"small");
    let same = dir.shell("$CS encrypt -i id small /dev/fd/3 3<> small");
    dir.fails(same, 73, &["same file"]);
}

#[test]
fn descriptors_need_an_output_name() {
    let dir = folder();
    script(
        &dir,
        "$CS encrypt -i id <(printf small) encrypted; $CS decrypt -i id encrypted - | cmp - small",
    );
    let before = dir.snapshot();
    for command in [
        "encrypt -i id <(echo a)",
        "encrypt -i id <(echo a) <(echo b) --output-dir out",
        "decrypt -i id small.enc /dev/fd/0 --output-dir out",
    ] {
        let run = dir.shell(&format!("$CS {command} < /dev/null"));
        dir.fails(run, 64, &["without a name", "name the OUTPUT"]);
    }
    let run = dir.shell("$CS rekey -i id <(cat encrypted) --new-identity id");
    dir.fails(run, 66, &["is not a regular file", "decrypt - | encrypt - OUTPUT"]);
    assert_eq!(before, dir.snapshot());
}

#[test]
fn a_named_pipe_is_read_where_it_was_named_and_reported_where_it_was_found() {
    let dir = folder();
    script(
        &dir,
        "mkfifo pipe
         printf piped > pipe &
         $CS encrypt -i id pipe small --output-dir out
         $CS decrypt -i id out/pipe.enc - | grep -qx piped
         $CS decrypt -i id out/small.enc - | grep -qx small
         printf again > pipe &
         $CS encrypt -i id pipe
         $CS decrypt -i id pipe.enc - | grep -qx again
         mkfifo out/stuck.enc",
    );
    let run = dir.command(&["verify", "-i", "id", "out"]);
    let done = dir.fails(run, 66, &["stuck.enc", "is a pipe or a device"]);
    assert!(done.stdout_text().contains("pipe.enc: intact"), "the others are verified");
}

#[test]
fn files_without_a_length_are_read_to_their_end() {
    let dir = folder();
    if !std::path::Path::new("/sys/kernel/mm").is_dir() {
        return eprintln!("skipped: this test needs /proc and /sys");
    }
    script(
        &dir,
        "for file in /proc/version /sys/kernel/mm/transparent_hugepage/enabled; do
             [ -e $file ] || continue
             $CS encrypt -i id $file out --force
             $CS decrypt -i id out - | cmp - $file
         done
         $CS encrypt -i id --archive /proc/sys/kernel/random packed --exclude uuid
         $CS decrypt -i id --extract packed unpacked
         cmp unpacked/boot_id /proc/sys/kernel/random/boot_id
         $CS encrypt -i id /proc/sys/kernel/random tree --exclude uuid
         $CS decrypt -i id tree/boot_id.enc - | cmp - /proc/sys/kernel/random/boot_id",
    );
}
