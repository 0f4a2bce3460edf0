//! Whom to seal for.

use cryptstream_format::x25519::{KeyError, PublicKey};

use crate::{LineError, content_lines};

/// A text that is not a recipient. The text itself is not part of it: it
/// might be a secret that was pasted into the wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    /// A secret key where a public one belongs.
    #[error("this is a secret key, not a recipient")]
    IsSecret,
    /// A kind of recipient that age knows and this version does not.
    #[error("{0} recipients are not supported by this version")]
    Unsupported(&'static str),
    /// Begins like a recipient, but does not check out.
    #[error("this is not a valid recipient: {0}")]
    Invalid(#[from] KeyError),
    /// Something else altogether.
    #[error("this is not a recipient; one begins with `age1`")]
    Unknown,
}

/// Reads one recipient, `age1…`.
///
/// # Errors
/// See [`RecipientError`].
pub fn parse_recipient(text: &str) -> Result<PublicKey, RecipientError> {
    let text = text.trim();
    if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
        return Err(RecipientError::IsSecret);
    }
    if text.starts_with("ssh-") {
        return Err(RecipientError::Unsupported("SSH"));
    }
    match text.parse() {
        Ok(key) => Ok(key),
        Err(_) if text.starts_with("age1pq1") => {
            Err(RecipientError::Unsupported("post-quantum (age1pq)"))
        }
        Err(KeyError::OtherKind) if text.starts_with("age1") => {
            Err(RecipientError::Unsupported("plugin"))
        }
        Err(error) if text.to_ascii_lowercase().starts_with("age1") => Err(error.into()),
        Err(_) => Err(RecipientError::Unknown),
    }
}

/// Reads a recipients file: one recipient a line, blank lines and `#`
/// comments between them.
///
/// # Errors
/// The first line that is not a recipient.
pub fn parse_recipients(text: &str) -> Result<Vec<PublicKey>, LineError<RecipientError>> {
    content_lines(text)
        .map(|(line, content)| parse_recipient(content).map_err(|error| LineError { line, error }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cryptstream_format::x25519::SecretKey;

    #[test]
    fn a_file_with_comments_and_blank_lines_is_read() {
        let keys: Vec<_> = (0..2).map(|_| SecretKey::generate().unwrap().to_public()).collect();
        let text = format!("# Alice\r\n{}\r\n\n  {}  \n#end", keys[0], keys[1]);
        assert_eq!(parse_recipients(&text).unwrap(), keys);
        assert_eq!(parse_recipients("# nobody\n").unwrap(), []);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let key = SecretKey::generate().unwrap();
        let public = key.to_public().to_string();
        let typo = format!("{}{}", &public[..20], &public[21..]);
        for (text, error) in [
            (typo.as_str(), RecipientError::Invalid(KeyError::Checksum)),
            (&key.expose_text(), RecipientError::IsSecret),
            (&key.expose_text().to_lowercase(), RecipientError::IsSecret),
            ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA", RecipientError::Unsupported("SSH")),
            ("hello", RecipientError::Unknown),
        ] {
            assert_eq!(parse_recipient(text), Err(error), "{text}");
            let file = format!("# one\n{public}\n{text}\n");
            assert_eq!(parse_recipients(&file), Err(LineError { line: 3, error }));
        }
    }
}
