//! How a key is derived from a passphrase, what that costs, and what a file may ask for.

use std::fmt;

/// What one derivation costs (RFC 9106).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB (M).
    pub memory_kib: u32,
    /// Passes over it (T).
    pub passes: u32,
    /// Lanes that can be computed side by side (P).
    pub lanes: u32,
}

impl Cost {
    /// The least that is ever written: RFC 9106's second recommendation.
    pub const MIN: Self = Self { memory_kib: 64 << 10, passes: 3, lanes: 4 };
    /// What is written unless told otherwise.
    pub const DEFAULT: Self = Self { memory_kib: 256 << 10, passes: 3, lanes: 4 };
    /// Memory times passes, in KiB.
    fn work_kib(self) -> u64 {
        u64::from(self.memory_kib) * u64::from(self.passes)
    }

    /// The parameters for the library; `None` outside RFC 9106's own limits.
    pub(super) fn params(self) -> Option<argon2::Params> {
        argon2::Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).ok()
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { memory_kib, passes, lanes } = self;
        write!(f, "{} MiB, {passes} passes, {lanes} lanes", memory_kib.div_ceil(1024))
    }
}

/// The most that a file may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimit {
    each: Cost,
    /// Bound on memory times passes, in KiB.
    work_kib: u64,
}

impl ReadLimit {
    /// Unless told otherwise: 2 GiB, 16 passes and 16 lanes, but not all at
    /// once: memory times passes stays within 8 GiB.
    pub const DEFAULT: Self =
        Self { each: Cost { memory_kib: 2 << 20, passes: 16, lanes: 16 }, work_kib: 8 << 20 };

    /// What `cost` allows, all at once, and what the default allows if `cost`
    /// is less than that.
    #[must_use]
    pub fn up_to(cost: Cost) -> Self {
        let Self { each, work_kib } = Self::DEFAULT;
        Self {
            each: Cost {
                memory_kib: cost.memory_kib.max(each.memory_kib),
                passes: cost.passes.max(each.passes),
                lanes: cost.lanes.max(each.lanes),
            },
            work_kib: cost.work_kib().max(work_kib),
        }
    }

    /// Whether a file that asks for `cost` may be opened.
    #[must_use]
    pub fn allows(self, cost: Cost) -> bool {
        cost.memory_kib <= self.each.memory_kib
            && cost.passes <= self.each.passes
            && cost.lanes <= self.each.lanes
            && cost.work_kib() <= self.work_kib
    }
}

/// How the key of a file is derived from a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyDerivation {
    /// Argon2id, in native files.
    Argon2id(Cost),
    /// scrypt, in files of age, with r = 8 and p = 1.
    Scrypt {
        /// Binary logarithm of N: the memory is 1 KiB << `log_n`.
        log_n: u8,
    },
}

impl fmt::Display for KeyDerivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argon2id(cost) => cost.fmt(f),
            Self::Scrypt { log_n } => write!(f, "scrypt with N = 2^{log_n}"),
        }
    }
}
