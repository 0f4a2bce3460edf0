//! Encrypts the files of the folder `tree` into the folder `tree.enc`.

use cryptstream_beneath::{Dir, Folder, Walk};
use cryptstream_engine::{BatchItem, EncryptAll, Engine};
use cryptstream_format::x25519::SecretKey;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (root, public) = (Dir::open("tree".as_ref())?, SecretKey::generate()?.to_public());
    let mut items = Walk::new(Folder::root(root)?, true, |_, _, _| true).filter_map(|found| {
        let found = found.map_err(|error| eprintln!("{error:?}")).ok()?;
        let output = std::path::Path::new("tree.enc").join(&found.relative);
        std::fs::create_dir_all(output.parent()?).ok()?;
        BatchItem::found(found, output)
    });
    let mut engine = Engine::builder().build();
    println!("{:?}", engine.encrypt_all(EncryptAll::items(&mut items).recipients(&[&public])));
    Ok(())
}
