//! What must hold for every header, valid or not: it is read as it was written, the reference
//! implementation agrees, no input panics, and no flipped bit is accepted.

mod common;

use common::Known;
use cryptstream_format::{
    FileKey, Format, Header, Identity, Padding, PayloadCipher, Recipient, Stanza, WrapError,
    Wrapped, build_header, x25519,
};
use cryptstream_reference as reference;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// A recipient with given stanzas.
struct Given(Vec<Stanza>);

impl Recipient for Given {
    fn wrap(&self, _: Format, _: &FileKey) -> Result<Wrapped, WrapError> {
        Ok(Wrapped { stanzas: self.0.clone(), ..Wrapped::default() })
    }
}

fn stanzas() -> impl Strategy<Value = Vec<Stanza>> {
    let stanza =
        (prop::collection::vec("[!-~]{1,70}", 0..4), prop::collection::vec(any::<u8>(), 0..200));
    let stanza = stanza.prop_map(|(arguments, body)| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Stanza::new("unknown", &arguments, body).expect("the arguments are printable")
    });
    prop::collection::vec(stanza, 1..6)
}

fn padding() -> impl Strategy<Value = Padding> {
    prop_oneof![Just(Padding::None), (64..600usize).prop_map(Padding::Multiple)]
}

/// Pieces of headers in any order, most of them almost valid.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let text = |text: &'static str| Just(text.as_bytes().to_vec()).boxed();
    let share = "5kcC1wl0mE6VNIGnqf8X2dyZh9aQ7n6Zk0qUeR1GbTo";
    let full_line = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
    let piece = prop::strategy::Union::new([
        text("-> "),
        text("-> x\n"),
        text("-> X25519 "),
        text("-> argon2id "),
        text("-> pad\n\n"),
        text("-> pad ----\n\n"),
        text(" "),
        text("65536"),
        text("3"),
        text("AAAAAAAAAAAAAAAAAAAAAA"),
        Just(share.as_bytes().to_vec()).boxed(),
        text("\n"),
        text("\r\n"),
        Just(full_line.as_bytes().to_vec()).boxed(),
        text("--- "),
        Just(format!("-> X25519 {share}\n{share}\n").into_bytes()).boxed(),
        Just(format!("-> x y\n{full_line}\n").into_bytes()).boxed(),
        Just(format!("--- {share}\n").into_bytes()).boxed(),
        prop::collection::vec(any::<u8>(), 0..4).boxed(),
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Both implementations read the same stanzas up to the same byte, or both refuse.
fn check_agreement(input: &[u8]) -> Result<(), TestCaseError> {
    let product = Header::parse(input);
    // The reference implements only the native format.
    if matches!(&product, Ok(Some(header)) if header.format() == Format::Age) {
        return Ok(());
    }
    match (product, reference::parse_header(input)) {
        (Ok(Some(header)), Ok(expected)) => {
            prop_assert_eq!(header.len(), expected.len);
            let stanzas: Vec<_> = header
                .stanzas()
                .iter()
                .map(|stanza| reference::RefStanza {
                    args: stanza.args().map(str::to_owned).collect(),
                    body: stanza.body(),
                })
                .collect();
            prop_assert_eq!(stanzas, expected.stanzas);
        }
        (Ok(None) | Err(_), Err(_)) => {}
        (product, reference) => prop_assert!(false, "{product:?} but {reference:?}"),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1024,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..Default::default()
    })]

    #[test]
    fn a_header_is_read_as_it_was_written(stanzas in stanzas(), padding in padding()) {
        let file_key = FileKey::generate().unwrap();
        let header = build_header(Format::Native, &file_key, &[&Given(stanzas.clone())], padding).unwrap();
        let parsed = Header::parse(&header).unwrap().unwrap();
        prop_assert_eq!(parsed.len(), header.len());
        let (read, pad) = parsed.stanzas().split_at(stanzas.len());
        prop_assert_eq!(read, stanzas.as_slice());
        prop_assert_eq!(pad.len(), usize::from(padding != Padding::None));
        prop_assert!(pad.iter().all(|stanza| stanza.tag() == "pad"));
        check_agreement(&header)?;
        prop_assert!(parsed.unlock(&[&Known(*file_key.expose())]).is_ok());
        prop_assert!(parsed.unlock(&[&Known([0; 16])]).is_err());

        // Bytes after the header are left alone, and missing bytes are asked for.
        let followed = Header::parse(&[header.as_slice(), b"-> x\n\n"].concat()).unwrap();
        prop_assert_eq!(followed, Some(parsed));
        for len in 0..header.len() {
            prop_assert_eq!(Header::parse(&header[..len]), Ok(None), "{} bytes", len);
        }
    }

    #[test]
    fn any_bytes_are_read_alike(input in prop::collection::vec(any::<u8>(), 0..300)) {
        check_agreement(&input)?;
        check_agreement(&[b"cryptstream/v1\n".as_slice(), &input].concat())?;
    }

    #[test]
    fn pieces_of_headers_are_read_alike(pieces in pieces(), file_key: [u8; 16]) {
        let lines = [b"cryptstream/v1\n".as_slice(), &pieces].concat();
        check_agreement(&lines)?;
        // With a valid end more of them are accepted.
        check_agreement(&reference::finish_header(file_key, lines))?;
    }

    #[test]
    fn a_spoilt_header_is_read_alike_and_does_not_unlock(
        stanzas in stanzas(),
        at in any::<prop::sample::Index>(),
        removed in 0..70usize,
        inserted in "[ -~\n\r]{0,3}",
    ) {
        let file_key = FileKey::generate().unwrap();
        let header = build_header(Format::Native, &file_key, &[&Given(stanzas)], Padding::None).unwrap();
        let at = at.index(header.len());
        let mut spoilt = header.clone();
        spoilt.splice(at..(at + removed).min(header.len()), inserted.bytes());
        check_agreement(&spoilt)?;
        if let Ok(Some(parsed)) = Header::parse(&spoilt) {
            let is_intact = spoilt.starts_with(&header);
            let unlocked = parsed.unlock(&[&Known(*file_key.expose())]);
            prop_assert_eq!(unlocked.is_ok(), is_intact);
        }
    }
}

