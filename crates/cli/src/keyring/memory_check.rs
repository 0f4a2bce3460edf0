//! Keys whose derivation takes much memory, which is asked for before: where there is less,
//! the system would not refuse it but kill the process.

use std::sync::atomic::{AtomicU32, Ordering};

use cryptstream_engine::available_memory;
use cryptstream_format::argon2id::{Cost, ReadLimit};
use cryptstream_format::{
    FileKey, Format, Identity, KeyDerivation, Recipient, Stanza, UnwrapError, WrapError, Wrapped,
};
use cryptstream_keys::MAX_LOG_N;

/// A passphrase, as far as there is memory for it.
pub(super) struct MemoryChecked<T> {
    key: T,
    /// KiB that a derivation takes, or has taken.
    checked_kib: AtomicU32,
}

/// To encrypt with, at a cost of so many KiB.
pub(super) fn recipient<R: Recipient>(key: R, kib: u32) -> MemoryChecked<R> {
    MemoryChecked { key, checked_kib: AtomicU32::new(kib) }
}

/// To decrypt with, at the costs that files ask for, within a limit.
pub(super) fn identity<I: Identity>(key: I, limit: ReadLimit) -> LimitedIdentity<I> {
    LimitedIdentity { inner: MemoryChecked { key, checked_kib: AtomicU32::new(0) }, limit }
}

/// The same, and what a file may ask for.
pub(super) struct LimitedIdentity<I> {
    inner: MemoryChecked<I>,
    limit: ReadLimit,
}

/// Whether the system has so much memory. Where it does not tell, it is tried.
fn has_memory(kib: u32) -> bool {
    available_memory().is_none_or(|(bytes, _)| bytes >> 10 >= u64::from(kib))
}

impl<R: Recipient> Recipient for MemoryChecked<R> {
    fn wrap(&self, format: Format, file_key: &FileKey) -> Result<Wrapped, WrapError> {
        let kib = self.checked_kib.load(Ordering::Relaxed);
        if self.key.is_slow() && !has_memory(kib) {
            return Err(WrapError::OutOfMemory(kib));
        }
        self.key.wrap(format, file_key)
    }

    fn is_slow(&self) -> bool {
        self.key.is_slow()
    }

    fn may_ask(&self) -> bool {
        self.key.may_ask()
    }
}

impl<I: Identity> Identity for LimitedIdentity<I> {
    fn may_ask(&self) -> bool {
        self.inner.key.may_ask()
    }

    fn unwrap(&self, format: Format, stanzas: &[Stanza]) -> Result<Option<FileKey>, UnwrapError> {
        let derivation = stanzas.iter().find_map(Stanza::key_derivation);
        // What is refused for its cost is refused by the key itself.
        let kib = match (derivation, format) {
            (Some(KeyDerivation::Argon2id(cost)), Format::Native) if self.limit.allows(cost) => {
                let Cost { memory_kib, .. } = cost;
                memory_kib
            }
            (Some(KeyDerivation::Scrypt { log_n }), Format::Age) if log_n <= MAX_LOG_N => {
                1 << log_n
            }
            _ => return self.inner.key.unwrap(format, stanzas),
        };
        // Once for each cost, and not for each file.
        let is_more = kib > self.inner.checked_kib.load(Ordering::Relaxed);
        if is_more && !has_memory(kib) {
            return Err(UnwrapError::OutOfMemory(kib));
        }
        let unwrapped = self.inner.key.unwrap(format, stanzas);
        if unwrapped.is_ok() {
            self.inner.checked_kib.fetch_max(kib, Ordering::Relaxed);
        }
        unwrapped
    }
}
