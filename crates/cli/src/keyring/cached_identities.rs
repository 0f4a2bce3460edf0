//! Tries the keys of a run on headers before anything is created: a wrong key for a folder is
//! found at once, reported once, and leaves nothing behind.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptstream_engine::program::SecretScope;
use cryptstream_engine::{BatchItem, Error, Parser};
use cryptstream_format::{FileKey, Format, Identity, Stanza, UnlockError, UnwrapError};

/// A key derivation for each salt takes about a second. A passphrase that fits none of the first
/// files with this many salts is not tried on others.
const MAX_DERIVATIONS: usize = 16;
/// The maximum number of other failures that are kept.
const MAX_OTHERS: usize = 100;

/// Identities that cache what they have unwrapped, so that nothing is asked or derived twice for
/// a file.
pub(crate) struct CachedIdentities {
    identities: Vec<CachedIdentity>,
    shared: Arc<SharedState>,
}

struct CachedIdentity {
    identity: Box<dyn Identity>,
    shared: Arc<SharedState>,
}

#[derive(Default)]
struct SharedState {
    /// Whether the state must be consulted.
    is_needed: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_trial: bool,
    /// Salts and costs that a passphrase was derived with.
    derivations: HashSet<String>,
    /// Whether the passphrase was not tried on the present file.
    is_passed_over: bool,
    /// Unwrapped file keys: of the last file tried, or of several files ahead.
    known: Vec<Known>,
}

type Known = (Format, Vec<Stanza>, FileKey);

/// No key fits any file.
pub(crate) struct NoMatchingKey {
    /// How many files no key fits.
    pub(crate) files: u64,
    /// Of these, how many the passphrase was not tried on.
    pub(crate) untried: u64,
    /// What is wrong with the first.
    pub(crate) first: Error,
    /// Failures of other kinds.
    pub(crate) others: Vec<Error>,
}

impl CachedIdentities {
    pub(crate) fn new(identities: Vec<Box<dyn Identity>>) -> Self {
        let shared = Arc::<SharedState>::default();
        let tried = |identity| CachedIdentity { identity, shared: Arc::clone(&shared) };
        Self { identities: identities.into_iter().map(tried).collect(), shared }
    }

    pub(crate) fn identities(&self) -> Vec<&dyn Identity> {
        self.identities.iter().map(|tried| tried as &dyn Identity).collect()
    }

    /// Whether a key should be asked about several files at once.
    pub(crate) fn prefers_batch(&self) -> bool {
        self.identities.iter().any(|tried| tried.identity.prefers_batch())
    }

    /// Unwraps the keys of the next files, in one go if an identity can. Failures are ignored
    /// here, and reported when the file is processed.
    pub(crate) fn look_ahead(&self, items: &[BatchItem], parser: &Parser) {
        let _secrets = SecretScope::open();
        let is_known = |(format, stanzas): &(Format, Vec<Stanza>)| {
            let state = self.shared.lock();
            state.known.iter().any(|known| known.0 == *format && known.1 == *stanzas)
        };
        let headers = items.iter().filter_map(|item| item.stanzas(parser).ok());
        let mut headers: Vec<_> = headers.filter(|header| !is_known(header)).collect();
        let last = self.identities.iter().rposition(|tried| tried.identity.prefers_batch());
        for CachedIdentity { identity, .. } in
            self.identities.iter().take(last.map_or(0, |last| last + 1))
        {
            let found: Vec<Option<FileKey>> = if identity.prefers_batch() {
                identity.unwrap_batch(&headers)
            } else if identity.may_prompt() {
                // It may ask, so it waits until it is needed, as do those after it.
                return;
            } else {
                let unwrap = |(format, stanzas): &(Format, Vec<Stanza>)| {
                    identity.unwrap(*format, stanzas).ok().flatten()
                };
                headers.iter().map(unwrap).collect()
            };
            let mut found = found.into_iter();
            let mut known = Vec::new();
            headers.retain(|(format, stanzas)| match found.next().flatten() {
                Some(file_key) => {
                    known.push((*format, stanzas.clone(), file_key));
                    false
                }
                None => true,
            });
            self.shared.add(known);
        }
    }

    /// Whether a key fits this file.
    pub(crate) fn fits(&self, item: &BatchItem, parser: &Parser) -> bool {
        self.shared.begin();
        let fits = item.try_keys(parser, &self.identities()).is_ok();
        self.shared.end();
        fits
    }

