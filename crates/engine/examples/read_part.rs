//! Encrypts the file `a`, and reads 16 bytes from its middle out of the encrypted file.

use std::io::{Read, Seek, SeekFrom};

use cryptstream_engine::{Encrypt, Engine};
use cryptstream_format::x25519::SecretKey;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (key, mut engine) = (SecretKey::generate()?, Engine::builder().build());
    engine.encrypt(Encrypt::file("a").to("a.enc").recipients(&[&key.to_public()]))?;
    let mut reader = engine.open("a.enc", &[&key])?;
    reader.seek(SeekFrom::Start(reader.len() / 2))?;
    let mut part = [0; 16];
    reader.read_exact(&mut part)?;
    println!("{part:02x?}");
    Ok(())
}
