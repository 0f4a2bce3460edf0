//! Holds text back until it is verified, compressed and within a limit.

use std::io::{self, Read, Write};

use cryptstream_protection::Protection;

/// The most compressed bytes that a [`Spool`] may hold.
pub const SPOOL_BUDGET: u64 = 32 << 20;

/// The fastest level: lists of names shrink to a tenth at any level.
const LEVEL: i32 = 1;

/// A compressed buffer, which holds a listing until the whole archive is verified.
pub struct Spool(zstd::Encoder<'static, Vec<u8>>);

impl Spool {
    /// An empty spool.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn new() -> io::Result<Self> {
        zstd::Encoder::new(Vec::new(), LEVEL).map(Self)
    }

    /// Appends bytes. Returns whether the spool is still within [`SPOOL_BUDGET`].
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<bool> {
        self.0.write_all(bytes)?;
        let is_within = self.0.get_ref().len() as u64 <= SPOOL_BUDGET;
        Ok(is_within || !Protection::UnpackBudget.is_on())
    }

    /// A reader of everything that was appended.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn into_reader(self) -> io::Result<impl Read> {
        zstd::Decoder::new(io::Cursor::new(self.0.finish()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_comes_back() {
        let mut spool = Spool::new().unwrap();
        for number in 0..10_000 {
            assert!(spool.push(format!("{number}\n").as_bytes()).unwrap());
        }
        let text = io::read_to_string(spool.into_reader().unwrap()).unwrap();
        assert!(text.lines().enumerate().all(|(at, line)| line == at.to_string()));
        assert_eq!(text.lines().count(), 10_000);
    }

    #[test]
    fn what_is_too_much_is_told() {
        let mut spool = Spool::new().unwrap();
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        let within = (0..64)
            .take_while(|_| {
                let part: Vec<u8> = std::iter::repeat_with(&mut random).take(1 << 20).collect();
                spool.push(&part).unwrap()
            })
            .count();
        assert!((30..34).contains(&within), "{within}");
    }
}
