//! The headers of `vectors/hostile.json`. Each must be refused for its stated reason, and those
//! just within a limit must be accepted. This crate and the reference implementation are held to
//! the same list.

mod common;

use common::{bytes, number, text, unhex};
use cryptstream_format::argon2id::{PassphraseIdentity, ReadLimit};
use cryptstream_format::header::{HeaderErrorKind, UnlockError};
use cryptstream_format::stanza::StanzaError;
use cryptstream_format::{Format, Header, UnwrapError, x25519};
use cryptstream_reference::{Key, decrypt as reference_decrypt};
use serde_json::Value;

#[test]
fn hostile_headers_are_refused_for_their_reason() {
    let list = common::vectors("hostile.json");
    let cases = list["refused"].as_array().unwrap();
    assert!(cases.len() > 100);
    for case in cases {
        assert_eq!(
            why_refused(&list, &header(case)),
            text(case, "reason"),
            "{}",
            text(case, "name")
        );
    }
}

#[test]
fn hostile_headers_are_refused_before_any_payload() {
    let list = common::vectors("hostile.json");
    for case in list["refused"].as_array().unwrap() {
        let file = [header(case), payload(&list)].concat();
        let name = text(case, "name");
        assert!(common::open(&file, &identity(&list)).is_err(), "{name}");
        assert!(common::open(&file, &passphrase(&list)).is_err(), "{name}");
        for key in reference_keys(&list) {
            assert!(reference_decrypt(&file, &key).is_err(), "the reference opens {name}");
        }
    }
}

#[test]
fn headers_at_the_edge_are_accepted() {
    let list = common::vectors("hostile.json");
    for case in list["accepted"].as_array().unwrap() {
        let file = [header(case), payload(&list)].concat();
        let name = text(case, "name");
        let product = common::open(&file, &identity(&list))
            .or_else(|_| common::open(&file, &passphrase(&list)));
        assert_eq!(product.as_deref(), Ok([].as_slice()), "{name}");
        let [x25519, passphrase] = reference_keys(&list);
        let reference =
            reference_decrypt(&file, &x25519).or_else(|_| reference_decrypt(&file, &passphrase));
        assert_eq!(reference.as_deref(), Ok([].as_slice()), "{name}");
    }
}

/// The word that the vectors use for an error of this crate.
fn why_refused(list: &Value, header: &[u8]) -> &'static str {
    let header = match Header::parse(header) {
        Ok(Some(header)) => header,
        Ok(None) => return "incomplete",
        Err(error) => return parse_reason(error.kind),
    };
    // The header is for one of the keys; the other one finds no stanza.
    match header.unlock(&[&identity(list), &passphrase(list)]) {
        Ok(_) => "not refused",
        // As an age header it is well-formed, but the MAC has another key.
        Err(UnlockError::Mac) if header.format() == Format::Age => "version",
        Err(UnlockError::Mac) => "mac",
        Err(UnlockError::NoMatch) => "no match",
        Err(UnlockError::Unwrap(UnwrapError::TooExpensive(_))) => "too_expensive",
        // The form was checked by the parser, so this is the share itself.
        Err(UnlockError::Unwrap(UnwrapError::Stanza(StanzaError::Malformed("X25519")))) => {
            "low_order"
        }
        Err(UnlockError::Unwrap(_)) => "another error",
    }
}

fn parse_reason(kind: HeaderErrorKind) -> &'static str {
    match kind {
        HeaderErrorKind::Version => "version",
        HeaderErrorKind::Line => "line",
        HeaderErrorKind::Arguments => "arguments",
        HeaderErrorKind::Base64 => "base64",
        HeaderErrorKind::NoStanza => "no_stanza",
        HeaderErrorKind::TooManyStanzas(_) => "too_many_stanzas",
        HeaderErrorKind::TooLong(_) => "too_long",
        HeaderErrorKind::Stanza(StanzaError::Malformed(_)) => "malformed",
        HeaderErrorKind::Stanza(StanzaError::NotAlone) => "not_alone",
        HeaderErrorKind::Stanza(StanzaError::RepeatedPad) => "repeated_pad",
        _ => "another error",
    }
}

fn header(case: &Value) -> Vec<u8> {
    let mut header = text(case, "header").to_owned();
    if case.get("repeat").is_some() {
        header += &text(case, "repeat").repeat(number(case, "count"));
        header += text(case, "then");
    }
    header.into_bytes()
}

fn payload(list: &Value) -> Vec<u8> {
    unhex(text(list, "payload"))
}

fn identity(list: &Value) -> x25519::SecretKey {
    x25519::SecretKey::from_bytes(bytes(list, "identity_secret"))
}

fn passphrase(list: &Value) -> PassphraseIdentity {
    let passphrase = text(list, "passphrase").as_bytes().to_vec();
    PassphraseIdentity::new(passphrase.into(), ReadLimit::DEFAULT)
}

fn reference_keys(list: &Value) -> [Key; 2] {
    let passphrase = text(list, "passphrase").as_bytes().to_vec();
    [Key::X25519(bytes(list, "identity_secret")), Key::Passphrase(passphrase)]
}
