//! What the caller has left open (here the passphrase's file) reaches a worker, which
//! may read any descriptor that it has.

use std::io::Write;
use std::process::{ChildStdin, Stdio};

use crate::common::{CHEAP, Dir, test_bytes};
use crate::neighbour::{Victim, descriptors};

/// Encrypts what comes from a pipe, which stays open, with workers that are waiting for
/// more by then.
pub(crate) fn waiting_for_input(dir: &Dir, script: &str) -> (Victim, ChildStdin) {
    let mut run = dir.shell(script);
    run.command.stdin(Stdio::piped());
    let mut victim = Victim::start(run);
    let mut stdin = victim.child.stdin.take().unwrap();
    stdin.write_all(&test_bytes(40 << 20)).unwrap();
    victim.until("two workers are there", |victim| (victim.workers().len() == 2).then_some(()));
    (victim, stdin)
}

#[test]
fn workers_have_no_descriptor_of_the_caller() {
    let dir = Dir::new();
    let secret = dir.write("secret", "S3CRET");
    // Workers that are not locked in can be looked at without being root.
    let script = format!(
        "exec 9<secret 200<secret; exec $CS encrypt {CHEAP} --passphrase-fd 9 --processes 2 \
         --sandbox off - encrypted"
    );
    let (victim, stdin) = waiting_for_input(&dir, &script);
    for worker in victim.workers() {
        let open = descriptors(worker);
        assert!(open.len() >= 3, "its descriptors cannot be seen");
        assert!(open.iter().all(|(_, link)| *link != secret), "{open:?}");
    }
    drop(stdin);
    victim.end().ok();
    let decrypted =
        dir.shell("exec 9<secret; $CS decrypt --passphrase-fd 9 encrypted -").run().ok();
    assert!(decrypted.stdout == test_bytes(40 << 20));
}

#[test]
fn what_the_user_names_by_its_descriptor_still_works() {
    let dir = Dir::new();
    dir.keygen("id");
    dir.write("plain", test_bytes(1000));
    dir.shell("$CS encrypt -i <(cat id) plain encrypted").run().ok();
    dir.shell("exec 7<id; $CS decrypt -i /dev/fd/7 encrypted one").run().ok();
    dir.shell("exec 7<id; $CS decrypt -i /proc/self/fd/7 encrypted two").run().ok();
    dir.shell("exec 8<encrypted 9>three; $CS decrypt -i id /dev/fd/8 - >&9").run().ok();
    for name in ["one", "two", "three"] {
        assert!(dir.read(name) == test_bytes(1000), "{name}");
    }
}
