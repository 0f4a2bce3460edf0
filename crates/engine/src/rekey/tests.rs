//! Headers that were written in part, and journals of all kinds.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use cryptstream_format::x25519::SecretKey;
use cryptstream_format::{Format, Identity, Journal, Padding, Recipient, WrappedKey};
use tempfile::TempDir;

use super::RekeyMethod;
use crate::{Decrypt, Encrypt, Engine, EngineOptions, Error, Rekey, RekeySummary, Source, Target};

/// A encrypted file of 2 MiB, and what a rekeying would make of it.
struct Fixture {
    dir: TempDir,
    path: PathBuf,
    plain: Vec<u8>,
    old: SecretKey,
    new: SecretKey,
    /// The file with its old header.
    encrypted: Vec<u8>,
    header_len: usize,
    new_header: Vec<u8>,
}

impl Fixture {
    /// `recipients` is for how many it is encrypted at first.
    fn new(format: Format, recipients: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let plain: Vec<u8> = (0..2 << 20).map(|i: u32| (i % 251) as u8).collect();
        let input = dir.path().join("plain");
        fs::write(&input, &plain).unwrap();
        let (old, new) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let path = dir.path().join("file.enc");
        let public = vec![old.to_public(); recipients];
        let to: Vec<_> = public.iter().map(|key| key as &(dyn Recipient + Sync)).collect();
        let mut source = Source::open(&input).unwrap();
        let target = Target::Path { path: path.clone(), force: false };
        let request = Encrypt::source(&mut source).target(target).format(format).recipients(&to);
        engine().encrypt(request).unwrap();
        let encrypted = fs::read(&path).unwrap();
        let header = cryptstream_format::Header::parse(&encrypted).unwrap().unwrap();
        let file_key = header.unlock(&[&old]).unwrap();
        let wrapped = WrappedKey::wrap(format, &file_key, &[&new.to_public()]).unwrap();
        let new_header = wrapped.header(&file_key, Padding::Exactly(header.len())).unwrap();
        let header_len = header.len();
        Self { dir, path, plain, old, new, encrypted, header_len, new_header }
    }

    fn journal_path(&self) -> PathBuf {
        self.dir.path().join(".file.enc.cryptstream-rekey")
    }

    fn journal(&self) -> Journal {
        let format = cryptstream_format::Header::parse(&self.encrypted).unwrap().unwrap().format();
        let (header, payload) = self.encrypted.split_at(self.header_len);
        let prefix = &payload[..format.prefix_len()];
        Journal::new(self.encrypted.len() as u64, header, prefix, &self.new_header)
    }

    /// The file when the new header was written up to this byte, and after it.
    fn tear(&self, from: usize, to: usize) {
        let mut torn = self.encrypted.clone();
        torn[from..to].copy_from_slice(&self.new_header[from..to]);
        fs::write(&self.path, torn).unwrap();
    }

