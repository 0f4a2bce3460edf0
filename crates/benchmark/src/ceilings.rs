//! What this machine can do at best: to be measured in the same run, or a
//! number says more about the day than about the program.

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Instant;

use cryptstream_engine::Error as EngineError;
use cryptstream_format::payload::SEGMENT_LEN;
use cryptstream_format::{ChunkCipher, FileKey, Format, PayloadCipher, Segment};

use super::error::Error;
use super::stats::Timing;

/// Far more than any cache holds.
const MEMORY_LEN: usize = 128 << 20;
/// Sealed by each core in one run; 30 ms or so.
const CIPHER_LEN: u64 = 96 << 20;
/// What the engine seals in one go; it stays in the core's cache.
const PART_LEN: usize = 256 << 10;
/// As `cp` has it.
const COPY_BUFFER: usize = 256 << 10;

/// Those that have nothing to do with a file's size.
#[derive(Clone, Debug)]
pub(super) struct Ceilings {
    pub(super) memory_copy: Ceiling,
    pub(super) seal: Ceiling,
    pub(super) open: Ceiling,
    /// Sealing on all cores at once, in as many threads.
    pub(super) seal_on_all: Ceiling,
}

/// Times, each for as many bytes.
#[derive(Clone, Debug)]
pub(super) struct Ceiling {
    pub(super) bytes: u64,
    pub(super) timing: Timing,
}

impl Ceiling {
    /// Bytes per second.
    pub(super) fn rate(&self) -> f64 {
        self.timing.rate(self.bytes).median
    }
}

impl Ceilings {
    pub(super) fn measure(runs: u16, cores: usize) -> Result<Self, Error> {
        let all = CIPHER_LEN.saturating_mul(cores as u64);
        Ok(Self {
            memory_copy: copy_memory(runs),
            seal: ceiling(runs, CIPHER_LEN, || run_cipher(Direction::Seal))?,
            open: ceiling(runs, CIPHER_LEN, || run_cipher(Direction::Open))?,
            seal_on_all: ceiling(runs, all, || run_on_all(cores))?,
        })
    }
}

fn ceiling(runs: u16, bytes: u64, run: impl Fn() -> Result<(), Error>) -> Result<Ceiling, Error> {
    let mut timing = Timing::default();
    for _ in 0..runs {
        let started = Instant::now();
        run()?;
        timing.add(started.elapsed().as_secs_f64());
    }
    Ok(Ceiling { bytes, timing })
}

fn copy_memory(runs: u16) -> Ceiling {
    let mut timing = Timing::default();
    // Not zeroes: those might be one and the same page over and over.
    let from = vec![1u8; MEMORY_LEN];
    let mut to = vec![2u8; MEMORY_LEN];
    for _ in 0..runs {
        let started = Instant::now();
        to.copy_from_slice(black_box(&from));
        black_box(&mut to);
        timing.add(started.elapsed().as_secs_f64());
    }
    Ceiling { bytes: MEMORY_LEN as u64, timing }
}

#[derive(Clone, Copy)]
enum Direction {
    Seal,
    Open,
}

fn run_on_all(cores: usize) -> Result<(), Error> {
    std::thread::scope(|scope| {
        let others: Vec<_> =
            (1..cores).map(|_| scope.spawn(|| run_cipher(Direction::Seal))).collect();
        let own = run_cipher(Direction::Seal);
        let others = others.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err(Error::Internal("a thread panicked".to_owned())))
        });
        others.fold(own, Result::and)
    })
}

/// Seals or opens the same part in memory again and again, as the engine does
/// with one segment after the other.
fn run_cipher(direction: Direction) -> Result<(), Error> {
    let broken = |error: &dyn std::fmt::Display| Error::Internal(error.to_string());
    let key = FileKey::generate().map_err(|error| broken(&error))?;
    let cipher: ChunkCipher = PayloadCipher::generate(Format::Native, &key)
        .map_err(|error| broken(&error))?
        .into_chunks();
    let Some(part) = Segment::inner(Format::Native, 0).split(PART_LEN).next() else {
        return Ok(());
    };
    let mut text = vec![1; part.plaintext_len()];
    let mut sealed = vec![0; part.sealed_len()];
    cipher.seal(&part, &text, &mut sealed).map_err(|error| broken(&error))?;
    for index in 0..CIPHER_LEN / SEGMENT_LEN as u64 {
        for segment in Segment::inner(Format::Native, index).split(PART_LEN) {
            let done = match direction {
                Direction::Seal => cipher.seal(&segment, &text, &mut sealed),
                // It opens only where it was sealed.
                Direction::Open => cipher.open(&part, &sealed, &mut text),
            };
            done.map_err(|error| broken(&error))?;
            black_box((&mut text, &mut sealed));
        }
    }
    Ok(())
}

/// Copies a file to a name that is free, as `cp --reflink=never` does where it
/// does not leave the work to the kernel.
pub(super) fn copy_file(from: &Path, to: &Path, buffer: &mut Vec<u8>) -> Result<(), Error> {
    buffer.resize(COPY_BUFFER, 0);
    let open = |source| EngineError::Open { path: from.to_owned(), source };
    let create = |source| EngineError::Create { path: to.to_owned(), source };
    let mut input = File::open(from).map_err(open)?;
    let mut output = OpenOptions::new().write(true).create_new(true).open(to).map_err(create)?;
    let mut offset = 0;
    loop {
        let len = match input.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => {
                return Err(EngineError::Read { path: from.to_owned(), offset, source }.into());
            }
        };
        output.write_all(&buffer[..len]).map_err(|source| EngineError::Write {
            path: to.to_owned(),
            offset,
            source,
        })?;
        offset += len as u64;
    }
}
