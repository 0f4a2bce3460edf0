//! Writes the archives that the fuzzer starts from:
//! `cargo run -p cryptstream --features test-helpers --bin archive_seeds -- fuzz/corpus`.

use std::error::Error;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};

use cryptstream_archive::Packer;
use cryptstream_beneath::Dir;

fn main() -> Result<(), Box<dyn Error>> {
    let corpus = PathBuf::from(std::env::args().nth(1).ok_or("say into which directory")?);
    let corpus = corpus.join("archive");
    fs::create_dir_all(&corpus)?;
    let folder = corpus.with_file_name("archive.input");
    fs::create_dir(&folder)?;
    let at = |name: &str| folder.join(name);
    let long = ["l".repeat(120), "m".repeat(120)].join("/");
    fs::create_dir_all(at(&long))?;
    fs::create_dir(at("d"))?;
    fs::write(at("d/file"), [7; 700])?;
    fs::hard_link(at("d/file"), at("hard"))?;
    symlink("d/file", at("link"))?;
    let sparse = File::create(at("sparse"))?;
    sparse.write_all_at(b"x", 1 << 20)?;
    for (file, level) in [("plain", None), ("zstd", Some(3))] {
        let dir = Dir::open(&folder)?;
        let mut packer = Packer::new(&dir, Vec::new(), level, 1)?;
        for name in ["", "d", "d/file", "hard", "link", &long, "sparse"] {
            packer.add(Path::new(name))?;
        }
        fs::write(corpus.join(file), packer.finish()?.0)?;
    }
    Ok(fs::remove_dir_all(&folder)?)
}
