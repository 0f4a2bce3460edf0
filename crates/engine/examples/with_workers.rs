//! Encrypts the file `a` with worker processes, which are this program again.

use cryptstream_engine::{Encrypt, Engine, Error, init_worker};
use cryptstream_format::x25519::SecretKey;

fn main() -> Result<(), Error> {
    // First: a process that was started as a worker does not return from here.
    let program = init_worker();
    let public = SecretKey::generate()?.to_public();
    let mut engine = Engine::builder().worker_program(program).build();
    let summary = engine.encrypt(Encrypt::file("a").to("a.enc").recipients(&[&public]))?;
    println!("{} workers", summary.workers.workers);
    Ok(())
}
