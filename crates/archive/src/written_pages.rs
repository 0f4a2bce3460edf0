//! Drops what is written from the page cache.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;

use rustix::fs::{Advice, fadvise};

/// Pages are dropped in pieces of this length, 8 MiB. Shorter files stay in the cache.
const STRIDE: u64 = 8 << 20;
/// How far behind pages are dropped, 64 MiB. Until then the device has had time to write them.
const LAG: u64 = 64 << 20;

/// The pages of a file that is written from its beginning to its end.
pub(crate) struct WrittenPages<'a> {
    file: &'a File,
    /// Up to here pages are on their way to the device.
    begun: u64,
}

impl<'a> WrittenPages<'a> {
    pub(crate) fn new(file: &'a File) -> Self {
        Self { file, begun: 0 }
    }

    /// Has the system write what comes before `end`, and drops what lies further behind.
    pub(crate) fn drop_behind(&mut self, end: u64) {
        while end - self.begun.min(end) >= STRIDE {
            // Of pages that are not on the device yet, this begins the writing.
            self.advise(self.begun, NonZeroU64::new(STRIDE));
            if let Some(behind) = self.begun.checked_sub(LAG) {
                self.advise(behind, NonZeroU64::new(STRIDE));
            }
            self.begun += STRIDE;
        }
    }

    /// Makes the file durable and drops all of it, unless it is short.
    pub(crate) fn drop_rest(self) -> io::Result<()> {
        if self.begun > 0 {
            self.file.sync_data()?;
            self.advise(0, None);
        }
        Ok(())
    }

    fn advise(&self, start: u64, len: Option<NonZeroU64>) {
        // Only a hint, so its failure does not matter.
        let _ = fadvise(self.file, start, len, Advice::DontNeed);
    }
}