    fn opens(&self, key: &SecretKey) -> bool {
        let output = self.dir.path().join("decrypted");
        let _ = fs::remove_file(&output);
        let target = Target::Path { path: output.clone(), force: false };
        let mut source = Source::open(&self.path).unwrap();
        let keys: [&dyn Identity; 1] = [key];
        let request = Decrypt::source(&mut source).target(target).identities(&keys);
        match engine().decrypt(request) {
            Ok(_) => {
                assert!(fs::read(&output).unwrap() == self.plain);
                true
            }
            Err(Error::Unlock { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    }

    fn rekey(&self, from: &SecretKey, to: &SecretKey) -> Result<RekeySummary, Error> {
        let to = to.to_public();
        engine().rekey(Rekey::file(&self.path).identities(&[from]).recipients(&[&to]))
    }

    /// Only the file itself is there, besides what the test has made.
    fn is_tidy(&self) -> bool {
        let names = fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.into_iter().all(|name| !name.to_string_lossy().starts_with('.'))
    }
}

fn engine() -> Engine {
    Engine::new(
        EngineOptions { processes: crate::Processes::Exactly(0), ..EngineOptions::default() },
        1,
    )
}

#[test]
fn a_header_that_was_written_in_part_is_undone() {
    for (format, recipients) in [(Format::Native, 1), (Format::Native, 60), (Format::Age, 60)] {
        let fixture = Fixture::new(format, recipients);
        fs::write(fixture.journal_path(), fixture.journal().encode()).unwrap();
        let len = fixture.header_len;
        assert!(len > 4096 || recipients == 1);
        let mut count = 0;
        for unit in [512, 4096] {
            for from in (0..len).step_by(unit) {
                for to in (from + unit..len + unit).step_by(unit) {
                    let to = to.min(len);
                    fixture.tear(from, to);
                    let is_new = (from, to) == (0, len);
                    // What differs may all be in what was written.
                    let now = fs::read(&fixture.path).unwrap();
                    let is_new = is_new || now[..len] == fixture.new_header;
                    assert_eq!(fixture.opens(&fixture.new), is_new, "{from}..{to}");
                    assert_eq!(fixture.opens(&fixture.old), !is_new, "{from}..{to}");
                    count += 1;
                }
            }
        }
        assert!(count > 8);
        // And a rekeying brings it in order.
        fixture.tear(0, 512);
        assert_eq!(fixture.rekey(&fixture.old, &fixture.new).unwrap().new_header_len, len as u64);
        assert!(fixture.opens(&fixture.new) && !fixture.opens(&fixture.old) && fixture.is_tidy());
    }
}

#[test]
fn nothing_but_a_torn_header_makes_a_journal_count() {
    let fixture = Fixture::new(Format::Native, 1);
    let stranger = SecretKey::generate().unwrap();
    fs::write(fixture.journal_path(), fixture.journal().encode()).unwrap();
    // Complete: the old key is out.
    fixture.tear(0, fixture.header_len);
    assert!(!fixture.opens(&fixture.old) && fixture.opens(&fixture.new));
    assert!(matches!(fixture.rekey(&fixture.old, &stranger), Err(Error::Unlock { .. })));
    assert!(fixture.journal_path().exists());
    let summary = fixture.rekey(&fixture.new, &stranger).unwrap();
    assert!(fixture.opens(&stranger) && fixture.is_tidy());
    assert!(matches!(summary.method, RekeyMethod::InPlace | RekeyMethod::Shared));

    // Not begun.
    fs::write(&fixture.path, &fixture.encrypted).unwrap();
    fs::write(fixture.journal_path(), fixture.journal().encode()).unwrap();
    assert!(fixture.opens(&fixture.old) && !fixture.opens(&fixture.new));
    fixture.rekey(&fixture.old, &fixture.new).unwrap();
    assert!(fixture.opens(&fixture.new) && fixture.is_tidy());
}

#[test]
fn a_torn_header_without_its_journal_is_damage() {
    let fixture = Fixture::new(Format::Native, 1);
    let other = Fixture::new(Format::Native, 1);
    fixture.tear(0, 100);
    let before = fs::read(&fixture.path).unwrap();
    let cut = &fixture.journal().encode()[..300];
    for journal in [&b""[..], b"nonsense", cut, &other.journal().encode()] {
        fs::write(fixture.journal_path(), journal).unwrap();
        assert!(fixture.rekey(&fixture.old, &fixture.new).is_err());
        assert!(fixture.rekey(&fixture.new, &fixture.old).is_err());
        assert!(fs::read(&fixture.path).unwrap() == before);
        assert_eq!(fs::read(fixture.journal_path()).unwrap(), journal);
    }
    // Nor does a name that leads elsewhere, or a pipe, which would hang.
    fs::remove_file(fixture.journal_path()).unwrap();
    fs::write(fixture.dir.path().join("elsewhere"), fixture.journal().encode()).unwrap();
    symlink("elsewhere", fixture.journal_path()).unwrap();
    assert!(fixture.rekey(&fixture.old, &fixture.new).is_err());
    fs::remove_file(fixture.journal_path()).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        fixture.journal_path(),
        rustix::fs::FileType::Fifo,
        mode,
        0,
    )
    .unwrap();
    assert!(fixture.rekey(&fixture.old, &fixture.new).is_err());
}

#[test]
fn a_strangers_journal_cannot_harm_a_file() {
    let fixture = Fixture::new(Format::Native, 1);
    let payload = &fixture.encrypted[fixture.header_len..];
    // Says that the file is torn, and offers a header of its own.
    let stranger = SecretKey::generate().unwrap();
    let key = cryptstream_format::FileKey::generate().unwrap();
    let hostile = WrappedKey::wrap(Format::Native, &key, &[&stranger.to_public()]).unwrap();
    let hostile = hostile.header(&key, Padding::Exactly(fixture.header_len)).unwrap();
    let journal = Journal::new(fixture.encrypted.len() as u64, &hostile, &payload[..56], b"other");
    fs::write(fixture.journal_path(), journal.encode()).unwrap();
    for who in [&stranger, &fixture.new] {
        assert!(fixture.rekey(who, &fixture.new).is_err());
        assert!(fs::read(&fixture.path).unwrap() == fixture.encrypted);
    }
    assert!(fixture.opens(&fixture.old));
    fixture.rekey(&fixture.old, &fixture.new).unwrap();
    assert!(fixture.opens(&fixture.new) && fixture.is_tidy());
}

#[test]
fn what_is_in_the_journals_way_is_left_alone() {
    let fixture = Fixture::new(Format::Native, 1);
    fs::hard_link(&fixture.path, fixture.dir.path().join("other-name")).unwrap();
    fs::write(fixture.journal_path(), "somebody's").unwrap();
    let error = fixture.rekey(&fixture.old, &fixture.new).unwrap_err();
    assert!(matches!(&error, Error::JournalInTheWay { path } if is(path, &fixture)), "{error}");
    assert_eq!(fs::read(fixture.journal_path()).unwrap(), b"somebody's");
    assert!(fs::read(&fixture.path).unwrap() == fixture.encrypted);
}

fn is(path: &Path, fixture: &Fixture) -> bool {
    path.file_name() == fixture.journal_path().file_name()
}