    /// Tries the keys on the files until one fits. Returns `None` then, and also if no file has
    /// failed for want of a key. With `is_fail_fast` only the first file is tried.
    pub(crate) fn none_fits(
        &self,
        items: impl Iterator<Item = BatchItem>,
        parser: &Parser,
        is_fail_fast: bool,
    ) -> Option<NoMatchingKey> {
        self.shared.begin();
        let identities = self.identities();
        let (mut files, mut untried, mut first, mut others) = (0, 0, None, Vec::new());
        for item in items {
            let error = match item.try_keys(parser, &identities) {
                Ok(()) => {
                    first = None;
                    break;
                }
                Err(error) => error,
            };
            untried += u64::from(self.shared.take_passed_over());
            if is_lack_of_key(&error) {
                files += 1;
                first.get_or_insert(error);
            } else if others.len() < MAX_OTHERS {
                others.push(error);
            }
            if is_fail_fast {
                break;
            }
        }
        self.shared.end();
        first.map(|first| NoMatchingKey { files, untried, first, others })
    }
}

/// Whether another key could have decrypted the file.
fn is_lack_of_key(error: &Error) -> bool {
    let Error::Unlock { source, .. } = error else { return false };
    matches!(source, UnlockError::NoMatch | UnlockError::Unwrap(UnwrapError::Key(_)))
}

impl SharedState {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) {
        self.lock().is_trial = true;
        self.is_needed.store(true, Ordering::Relaxed);
    }

    fn end(&self) {
        let mut state = self.lock();
        state.is_trial = false;
        self.is_needed.store(!state.known.is_empty(), Ordering::Relaxed);
    }

    fn take_passed_over(&self) -> bool {
        std::mem::take(&mut self.lock().is_passed_over)
    }

    /// The key of the file that was tried last, once.
    fn take_known(&self, format: Format, stanzas: &[Stanza]) -> Option<FileKey> {
        let mut state = self.lock();
        let is_known = |known: &Known| (known.0, &known.1[..]) == (format, stanzas);
        let at = state.known.iter().position(is_known)?;
        let known = state.known.swap_remove(at);
        let is_needed = state.is_trial || !state.known.is_empty();
        self.is_needed.store(is_needed, Ordering::Relaxed);
        Some(known.2)
    }

    /// Whether a further key derivation would be needed after too many in vain.
    fn is_too_much(&self, stanzas: &[Stanza]) -> bool {
        let mut state = self.lock();
        let stanza = stanzas.iter().find(|stanza| stanza.key_derivation().is_some());
        let Some(stanza) = stanza.filter(|_| state.is_trial) else { return false };
        // Its type, its salt and its cost; a nonce may follow.
        let derivation = stanza.args().take(5).collect::<Vec<_>>().join(" ");
        let is_known = state.derivations.contains(&derivation);
        if !is_known && state.derivations.len() >= MAX_DERIVATIONS {
            state.is_passed_over = true;
            return true;
        }
        state.derivations.insert(derivation);
        false
    }

    fn remember(&self, format: Format, stanzas: &[Stanza], file_key: &FileKey) {
        let _secrets = SecretScope::open();
        let mut state = self.lock();
        if state.is_trial {
            state.known = vec![(format, stanzas.to_vec(), file_key.clone())];
        }
    }

    fn add(&self, known: Vec<Known>) {
        let mut state = self.lock();
        state.known.extend(known);
        self.is_needed.store(!state.known.is_empty(), Ordering::Relaxed);
    }
}

impl Identity for CachedIdentity {
    fn may_prompt(&self) -> bool {
        self.identity.may_prompt()
    }

    fn unwrap(&self, format: Format, stanzas: &[Stanza]) -> Result<Option<FileKey>, UnwrapError> {
        if !self.shared.is_needed.load(Ordering::Relaxed) {
            return self.identity.unwrap(format, stanzas);
        }
        if let Some(file_key) = self.shared.take_known(format, stanzas) {
            return Ok(Some(file_key));
        }
        if self.shared.is_too_much(stanzas) {
            return Ok(None);
        }
        let unwrapped = self.identity.unwrap(format, stanzas)?;
        if let Some(file_key) = &unwrapped {
            self.shared.remember(format, stanzas, file_key);
        }
        Ok(unwrapped)
    }
}
