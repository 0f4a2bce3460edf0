//! Keys held by age plugins (C2SP `age-plugin.md`), such as keys on hardware tokens.
//!
//! A plugin may wait for the user to touch a token. If it stays silent for longer than the
//! [`Timeout`], it is killed, so that unattended jobs end.

mod host;
mod session;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use age::plugin::{Identity as AgeIdentity, Recipient as AgeRecipient};
use cryptstream_format::{
    FileKey, Format, Identity, KeyFailure, Recipient, Stanza, UnwrapError, WrapError, Wrapped,
};

pub(crate) use self::host::PluginState;
pub use self::host::Timeout;
use self::host::{Host, lock};
use crate::age_compat;
use crate::prompt::SharedCallbacks;

/// All recipients of one plugin, including the owners of its identities.
pub(crate) struct PluginRecipients {
    name: String,
    recipients: Vec<AgeRecipient>,
    identities: Vec<AgeIdentity>,
    callbacks: SharedCallbacks,
    timeout: Timeout,
    state: Arc<PluginState>,
    /// Wrapped file keys for the next files.
    prepared: Mutex<Vec<WrappedFileKey>>,
}

/// A new file key with its stanzas.
struct WrappedFileKey {
    file_key: FileKey,
    wrapped: Wrapped,
    /// Whether a file uses it.
    is_given: bool,
}

impl PluginRecipients {
    /// Groups keys by plugin.
    pub(crate) fn group(
        recipients: Vec<AgeRecipient>,
        identities: Vec<AgeIdentity>,
        callbacks: &SharedCallbacks,
        timeout: Timeout,
    ) -> Vec<Self> {
        let names = recipients.iter().map(AgeRecipient::plugin);
        let names = names.chain(identities.iter().map(AgeIdentity::plugin));
        let mut groups: Vec<Self> = Vec::new();
        for name in names {
            if groups.iter().any(|group| group.name == name) {
                continue;
            }
            groups.push(Self {
                name: name.to_owned(),
                recipients: recipients.iter().filter(|r| r.plugin() == name).cloned().collect(),
                identities: identities.iter().filter(|i| i.plugin() == name).cloned().collect(),
                callbacks: SharedCallbacks::clone(callbacks),
                timeout,
                state: Arc::default(),
                prepared: Mutex::default(),
            });
        }
        groups
    }
}

impl PluginRecipients {
    /// Wraps file keys in one session.
    fn wrap_all(&self, file_keys: Vec<FileKey>) -> Result<Vec<Wrapped>, KeyFailure> {
        let host = Host::new(&self.callbacks, &self.state);
        let (recipients, identities) = (self.recipients.clone(), self.identities.clone());
        let user = host.clone();
        let work = move |plugin: PathBuf| {
            session::wrap(&plugin, &recipients, &identities, &file_keys, &user)
        };
        host.run(&self.name, self.timeout, work, |_| true)
    }
}

impl Recipient for PluginRecipients {
    fn wrap(&self, _: Format, file_key: &FileKey) -> Result<Wrapped, WrapError> {
        let mut prepared = lock(&self.prepared);
        if let Some(at) = prepared.iter().position(|it| it.file_key.expose() == file_key.expose()) {
            return Ok(prepared.swap_remove(at).wrapped);
        }
        drop(prepared);
        let mut wrapped = self.wrap_all(vec![file_key.clone()])?;
        Ok(wrapped.pop().ok_or_else(age_compat::no_stanza)?)
    }

    fn may_prompt(&self) -> bool {
        true
    }

    fn expect_files(&self, files: usize) {
        lock(&self.prepared).clear();
        if !self.state.prefers_batch(files) {
            return;
        }
        let Ok(file_keys) = (0..files).map(|_| FileKey::generate()).collect::<Result<Vec<_>, _>>()
        else {
            return;
        };
        match self.wrap_all(file_keys.clone()) {
            Ok(wrapped) => {
                let both = file_keys.into_iter().zip(wrapped);
                let prepared = both.map(|(file_key, wrapped)| WrappedFileKey {
                    file_key,
                    wrapped,
                    is_given: false,
                });
                lock(&self.prepared).extend(prepared);
            }
            Err(_) => self.state.go_one_by_one(),
        }
    }

    fn prepared_file_key(&self) -> Option<FileKey> {
        let mut prepared = lock(&self.prepared);
        let next = prepared.iter_mut().find(|it| !it.is_given)?;
        next.is_given = true;
        Some(next.file_key.clone())
    }
}

/// An identity held by a plugin.
#[derive(Clone)]
pub struct PluginIdentity {
    pub(crate) identity: AgeIdentity,
    pub(crate) callbacks: SharedCallbacks,
    pub(crate) timeout: Timeout,
    pub(crate) state: Arc<PluginState>,
}

impl PluginIdentity {
    /// Unwraps the file keys of several files in one session.
    fn unwrap_all(&self, files: Vec<Vec<Stanza>>) -> Result<Vec<Option<FileKey>>, KeyFailure> {
        let host = Host::new(&self.callbacks, &self.state);
        let (identity, user) = (self.identity.clone(), host.clone());
        let work = move |plugin: PathBuf| session::unwrap(&plugin, &identity, &files, &user);
        let is_proof = |found: &Vec<Option<FileKey>>| found.iter().any(Option::is_some);
        host.run(self.identity.plugin(), self.timeout, work, is_proof)
    }
}

impl Identity for PluginIdentity {
    fn unwrap(&self, _: Format, stanzas: &[Stanza]) -> Result<Option<FileKey>, UnwrapError> {
        let mut found = self.unwrap_all(vec![stanzas.to_vec()])?;
        Ok(found.pop().flatten())
    }

    fn may_prompt(&self) -> bool {
        true
    }

    fn prefers_batch(&self) -> bool {
        true
    }

    fn unwrap_batch(&self, files: &[(Format, Vec<Stanza>)]) -> Vec<Option<FileKey>> {
        if !self.state.prefers_batch(files.len()) {
            return Vec::new();
        }
        let files = files.iter().map(|(_, stanzas)| stanzas.clone()).collect();
        self.unwrap_all(files).unwrap_or_else(|_| {
            self.state.go_one_by_one();
            Vec::new()
        })
    }
}
