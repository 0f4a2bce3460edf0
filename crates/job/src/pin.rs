//! What a source file was like when the job was planned.

use cryptstream_beneath::{FileId, Pin};
use rustix::fs::Stat;
use serde::{Deserialize, Serialize};

/// A time: seconds since 1970, and nanoseconds in that second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub struct Time(pub i64, pub u32);

impl Time {
    /// From the fields of a `Stat`.
    #[must_use]
    pub fn new(seconds: i64, nanoseconds: u64) -> Self {
        Self(seconds, u32::try_from(nanoseconds).unwrap_or(0))
    }

    /// The present time of this machine.
    #[must_use]
    pub fn now() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(Self::default(), |since| {
            Self(i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
        })
    }
}

/// What a source file was like when the job was planned.
///
/// The device number is not part of it, since the same file system has another number on another
/// machine. The time of the last status change is, as no program can set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Pinned {
    /// The inode number; `None` where the file system makes the numbers up.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub inode: Option<u64>,
    /// The time of the last modification.
    pub modified: Time,
    /// The time of the last status change.
    pub changed: Time,
}

impl Pinned {
    /// The file with these attributes, on a file system with stable inode numbers or not.
    #[must_use]
    pub fn of(stat: &Stat, has_stable_inodes: bool) -> Self {
        Self {
            inode: has_stable_inodes.then(|| FileId::of(stat).ino),
            modified: Time::new(stat.st_mtime, stat.st_mtime_nsec),
            changed: Time::new(stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    /// Whether a file with these attributes and this length is the same, and unchanged.
    #[must_use]
    pub fn is(&self, size: u64, stat: &Stat) -> bool {
        let found = Self::of(stat, self.inode.is_some());
        *self == found && u64::try_from(stat.st_size) == Ok(size)
    }

    /// What is compared again when the file is opened.
    #[must_use]
    pub fn pin(&self, size: u64) -> Pin {
        let time = |Time(seconds, nanoseconds): Time| (seconds, u64::from(nanoseconds));
        Pin { size, modified: time(self.modified), changed: time(self.changed) }
    }
}
