//! Text that is held back until it is known to be true, compressed and within a budget.

use std::io::{self, Read, Write};

use cryptstream_protection::Protection;

/// Bytes that a [`Spool`] may take, compressed.
pub const SPOOL_BUDGET: u64 = 32 << 20;

/// How fast it is compressed: lists of names become a tenth at any level.
const LEVEL: i32 = 1;

/// See the module's description.
pub struct Spool(zstd::Encoder<'static, Vec<u8>>);

impl Spool {
    /// An empty one.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn new() -> io::Result<Self> {
        zstd::Encoder::new(Vec::new(), LEVEL).map(Self)
    }

    /// Adds bytes. Returns whether they are within the budget.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<bool> {
        self.0.write_all(bytes)?;
        let is_within = self.0.get_ref().len() as u64 <= SPOOL_BUDGET;
        Ok(is_within || !Protection::UnpackBudget.is_on())
    }

    /// All that was added, to be read.
    ///
    /// # Errors
    /// When there is no memory.
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
