//! Stanzas, each with a wrapped copy of the file key, and the traits for wrapping and unwrapping
//! it.

pub mod argon2id;
mod derivation;
mod error;
mod known;
pub(crate) mod tag;
mod text;
mod traits;
pub mod x25519;

use crate::Format;

pub use derivation::KeyDerivation;
pub use error::{KeyFailure, KeyFailureKind, StanzaError, UnwrapError, WrapError};
pub use text::Stanza;
pub(crate) use text::{BODY_COLUMNS, StanzaText, decode_line};
pub use traits::{Identity, Recipient, Wrapped};

/// Checks the arguments and the body of a stanza of a known type. Other types are accepted.
pub(crate) fn check(format: Format, stanza: StanzaText<'_>) -> Result<(), StanzaError> {
    x25519::parse(stanza)?;
    known::check(format, stanza)?;
    if format == Format::Age {
        return Ok(());
    }
    argon2id::parse(stanza)?;
    let has_valid_arguments = match (stanza.fields(), stanza.fields()) {
        (Some([]), _) => true,
        (_, Some([argument])) => argument.len() <= 4,
        _ => false,
    };
    if stanza.tag() == tag::PAD && !has_valid_arguments {
        return Err(StanzaError::Malformed(tag::PAD));
    }
    Ok(())
}

/// Checks that a passphrase is the only recipient, and that there is at most one `pad` stanza.
pub(crate) fn check_together<'a>(
    format: Format,
    stanzas: impl Iterator<Item = StanzaText<'a>>,
) -> Result<(), StanzaError> {
    let passphrase = match format {
        Format::Native => tag::ARGON2ID,
        Format::Age => tag::SCRYPT,
    };
    let (mut all, mut passphrases, mut pads) = (0_usize, 0_usize, 0_usize);
    for stanza in stanzas {
        all += 1;
        passphrases += usize::from(stanza.tag() == passphrase);
        pads += usize::from(format == Format::Native && stanza.tag() == tag::PAD);
    }
    if pads > 1 {
        return Err(StanzaError::RepeatedPad);
    }
    if passphrases > 0 && all - pads > 1 {
        return Err(StanzaError::NotAlone);
    }
    Ok(())
}
