//! Reads key files.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cryptstream_beneath::KnownFile;
use cryptstream_engine::{Source, Target};
use cryptstream_keys::{
    AnyIdentity, Passphrase, RecipientsFile, SharedCallbacks, Timeout, parse_identities,
    parse_recipients,
};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use zeroize::Zeroizing;

use crate::args::is_dash;
use crate::messages::{self, Failure, KeyKind};
use crate::write_access;

/// The largest key file that is read: 16 MiB, as in age, which is about 8,000 post-quantum
/// recipients.
const MAX_KEY_FILE_LEN: usize = 16 << 20;
/// The permission bits of users who are neither the owner nor in the group.
const OTHERS: u32 = 0o007;

/// The files and pipes that keys were read from.
pub(super) struct KeyFiles {
    /// Whether files are encrypted with these keys. Then anyone who can change a key file chooses
    /// who can read what is encrypted.
    is_for_encryption: bool,
    known: Vec<KnownFile>,
    is_stdin_read: bool,
}

impl KeyFiles {
    /// Files with keys to encrypt with.
    pub(super) fn for_encryption() -> Self {
        Self { is_for_encryption: true, known: Vec::new(), is_stdin_read: false }
    }

    /// Files with keys to decrypt with only.
    pub(super) fn for_decryption() -> Self {
        Self { is_for_encryption: false, ..Self::for_encryption() }
    }

    /// Whether the keys are to encrypt with.
    pub(super) fn is_for_encryption(&self) -> bool {
        self.is_for_encryption
    }

    /// Reads a file of recipients.
    pub(super) fn read_recipients(&mut self, path: &Path) -> Result<RecipientsFile, Failure> {
        let bytes = self.read_small(path, KeyKind::Recipients)?;
        parse_recipients(&bytes).map_err(|error| messages::recipients_invalid(path, &error))
    }

    /// Reads an identity file, and warns if other users can read it.
    pub(super) fn read_identities(
        &mut self,
        path: &Path,
        callbacks: &SharedCallbacks,
        timeout: Timeout,
    ) -> Result<Vec<AnyIdentity>, IdentityFileError> {
        let content =
            self.read_small(path, KeyKind::Identities).map_err(IdentityFileError::Failed)?;
        let name = messages::quoted(path);
        let identities = parse_identities(&content, &name, callbacks, timeout);
        let identities = identities.map_err(|error| {
            IdentityFileError::Unusable(messages::identities_invalid(path, &error))
        })?;
        if identities.iter().any(AnyIdentity::is_unprotected) {
            warn_if_open(path, KeyKind::Identities);
        }
        Ok(identities)
    }

    /// Reads a passphrase from a file or an open descriptor, and warns if other users can read the
    /// file. Also returns where the passphrase comes from, for messages.
    pub(super) fn read_passphrase(
        &mut self,
        file: Option<&Path>,
        (flag, descriptor): (&str, Option<u32>),
    ) -> Result<Option<(String, Passphrase)>, Failure> {
        // Opens the descriptor by a path: its number alone does not say who owns it.
        let path = match (file, descriptor) {
            (Some(path), _) => path.to_owned(),
            (None, Some(number)) => {
                let path = PathBuf::from(format!("/dev/fd/{number}"));
                if path.symlink_metadata().is_err() {
                    return Err(messages::descriptor_not_open(flag, number));
                }
                path
            }
            (None, None) => return Ok(None),
        };
        let content = self.read(&path, KeyKind::Passphrase, Passphrase::READ_LEN)?;
        let origin = messages::quoted(&path);
        let passphrase = Passphrase::from_file_content(content)
            .map_err(|error| messages::bad_passphrase(&origin, error))?;
        if file.is_some() {
            warn_if_open(&path, KeyKind::Passphrase);
        }
        Ok(Some((origin, passphrase)))
    }

    /// Reads a whole file of at most [`MAX_KEY_FILE_LEN`] bytes.
    fn read_small(&mut self, path: &Path, kind: KeyKind) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let bytes = self.read(path, kind, MAX_KEY_FILE_LEN + 1)?;
        if bytes.len() > MAX_KEY_FILE_LEN {
            return Err(messages::key_file_too_large(path));
        }
        Ok(bytes)
    }

    /// Reads at most `limit` bytes of a file, or of standard input for `-`.
    pub(super) fn read(
        &mut self,
        path: &Path,
        kind: KeyKind,
        limit: usize,
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        // A message could show the secret as a file name.
        if is_secret(path) {
            return Err(messages::secret_as_name());
        }
        let failed = |error: io::Error| messages::key_file_unreadable(path, &error);
        let file = if is_dash(path.as_os_str()) {
            if std::mem::replace(&mut self.is_stdin_read, true) {
                return Err(messages::stdin_twice());
            }
            File::from(io::stdin().as_fd().try_clone_to_owned().map_err(failed)?)
        } else {
            File::open(path).map_err(failed)?
        };
        if !is_dash(path.as_os_str()) {
            let access = write_access::of(path, &file).map_err(failed)?;
            if access.is_writable {
                return Err(messages::key_file_writable(path, access.other_owner));
            }
            if let (true, Some(owner)) = (self.is_for_encryption, access.other_owner) {
                messages::warn(&messages::key_file_of_another_user(path, owner, kind));
            }
        }
        self.known.push(KnownFile::open(&file).map_err(|error| failed(error.into()))?);
        read_secret(file.take(limit as u64)).map_err(failed)
    }

    pub(super) fn known(&self) -> &[KnownFile] {
        &self.known
    }

    pub(super) fn check(&self, source: &Source, target: &Target) -> Result<(), Failure> {
        let data = source.known();
        if self.known.iter().any(|key| key.is(&data)) {
            return Err(messages::key_is_data(source.path()));
        }
        if let Some(path) = target.path()
            && let Ok(output) = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            && let Ok(stat) = fstat(&output)
            && FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice
        {
            let output = KnownFile::of(&output, &stat);
            if self.known.iter().any(|key| key.is(&output)) {
                return Err(messages::key_is_output(path));
            }
        }
        Ok(())
    }
}

/// Why an identity file gave no identities.
pub(super) enum IdentityFileError {
    /// Its content cannot be used; another file may do.
    Unusable(Failure),
    /// It could not be read, or must not be used.
    Failed(Failure),
}

impl IdentityFileError {
    pub(super) fn into_failure(self) -> Failure {
        let (Self::Unusable(failure) | Self::Failed(failure)) = self;
        failure
    }
}

/// Warns if other users can access a file with a secret.
fn warn_if_open(path: &Path, kind: KeyKind) {
    let is_open = !is_dash(path.as_os_str())
        && std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.mode() & OTHERS != 0);
    if is_open {
        messages::warn(&messages::open_to_others(path, kind));
    }
}

/// Whether a path is really a secret key.
pub(crate) fn is_secret(path: &Path) -> bool {
    let text = path.as_os_str().to_string_lossy().to_ascii_uppercase();
    text.starts_with("AGE-SECRET-KEY-") || text.starts_with("AGE-PLUGIN-")
}

/// Reads to the end without leaving copies in memory: a buffer that becomes too small is wiped.
fn read_secret(mut from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; 4096]);
    let mut len = 0;
    loop {
        match from.read(&mut bytes[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if len == bytes.len() {
            let mut larger = Zeroizing::new(vec![0; 4 * len]);
            larger[..len].copy_from_slice(&bytes);
            bytes = larger;
        }
    }
    bytes.truncate(len);
    Ok(bytes)
}
