//! Encrypts standard input to standard output.

use cryptstream_engine::{Encrypt, Engine, Error, Source};
use cryptstream_format::x25519::SecretKey;

fn main() -> Result<(), Error> {
    let public = SecretKey::generate()?.to_public();
    let mut input = Source::stdin()?;
    let mut engine = Engine::builder().build();
    engine.encrypt(Encrypt::source(&mut input).to_stdout().recipients(&[&public]))?;
    Ok(())
}
