//! Encrypts the file `a` as `a.enc`, and decrypts that as `b`.

use cryptstream_engine::{Decrypt, Encrypt, Engine, Error};
use cryptstream_format::x25519::SecretKey;

fn main() -> Result<(), Error> {
    let key = SecretKey::generate()?;
    let mut engine = Engine::builder().build();
    engine.encrypt(Encrypt::file("a").to("a.enc").recipients(&[&key.to_public()]))?;
    engine.decrypt(Decrypt::file("a.enc").to("b").identities(&[&key]))?;
    Ok(())
}
