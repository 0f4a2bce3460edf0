//! Checks the other stanzas of age when a header is parsed, before they are unwrapped elsewhere.

use super::argon2id;
use super::derivation::KeyDerivation;
use super::error::StanzaError;
use super::tag::{POST_QUANTUM, SCRYPT, SSH_ED25519, SSH_RSA};
use super::text::{Stanza, StanzaText, decode_arg};
use crate::Format;

/// Bytes of the key hash by which an SSH stanza names its recipient.
const SSH_TAG_LEN: usize = 4;
/// The length of an X-Wing encapsulation in bytes: an ML-KEM-768 ciphertext and an X25519 share.
const XWING_LEN: usize = 1120;

impl Stanza {
    /// The key derivation, if this is a passphrase stanza. Only for stanzas of a parsed header.
    #[must_use]
    pub fn key_derivation(&self) -> Option<KeyDerivation> {
        if let Ok(Some(parsed)) = argon2id::parse(self.text()) {
            return Some(KeyDerivation::Argon2id(parsed.cost()));
        }
        if self.tag() != SCRYPT {
            return None;
        }
        scrypt_log_n(self.text()).map(|log_n| KeyDerivation::Scrypt { log_n })
    }

    /// Whether the key exchange is post-quantum.
    #[must_use]
    pub fn is_post_quantum(&self) -> bool {
        matches!(self.tag(), POST_QUANTUM | "mlkem768p256tag")
    }
}

/// Checks the arguments and the body of a stanza of one of these types.
pub(super) fn check(format: Format, stanza: StanzaText<'_>) -> Result<(), StanzaError> {
    let has_key_body = || stanza.wrapped_key().is_some();
    let (tag, is_well_formed) = match stanza.tag() {
        SCRYPT if format == Format::Age => {
            (SCRYPT, scrypt_log_n(stanza).is_some() && has_key_body())
        }
        SSH_ED25519 => {
            let has_args = matches!(stanza.fields(), Some([tag, share])
                if decode_arg::<SSH_TAG_LEN>(tag).is_some() && decode_arg::<32>(share).is_some());
            (SSH_ED25519, has_args && has_key_body())
        }
        // The body is as long as the modulus of the key.
        SSH_RSA => {
            let has_args = matches!(stanza.fields(), Some([tag])
                if decode_arg::<SSH_TAG_LEN>(tag).is_some());
            (SSH_RSA, has_args)
        }
        POST_QUANTUM => {
            let has_args = matches!(stanza.fields(), Some([share])
                if decode_arg::<XWING_LEN>(share).is_some());
            (POST_QUANTUM, has_args && has_key_body())
        }
        _ => return Ok(()),
    };
    if is_well_formed { Ok(()) } else { Err(StanzaError::Malformed(tag)) }
}

/// The cost in a `scrypt` stanza, if its arguments are valid: a salt of 16 bytes and a decimal
/// number without leading zeros.
fn scrypt_log_n(stanza: StanzaText<'_>) -> Option<u8> {
    let [salt, log_n] = stanza.fields()?;
    decode_arg::<16>(salt)?;
    let is_plain = log_n.bytes().all(|byte| byte.is_ascii_digit()) && !log_n.starts_with('0');
    is_plain.then(|| log_n.parse().ok()).flatten().filter(|log_n| *log_n < 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stanza(tag: &str, args: &[&str], body_len: usize) -> Stanza {
        Stanza::new(tag, args, vec![0; body_len]).unwrap()
    }

    #[test]
    fn other_shapes_are_refused() {
        let (salt, share, tag) = ("A".repeat(22), "A".repeat(43), "A".repeat(6));
        let xwing = format!("{}AA", "A".repeat(1120 / 3 * 4 + 2 - 2));
        let is_good = |stanza: &Stanza| check(Format::Age, stanza.text()).is_ok();
        for (name, args) in [
            (SCRYPT, vec![salt.as_str(), "18"]),
            (SSH_ED25519, vec![tag.as_str(), share.as_str()]),
            (POST_QUANTUM, vec![xwing.as_str()]),
        ] {
            assert!(is_good(&stanza(name, &args, 32)), "{name}");
            for body_len in [0, 31, 33, 64] {
                assert!(!is_good(&stanza(name, &args, body_len)), "{name} {body_len}");
            }
            assert!(!is_good(&stanza(name, &args[1..], 32)), "{name}: too few");
            let more: Vec<_> = args.iter().copied().chain(["x"]).collect();
            assert!(!is_good(&stanza(name, &more, 32)), "{name}: too many");
            let short = &args[0][1..];
            let cut: Vec<_> = std::iter::once(short).chain(args[1..].iter().copied()).collect();
            assert!(!is_good(&stanza(name, &cut, 32)), "{name}: cut");
        }
        for log_n in ["0", "018", "+18", "-1", "1e1", "64", "256"] {
            assert!(!is_good(&stanza(SCRYPT, &[&salt, log_n], 32)), "{log_n}");
        }
        assert!(check(Format::Native, stanza(SCRYPT, &["x"], 1).text()).is_ok(), "unknown there");
    }

    #[test]
    fn the_derivation_is_told() {
        let scrypt = stanza(SCRYPT, &[&"A".repeat(22), "18"], 32);
        assert_eq!(scrypt.key_derivation(), Some(KeyDerivation::Scrypt { log_n: 18 }));
        assert_eq!(stanza("X25519", &["x"], 32).key_derivation(), None);
    }
}
