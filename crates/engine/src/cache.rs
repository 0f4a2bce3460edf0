//! Which content stays in the page cache.

use crate::data_file::Caching;
use crate::memory::available_memory;
use crate::output::CommitOptions;

/// Whether the content of files that are read and written stays in the system's page cache.
///
/// Content that stays makes the next program that reads it faster, and pushes out what others
/// would have read again. It concerns regular files of 8 MiB and more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cache {
    /// Files of more than a quarter of the available memory do not stay, nor do files that are
    /// made durable anyway, unless their outputs are to be read back.
    #[default]
    Auto,
    /// Everything stays.
    Keep,
    /// Nothing stays, as far as the system and the file system support that.
    Drop,
}

/// Smaller files stay in the cache: 8 MiB.
const DROP_FROM: u64 = 8 << 20;
/// What certainly fits, so that the available memory need not be known: 64 MiB.
const FITS: u64 = 64 << 20;
/// `Auto` keeps files of up to this share of the available memory.
const SHARE: u64 = 4;

impl Cache {
    /// Decides how the content of an input, which has `len` bytes if that is known, and of its
    /// output passes through the cache.
    pub(crate) fn caching(self, len: Option<u64>, commit: CommitOptions) -> Caching {
        self.decide(len, commit, || available_memory().map_or(u64::MAX, |(bytes, _)| bytes))
    }

    /// Whether none of `len` bytes stays in the cache, if that many are written, and made durable
    /// if `sync` says so.
    #[must_use]
    pub fn drops(self, len: Option<u64>, sync: bool) -> bool {
        self.caching(len, CommitOptions { sync, ..CommitOptions::default() }).drop_from == 0
    }

    fn decide(
        self,
        len: Option<u64>,
        commit: CommitOptions,
        available: impl Fn() -> u64,
    ) -> Caching {
        if len.is_some_and(|len| len < DROP_FROM) {
            return Caching::KEEP;
        }
        let is_written_through = commit.sync || commit.remove_source;
        let drop_from = match (self, len) {
            (Self::Keep, _) => u64::MAX,
            (Self::Drop, _) => 0,
            (Self::Auto, _) if is_written_through && !commit.verifies() => 0,
            (Self::Auto, Some(len)) if len <= FITS || len <= available() / SHARE => u64::MAX,
            (Self::Auto, Some(_)) => 0,
            (Self::Auto, None) => available() / SHARE,
        };
        Caching { drop_from, is_written_through }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays_and_what_goes_to_the_device_does_not() {
        const GIB: u64 = 1 << 30;
        let none = CommitOptions::default();
        let sync = CommitOptions { sync: true, ..none };
        let verify = CommitOptions { sync: true, verify: true, ..none };
        let remove = CommitOptions { remove_source: true, ..none };
        for (cache, len, commit, drop_from, is_written_through) in [
            (Cache::Auto, Some(100), sync, u64::MAX, false),
            (Cache::Drop, Some(DROP_FROM - 1), none, u64::MAX, false),
            (Cache::Drop, Some(DROP_FROM), none, 0, false),
            (Cache::Auto, Some(GIB), none, u64::MAX, false),
            (Cache::Auto, Some(GIB + 1), none, 0, false),
            (Cache::Auto, None, none, GIB, false),
            (Cache::Auto, Some(GIB), sync, 0, true),
            (Cache::Auto, Some(GIB), verify, u64::MAX, true),
            (Cache::Auto, Some(2 * GIB), remove, 0, true),
            (Cache::Keep, Some(100 * GIB), sync, u64::MAX, true),
        ] {
            let caching = cache.decide(len, commit, || 4 * GIB);
            let expected = Caching { drop_from, is_written_through };
            assert_eq!(caching, expected, "{cache:?} {len:?} {commit:?}");
        }
    }
}
