//! Prints the file key of an encrypted file in hex. For tests only.
//!
//! ```text
//! export_file_key FILE IDENTITY_FILE
//! TEST_PASSPHRASE=… export_file_key FILE
//! ```
//!
//! The released program must never be able to do this. Someone with a file key can read the file
//! for ever, whatever happens to the recipients' keys, and can write another payload under the same
//! header, which every recipient would accept as the original. A command that prints file keys
//! would soon appear in scripts, logs and shell histories. But a second implementation of the
//! format needs to compare the value from which everything else is derived.

use std::error::Error;
use std::{env, fs};

use cryptstream_format::argon2id::{PassphraseIdentity, ReadLimit};
use cryptstream_format::{Header, Identity, x25519};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args_os().skip(1);
    let encrypted = args.next().ok_or("usage: export_file_key FILE [IDENTITY_FILE]")?;
    let identity: Box<dyn Identity> = match args.next() {
        Some(path) => Box::new(read_identity(&fs::read_to_string(path)?)?),
        None => {
            let passphrase = env::var("TEST_PASSPHRASE")?.into_bytes();
            Box::new(PassphraseIdentity::new(passphrase.into(), ReadLimit::DEFAULT))
        }
    };

    let header = Header::parse(&fs::read(encrypted)?)?.ok_or("the header is cut off")?;
    let file_key = header.unlock(&[identity.as_ref()])?;
    for byte in file_key.expose() {
        print!("{byte:02x}");
    }
    println!();
    Ok(())
}

/// The first secret key of an identity file, whose comments begin with `#`.
fn read_identity(text: &str) -> Result<x25519::SecretKey, Box<dyn Error>> {
    let line = text.lines().find(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(line.ok_or("the identity file holds no key")?.parse()?)
}
