//! Files of age in every way: written and read, as files and as streams, by this process and
//! by workers, and both also by age itself.

use std::process::Command;

use super::{Dir, Done, paint};

/// Whether there is an age to compare with; says that a test is skipped if not.
pub fn has_age() -> bool {
    let has = Command::new("age").arg("--version").output().is_ok_and(|o| o.status.success());
    if !has {
        eprintln!("skipped: this test needs the program `age` (ci/install.sh installs it)");
    }
    has
}

/// What is tried.
pub struct Matrix<const S: usize, const O: usize> {
    /// Lengths of the content.
    pub lengths: &'static [usize],
    /// Ways to encrypt `plain` as `sealed.age`; `$R` is the recipient, `id` the identity.
    pub encrypting: [&'static str; S],
    /// Ways to decrypt `sealed.age` as `opened`.
    pub decrypting: [&'static str; O],
    /// Flags with which age writes the same.
    pub flags_of_age: &'static str,
    /// Looks at what was written.
    pub check: fn(&[u8]),
}

impl<const S: usize, const O: usize> Matrix<S, O> {
    /// Writes in every way, and reads that in two of the ways, others for each length.
    pub fn reads_what_it_writes(&self) {
        let dir = Dir::in_memory();
        let recipient = dir.keygen("id");
        for &len in self.lengths {
            dir.write("plain", paint(len));
            for (number, encrypting) in self.encrypting.iter().enumerate() {
                run(&dir, &format!("R={recipient}; {encrypting}"));
                (self.check)(&dir.read("sealed.age"));
                for way in [number + len, number + len + O / 2] {
                    self.assert_opened(&dir, len, self.decrypting[way % O]);
                }
            }
        }
    }

    /// Has age read what was written, for each length in two of the ways.
    pub fn age_reads_what_it_writes(&self) {
        if !has_age() {
            return;
        }
        let dir = Dir::in_memory();
        let recipient = dir.keygen("id");
        for (number, &len) in self.lengths.iter().enumerate() {
            dir.write("plain", paint(len));
            for way in [number, number + S / 2] {
                run(&dir, &format!("R={recipient}; {}", self.encrypting[way % S]));
                self.assert_opened(&dir, len, "age -d -i id sealed.age > opened");
            }
        }
    }

    /// Reads in every way what age writes for several recipients.
    pub fn reads_what_age_writes(&self) {
        if !has_age() {
            return;
        }
        let dir = Dir::in_memory();
        let recipient = dir.keygen("id");
        let other = dir.keygen("other");
        let flags = self.flags_of_age;
        for &len in self.lengths {
            dir.write("plain", paint(len));
            run(&dir, &format!("age {flags} -r {other} -r {recipient} -o sealed.age plain"));
            for way in self.decrypting {
                self.assert_opened(&dir, len, way);
            }
        }
    }

    /// Asserts that this way decrypts to what was encrypted.
    #[track_caller]
    fn assert_opened(&self, dir: &Dir, len: usize, decrypting: &str) {
        run(dir, decrypting);
        assert!(dir.read("opened") == paint(len), "{len}: {decrypting}");
        std::fs::remove_file(dir.path("opened")).unwrap();
    }

    /// Asserts that every way decrypts `sealed.age` to this much.
    #[track_caller]
    pub fn assert_opens(&self, dir: &Dir, len: usize) {
        for way in self.decrypting {
            self.assert_opened(dir, len, way);
        }
    }

    /// Asserts that every way refuses `sealed.age`, and gives what the first one says. What a
    /// stream has got before is right.
    #[track_caller]
    pub fn assert_refuses(&self, dir: &Dir, what: &str) -> Done {
        let mut first = None;
        for way in self.decrypting {
            let done = dir.shell(&format!("set -o pipefail; {way}")).run();
            assert_eq!(done.code(), Some(65), "{what}: {way}: {done:?}");
            if way.contains('>') {
                let written = dir.read("opened");
                assert!(dir.read("plain").starts_with(&written), "{what}: {way}");
                std::fs::remove_file(dir.path("opened")).unwrap();
            }
            assert!(!dir.path("opened").exists(), "{what}: {way}");
            first = first.or(Some(done));
        }
        first.unwrap()
    }
}

/// Runs a script whose every part must succeed; `sealed.age` may be there from before.
#[track_caller]
fn run(dir: &Dir, script: &str) {
    dir.shell(&format!("set -e -o pipefail; {script}")).run().ok();
}
