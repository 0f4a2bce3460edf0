//! age's public test vectors, from the crate `age`: files that must be decrypted, and files that
//! must be refused, each for its own reason.

use std::fs;
use std::path::Path;

use crate::common::{Dir, Done};
use cryptstream_reference::age_vectors;
use sha2::{Digest, Sha256};

/// The number of vectors when this was written, as a check that none is missing.
const FEWEST: usize = 123;

/// The length of a chunk in age.
const CHUNK: usize = 65_536;

/// One file of the test kit: `key: value` lines, a blank line, an age file.
#[derive(Default)]
struct Vector {
    name: String,
    expect: String,
    /// SHA-256 of the plaintext, or of its part before the damage.
    payload: Option<String>,
    identities: Vec<String>,
    passphrases: Vec<String>,
    file: Vec<u8>,
}

impl Vector {
    fn read(path: &Path) -> Self {
        let content = fs::read(path).unwrap();
        let split = content.windows(2).position(|pair| pair == b"\n\n").unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut vector = Self { name, file: content[split + 2..].to_vec(), ..Self::default() };
        for line in std::str::from_utf8(&content[..split]).unwrap().lines() {
            let (key, value) = line.split_once(": ").unwrap();
            let value = value.to_owned();
            match (key, value.as_str()) {
                ("expect", _) => vector.expect = value,
                ("payload", _) => vector.payload = Some(value),
                ("identity", _) => vector.identities.push(value),
                ("passphrase", _) => vector.passphrases.push(value),
                ("compressed", "zlib") => {
                    vector.file =
                        miniz_oxide::inflate::decompress_to_vec_zlib(&vector.file).unwrap();
                }
                ("armored" | "file key" | "comment", _) => {}
                _ => panic!("{}: what is {line:?}?", vector.name),
            }
        }
        vector
    }

    /// The exit status for the expected result.
    fn code(&self) -> i32 {
        match self.expect.as_str() {
            "success" => 0,
            "header failure" | "armor failure" | "HMAC failure" | "payload failure" => 65,
            "no match" => 77,
            expect => panic!("{}: what is {expect:?}?", self.name),
        }
    }

    /// Whether the bytes are the payload, or its whole part before the damage.
    fn is_payload(&self, bytes: &[u8]) -> bool {
        let digest = Sha256::digest(bytes);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.payload.as_ref() == Some(&digest)
    }

    /// Whether the bytes may be released despite the damage: nothing, or a prefix of the part
    /// before the damage, which is one of `sound`.
    fn may_release(&self, bytes: &[u8], sound: &[Vec<u8>]) -> bool {
        if self.expect != "payload failure" {
            return bytes.is_empty();
        }
        let before = sound.iter().find(|text| self.is_payload(text));
        before.expect("one of them").starts_with(bytes)
    }
}

fn vectors() -> Vec<Vector> {
    let entries = fs::read_dir(age_vectors()).unwrap().map(|entry| entry.unwrap().path());
    let mut vectors: Vec<_> = entries.map(|path| Vector::read(&path)).collect();
    vectors.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(vectors.len() >= FEWEST, "{} vectors, not {FEWEST}", vectors.len());
    vectors
}

/// Arguments that decrypt the file `encrypted`, and whether the result is on standard output or
/// in the file `decrypted`.
struct Invocation {
    args: &'static [&'static str],
    is_pipe: bool,
}

/// Decrypts every vector with these arguments, and names all failures at the end.
fn check(invocation: &Invocation) {
    let dir = Dir::new();
    dir.keygen("unrelated");
    let (good, bad): (Vec<_>, Vec<_>) = vectors().into_iter().partition(|v| v.code() == 0);
    let mut complaints = Vec::new();
    let mut sound = vec![Vec::new()];
    for vector in good {
        let (done, decrypted) = open(&dir, &vector, invocation);
        if done.code() != Some(0) || !vector.is_payload(&decrypted) {
            complaints.push(format!("{}: {} bytes, {done:?}", vector.name, decrypted.len()));
        } else {
            sound.push(decrypted);
        }
    }
    // Damaged vectors begin like the others: some follow a whole payload, some one or two chunks.
    let longest = sound.iter().max_by_key(|text| text.len()).unwrap();
    sound.extend([longest[..CHUNK].to_vec(), longest[..2 * CHUNK].to_vec()]);
    for vector in bad {
        let (done, decrypted) = open(&dir, &vector, invocation);
        let is_right = match invocation.is_pipe {
            true => vector.may_release(&decrypted, &sound),
            false => decrypted.is_empty() && !dir.path("decrypted").exists(),
        };
        if done.code() != Some(vector.code()) || !is_right {
            let (name, expect) = (vector.name, vector.expect);
            complaints.push(format!("{name} ({expect}): {} bytes, {done:?}", decrypted.len()));
        }
    }
    let count = complaints.len();
    assert!(complaints.is_empty(), "{count} complaints:\n{}", complaints.join("\n"));
}

/// Decrypts a vector and returns the result. Nothing else may be left.
fn open(dir: &Dir, vector: &Vector, invocation: &Invocation) -> (Done, Vec<u8>) {
    dir.write("encrypted", &vector.file);
    dir.write("id", vector.identities.join("\n"));
    dir.write_secret("passphrase", vector.passphrases.first().map_or("", String::as_str));
    let mut args = [&["decrypt"], invocation.args].concat();
    if !vector.passphrases.is_empty() {
        args.extend(["--passphrase-file", "passphrase"]);
    }
    if !vector.identities.is_empty() {
        args.extend(["-i", "id"]);
    } else if vector.passphrases.is_empty() {
        args.extend(["-i", "unrelated"]);
    }
    let _ = fs::remove_file(dir.path("decrypted"));
    let before = dir.names();
    let mut done =
        dir.command(&args).input(if invocation.is_pipe { &vector.file } else { b"" }).run();
    let mut left = dir.names();
    left.retain(|name| name != "decrypted" || done.code() != Some(0));
    assert_eq!(left, before, "{}", vector.name);
    let decrypted = match invocation.is_pipe {
        true => std::mem::take(&mut done.stdout),
        false => fs::read(dir.path("decrypted")).unwrap_or_default(),
    };
    (done, decrypted)
}

#[test]
fn from_a_file() {
    check(&Invocation { args: &["encrypted", "decrypted", "--processes", "0"], is_pipe: false });
}

#[test]
fn from_a_file_with_workers() {
    check(&Invocation { args: &["encrypted", "decrypted", "--processes", "2"], is_pipe: false });
}

#[test]
fn from_a_pipe() {
    check(&Invocation { args: &["-", "-"], is_pipe: true });
}
