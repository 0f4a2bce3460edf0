//! Writes and reads files in the age format in every way: as files and as streams, in one process
//! and with workers, and with age itself.

use std::process::Command;

use super::{Dir, Done, test_bytes};

/// Whether the program `age` is installed; if not, prints that the test is skipped.
pub fn has_age() -> bool {
    let has = Command::new("age").arg("--version").output().is_ok_and(|o| o.status.success());
    if !has {
        eprintln!("skipped: this test needs the program `age` (ci/install.sh installs it)");
    }
    has
}

/// The ways to encrypt and to decrypt that are combined.
pub struct Matrix<const S: usize, const O: usize> {
    /// Lengths of the content.
    pub lengths: &'static [usize],
    /// Ways to encrypt `plain` as `encrypted.age`; `$R` is the recipient, `id` the identity.
    pub encrypting: [&'static str; S],
    /// Ways to decrypt `encrypted.age` as `decrypted`.
    pub decrypting: [&'static str; O],
    /// The flags with which age writes such a file.
    pub flags_of_age: &'static str,
    /// Checks an encrypted file.
    pub check: fn(&[u8]),
}

impl<const S: usize, const O: usize> Matrix<S, O> {
    /// Encrypts in every way, and decrypts each file in two ways, which vary with the length.
    pub fn reads_what_it_writes(&self) {
        let dir = Dir::in_memory();
        let recipient = dir.keygen("id");
        for &len in self.lengths {
            dir.write("plain", test_bytes(len));
            for (number, encrypting) in self.encrypting.iter().enumerate() {
                run(&dir, &format!("R={recipient}; {encrypting}"));
                (self.check)(&dir.read("encrypted.age"));
                for way in [number + len, number + len + O / 2] {
                    self.assert_opened(&dir, len, self.decrypting[way % O]);
                }
            }
        }
    }

    /// Encrypts each length in two ways, and decrypts it with age.
    pub fn age_reads_what_it_writes(&self) {
        if !has_age() {
            return;
        }
        let dir = Dir::in_memory();
        let recipient = dir.keygen("id");
        for (number, &len) in self.lengths.iter().enumerate() {
            dir.write("plain", test_bytes(len));
            for way in [number, number + S / 2] {
                run(&dir, &format!("R={recipient}; {}", self.encrypting[way % S]));
                self.assert_opened(&dir, len, "age -d -i id encrypted.age > decrypted");
            }
        }
    }

    /// Encrypts to several recipients with age, and decrypts in every way.
    pub fn reads_what_age_writes(&self) {
        if !has_age() {
            return;
        }
        let dir = Dir::in_memory();
        let recipient = dir.keygen("id");
        let other = dir.keygen("other");
        let flags = self.flags_of_age;
        for &len in self.lengths {
            dir.write("plain", test_bytes(len));
            run(&dir, &format!("age {flags} -r {other} -r {recipient} -o encrypted.age plain"));
            for way in self.decrypting {
                self.assert_opened(&dir, len, way);
            }
        }
    }

    /// Asserts that this way decrypts `encrypted.age` to the `len` bytes of `plain`.
    #[track_caller]
    fn assert_opened(&self, dir: &Dir, len: usize, decrypting: &str) {
        run(dir, decrypting);
        assert!(dir.read("decrypted") == test_bytes(len), "{len}: {decrypting}");
        std::fs::remove_file(dir.path("decrypted")).unwrap();
    }

    /// Asserts that every way decrypts `encrypted.age` to `len` bytes of `plain`.
    #[track_caller]
    pub fn assert_opens(&self, dir: &Dir, len: usize) {
        for way in self.decrypting {
            self.assert_opened(dir, len, way);
        }
    }

    /// Asserts that every way refuses `encrypted.age`, and returns the result of the first. What a
    /// stream received before that must be right.
    #[track_caller]
    pub fn assert_refuses(&self, dir: &Dir, what: &str) -> Done {
        let mut first = None;
        for way in self.decrypting {
            let done = dir.shell(&format!("set -o pipefail; {way}")).run();
            assert_eq!(done.code(), Some(65), "{what}: {way}: {done:?}");
            if way.contains('>') {
                let written = dir.read("decrypted");
                assert!(dir.read("plain").starts_with(&written), "{what}: {way}");
                std::fs::remove_file(dir.path("decrypted")).unwrap();
            }
            assert!(!dir.path("decrypted").exists(), "{what}: {way}");
            first = first.or(Some(done));
        }
        first.unwrap()
    }
}

/// Runs a script of which every command must succeed.
#[track_caller]
fn run(dir: &Dir, script: &str) {
    dir.shell(&format!("set -e -o pipefail; {script}")).run().ok();
}
