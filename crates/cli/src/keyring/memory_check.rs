//! Checks the available memory before an expensive key derivation, since the system would kill
//! the process instead of refusing memory.

use std::sync::atomic::{AtomicU32, Ordering};

use cryptstream_engine::program::available_memory;
use cryptstream_format::argon2id::{Cost, ReadLimit};
use cryptstream_format::{
    FileKey, Format, Identity, KeyDerivation, Recipient, Stanza, UnwrapError, WrapError, Wrapped,
};
use cryptstream_keys::MAX_LOG_N;

/// A passphrase key that is used only if there is enough memory.
pub(super) struct MemoryChecked<T> {
    key: T,
    /// The memory of a derivation that was checked, in KiB.
    checked_kib: AtomicU32,
}

/// A recipient whose derivation takes this many KiB.
pub(super) fn recipient<R: Recipient>(key: R, kib: u32) -> MemoryChecked<R> {
    MemoryChecked { key, checked_kib: AtomicU32::new(kib) }
}

/// An identity for files with costs up to a limit.
pub(super) fn identity<I: Identity>(key: I, limit: ReadLimit) -> LimitedIdentity<I> {
    LimitedIdentity { inner: MemoryChecked { key, checked_kib: AtomicU32::new(0) }, limit }
}

/// An identity with a limit.
pub(super) struct LimitedIdentity<I> {
    inner: MemoryChecked<I>,
    limit: ReadLimit,
}

/// Whether this much memory is available, or the system does not tell.
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

    fn may_prompt(&self) -> bool {
        self.key.may_prompt()
    }
}

impl<I: Identity> Identity for LimitedIdentity<I> {
    fn may_prompt(&self) -> bool {
        self.inner.key.may_prompt()
    }

    fn unwrap(&self, format: Format, stanzas: &[Stanza]) -> Result<Option<FileKey>, UnwrapError> {
        let derivation = stanzas.iter().find_map(Stanza::key_derivation);
        // The key itself refuses a cost above the limit.
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
