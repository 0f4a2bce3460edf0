//! Who can open: identity files in age's form.

use cryptstream_format::x25519::{KeyError, SecretKey};
use zeroize::Zeroizing;

use crate::{LineError, content_lines};

/// A text that is not an identity. The text itself is not part of it: it is
/// likely to be a damaged secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A public key where a secret one belongs.
    #[error("this is a recipient (a public key), not an identity")]
    IsPublic,
    /// A kind of identity that age knows and this version does not.
    #[error("{0} identities are not supported by this version")]
    Unsupported(&'static str),
    /// Begins like an identity, but does not check out.
    #[error("this is not a valid identity: {0}")]
    Invalid(#[from] KeyError),
    /// Something else altogether.
    #[error("this is not an identity; one begins with `AGE-SECRET-KEY-1`")]
    Unknown,
    /// The file holds comments and blank lines only.
    #[error("there is no identity in the file")]
    Empty,
}

/// Reads an identity file: one `AGE-SECRET-KEY-1…` a line, blank lines and
/// `#` comments between them; at least one identity.
///
/// # Errors
/// The first line that is not an identity.
pub fn parse_identities(text: &str) -> Result<Vec<SecretKey>, LineError<IdentityError>> {
    let keys: Vec<_> = content_lines(text)
        .map(|(line, content)| parse_identity(content).map_err(|error| LineError { line, error }))
        .collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Err(LineError { line: text.lines().count().max(1), error: IdentityError::Empty });
    }
    Ok(keys)
}

fn parse_identity(text: &str) -> Result<SecretKey, IdentityError> {
    let is_secret = |prefix: &str| {
        text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    match text.parse() {
        Ok(key) => Ok(key),
        Err(_) if text.starts_with("age1") || text.starts_with("ssh-") => {
            Err(IdentityError::IsPublic)
        }
        Err(_) if text.starts_with("-----BEGIN") => {
            Err(IdentityError::Unsupported("SSH and passphrase-protected"))
        }
        Err(_) if text.starts_with("age-encryption.org/") => {
            Err(IdentityError::Unsupported("passphrase-protected"))
        }
        Err(_) if is_secret("AGE-SECRET-KEY-PQ-1") => {
            Err(IdentityError::Unsupported("post-quantum"))
        }
        Err(_) if is_secret("AGE-PLUGIN-") => Err(IdentityError::Unsupported("plugin")),
        Err(error) if is_secret("AGE-SECRET-KEY-") => Err(error.into()),
        Err(_) => Err(IdentityError::Unknown),
    }
}

/// The content of an identity file, with `created` (such as a date) and the
/// recipient in comments above the secret, as age writes it.
#[must_use]
pub fn write_identity(key: &SecretKey, created: &str) -> Zeroizing<String> {
    let text = key.expose_text();
    let public = key.to_public();
    // Large enough from the start, so that no copy is left behind in memory.
    let mut file = Zeroizing::new(String::with_capacity(512));
    for part in ["# created: ", created, "\n# public key: ", &public.to_string(), "\n", &text, "\n"]
    {
        file.push_str(part);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let key = SecretKey::generate().unwrap();
        let file = write_identity(&key, "2026-01-01T00:00:00Z");
        assert!(file.contains(&format!("# public key: {}\n", key.to_public())));
        let read = parse_identities(&file).unwrap();
        assert_eq!(read[0].to_public(), key.to_public());
    }

    #[test]
    fn what_is_wrong_is_named_and_no_secret_is_repeated() {
        let key = SecretKey::generate().unwrap();
        let secret = key.expose_text();
        let cut = &secret[..secret.len() - 1];
        for (text, error) in [
            (cut, IdentityError::Invalid(KeyError::Checksum)),
            (&key.to_public().to_string(), IdentityError::IsPublic),
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----",
                IdentityError::Unsupported("SSH and passphrase-protected"),
            ),
            ("AGE-PLUGIN-YUBIKEY-1QQQ", IdentityError::Unsupported("plugin")),
            ("swordfish", IdentityError::Unknown),
        ] {
            let failure = parse_identities(&format!("# mine\n{text}\n")).err();
            assert_eq!(failure, Some(LineError { line: 2, error }));
            assert!(!failure.unwrap().to_string().contains(text));
        }
        let empty = parse_identities("# nothing\n\n").err();
        assert_eq!(empty, Some(LineError { line: 2, error: IdentityError::Empty }));
    }
}