/// Flips bits of a header that is followed by its payload.
fn flip_bits(header: &[u8], payload: &[u8], identity: &dyn Identity, bits: &[usize]) {
    let mut file = [header, payload].concat();
    assert!(common::open(&file, identity).is_ok());
    for byte in 0..header.len() {
        for bit in bits {
            file[byte] ^= 1 << bit;
            assert!(common::open(&file, identity).is_err(), "byte {byte} bit {bit}");
            file[byte] ^= 1 << bit;
        }
    }
}

#[test]
fn no_bit_of_a_header_can_change() {
    let all = [0, 1, 2, 3, 4, 5, 6, 7];
    let file_key = FileKey::from_bytes([3; 16]);
    let payload = common::seal_payload(&PayloadCipher::with_salt(&file_key, [4; 24]), b"text");
    let identity = x25519::SecretKey::from_bytes([5; 32]);
    let another = x25519::SecretKey::from_bytes([6; 32]).to_public();
    let public = identity.to_public();
    let short =
        build_header(Format::Native, &file_key, &[&public, &another], Padding::None).unwrap();
    flip_bits(&short, &payload, &identity, &all);
    flip_bits(&short, &payload, &Known([3; 16]), &all);
    let padded =
        build_header(Format::Native, &file_key, &[&another, &public], Padding::Multiple(4096))
            .unwrap();
    flip_bits(&padded, &payload, &identity, &[0, 5]);
    flip_bits(&padded, &payload, &Known([3; 16]), &all);

    // Without running Argon2id for every bit: the MAC alone must detect it.
    let cost = reference::Cost { memory_kib: 32, passes: 1, lanes: 4 };
    let argon2id = reference::argon2id_stanza([3; 16], b"passphrase", [7; 16], cost, [8; 16]);
    let header = reference::build_header([3; 16], &[argon2id]);
    flip_bits(&header, &payload, &Known([3; 16]), &all);
}
