//! Encrypts the file `a`, and decrypts the 16 bytes in the middle of `a.enc`.

use std::io::{Read, Seek, SeekFrom};

use cryptstream_engine::{Encrypt, Engine};
use cryptstream_format::x25519::SecretKey;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (key, mut engine) = (SecretKey::generate()?, Engine::builder().build());
    engine.encrypt(Encrypt::file("a").to("a.enc").recipients(&[&key.to_public()]))?;
    let mut reader = engine.open("a.enc", &[&key])?;
    reader.seek(SeekFrom::Start(reader.len() / 2))?;
    std::io::copy(&mut reader.take(16), &mut std::io::stdout())?;
    Ok(())
}
