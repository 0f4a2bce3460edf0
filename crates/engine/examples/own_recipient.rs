//! Encrypts the file `a` to a recipient type of this program, which logs its use.

use cryptstream_engine::{Encrypt, Engine, Error};
use cryptstream_format::x25519::{PublicKey, SecretKey};
use cryptstream_format::{FileKey, Format, Recipient, WrapError, Wrapped};

struct Logged(PublicKey);

impl Recipient for Logged {
    fn wrap(&self, format: Format, file_key: &FileKey) -> Result<Wrapped, WrapError> {
        println!("wrapping a file key to {}", self.0);
        self.0.wrap(format, file_key)
    }
}

fn main() -> Result<(), Error> {
    let (key, mut engine) = (SecretKey::generate()?, Engine::builder().build());
    engine.encrypt(Encrypt::file("a").to("a.enc").recipients(&[&Logged(key.to_public())]))?;
    Ok(())
}
