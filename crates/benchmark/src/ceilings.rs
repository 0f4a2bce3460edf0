//! The limits of the machine. They are measured in the same run, since they vary from day to
//! day.

use std::hint::black_box;
use std::time::Instant;

use cryptstream_format::payload::SEGMENT_LEN;
use cryptstream_format::{ChunkCipher, FileKey, Format, PayloadCipher, Segment};

use crate::error::Error;
use crate::stats::Samples;

/// Far more than fits in any cache.
const MEMORY_LEN: usize = 128 << 20;
/// Bytes that each core encrypts in one run, in about 30 ms.
const CIPHER_LEN: u64 = 96 << 20;
/// As much as the engine encrypts in one call; it fits in the core's cache.
const PART_LEN: usize = 256 << 10;
/// The limits that do not depend on the size of a file.
#[derive(Clone, Debug)]
pub(crate) struct Ceilings {
    pub(crate) memory_copy: Ceiling,
    pub(crate) seal: Ceiling,
    pub(crate) open: Ceiling,
    /// All cores at once, with a thread on each.
    pub(crate) seal_all_cores: Ceiling,
}

/// The times that `bytes` took.
#[derive(Clone, Debug)]
pub(crate) struct Ceiling {
    pub(crate) bytes: u64,
    pub(crate) samples: Samples,
}

impl Ceiling {
    /// Bytes per second.
    pub(crate) fn rate(&self) -> f64 {
        self.samples.rate(self.bytes).median
    }
}

impl Ceilings {
    pub(crate) fn measure(runs: u16, cores: usize) -> Result<Self, Error> {
        let all = CIPHER_LEN.saturating_mul(cores as u64);
        Ok(Self {
            memory_copy: copy_memory(runs),
            seal: ceiling(runs, CIPHER_LEN, || run_cipher(Direction::Seal))?,
            open: ceiling(runs, CIPHER_LEN, || run_cipher(Direction::Open))?,
            seal_all_cores: ceiling(runs, all, || run_on_all(cores))?,
        })
    }
}

fn ceiling(runs: u16, bytes: u64, run: impl Fn() -> Result<(), Error>) -> Result<Ceiling, Error> {
    let mut samples = Samples::default();
    for _ in 0..runs {
        let started = Instant::now();
        run()?;
        samples.add(started.elapsed().as_secs_f64());
    }
    Ok(Ceiling { bytes, samples })
}

fn copy_memory(runs: u16) -> Ceiling {
    let mut samples = Samples::default();
    // Not zeros, which could all be the same page.
    let from = vec![1u8; MEMORY_LEN];
    let mut to = vec![2u8; MEMORY_LEN];
    for _ in 0..runs {
        let started = Instant::now();
        to.copy_from_slice(black_box(&from));
        black_box(&mut to);
        samples.add(started.elapsed().as_secs_f64());
    }
    Ceiling { bytes: MEMORY_LEN as u64, samples }
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

/// Encrypts or decrypts the same buffer again and again, as the engine does with one segment
/// after the other.
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
    let mut encrypted = vec![0; part.sealed_len()];
    cipher.seal(&part, &text, &mut encrypted).map_err(|error| broken(&error))?;
    for index in 0..CIPHER_LEN / SEGMENT_LEN as u64 {
        for segment in Segment::inner(Format::Native, index).split(PART_LEN) {
            let done = match direction {
                Direction::Seal => cipher.seal(&segment, &text, &mut encrypted),
                // It decrypts only at the position where it was encrypted.
                Direction::Open => cipher.open(&part, &encrypted, &mut text),
            };
            done.map_err(|error| broken(&error))?;
            black_box((&mut text, &mut encrypted));
        }
    }
    Ok(())
}
