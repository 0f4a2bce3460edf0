//! Key derivation from a passphrase: parameters and limits.

use std::fmt;

/// The parameters of Argon2id (RFC 9106).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB (m).
    pub memory_kib: u32,
    /// Passes over the memory (t).
    pub passes: u32,
    /// Lanes, which can be computed in parallel (p).
    pub lanes: u32,
}

impl Cost {
    /// The cheapest parameters that are written: the second recommendation of RFC 9106.
    pub const MIN: Self = Self { memory_kib: 64 << 10, passes: 3, lanes: 4 };
    /// The default parameters.
    pub const DEFAULT: Self = Self { memory_kib: 256 << 10, passes: 3, lanes: 4 };
    /// Memory times passes, in KiB.
    fn work_kib(self) -> u64 {
        u64::from(self.memory_kib) * u64::from(self.passes)
    }

    /// The parameters for the library; `None` outside the limits of RFC 9106.
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

/// The most expensive parameters that a file may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimit {
    each: Cost,
    /// The limit of memory times passes, in KiB.
    work_kib: u64,
}

impl ReadLimit {
    /// The default limit: 2 GiB, 16 passes and 16 lanes, and 8 GiB for memory times passes.
    pub const DEFAULT: Self =
        Self { each: Cost { memory_kib: 2 << 20, passes: 16, lanes: 16 }, work_kib: 8 << 20 };

    /// The default limit, raised so that `cost` is allowed.
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

    /// Whether a file may ask for `cost`.
    #[must_use]
    pub fn allows(self, cost: Cost) -> bool {
        cost.memory_kib <= self.each.memory_kib
            && cost.passes <= self.each.passes
            && cost.lanes <= self.each.lanes
            && cost.work_kib() <= self.work_kib
    }
}

/// The function and parameters by which a key is derived from a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyDerivation {
    /// Argon2id, in native files.
    Argon2id(Cost),
    /// scrypt with r = 8 and p = 1, in age files.
    Scrypt {
        /// The binary logarithm of N. The memory is 1 KiB << `log_n`.
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
