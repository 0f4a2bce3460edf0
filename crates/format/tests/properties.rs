//! What must hold for every file: this crate and the reference implementation read each other's
//! files, segments are independent, and every change to a payload is detected.

mod common;

use common::{open, open_payload, open_segments, seal_payload};
use cryptstream_format::argon2id::{Cost, PassphraseIdentity, PassphraseRecipient, ReadLimit};
use cryptstream_format::{
    FileKey, Format, Layout, Padding, PayloadCipher, Recipient, Segment, build_header, x25519,
};
use cryptstream_reference as reference;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

const CHUNK: usize = 16_384;
const MIB: usize = 1 << 20;

fn cases(cases: u32) -> ProptestConfig {
    let persistence = FileFailurePersistence::WithSource("regressions");
    ProptestConfig { cases, failure_persistence: Some(Box::new(persistence)), ..Default::default() }
}

/// Lengths at and near the boundaries of chunks and segments, and others.
fn len() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => (0..=5usize, 0..=2usize).prop_map(|(chunks, by)| beside(chunks * CHUNK, by)),
        1 => (1..=2usize, 0..=2usize).prop_map(|(mib, by)| beside(mib * MIB, by)),
        3 => 0..5 * CHUNK,
    ]
}

/// One less, the same or one more.
fn beside(len: usize, by: usize) -> usize {
    (len + by).saturating_sub(1)
}

/// Bytes of which no two chunks are alike. They differ for each seed.
fn content(len: usize, seed: u8) -> Vec<u8> {
    let mut bytes = common::paint(len);
    bytes.iter_mut().for_each(|byte| *byte ^= seed);
    bytes
}

fn padding() -> impl Strategy<Value = Padding> {
    prop_oneof![Just(Padding::None), (64..5000usize).prop_map(Padding::Multiple)]
}

/// Stanzas of unknown types.
fn unknown_stanzas() -> impl Strategy<Value = Vec<reference::RefStanza>> {
    let stanza =
        (prop::collection::vec("[!-~]{1,20}", 0..4), prop::collection::vec(any::<u8>(), 0..150));
    let stanza = stanza.prop_map(|(arguments, body)| {
        let args = std::iter::once("unknown".to_owned()).chain(arguments).collect();
        reference::RefStanza { args, body }
    });
    prop::collection::vec(stanza, 0..4)
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn the_reference_opens_what_the_product_seals(
        secret: [u8; 32],
        others in 0..4usize,
        position in 0..4usize,
        padding in padding(),
        len in len(),
        seed: u8,
    ) {
        let identity = x25519::SecretKey::from_bytes(secret);
        let mut recipients: Vec<_> =
            (0..others).map(|_| x25519::SecretKey::generate().unwrap().to_public()).collect();
        recipients.insert(position.min(others), identity.to_public());
        let recipients: Vec<&dyn Recipient> =
            recipients.iter().map(|recipient| recipient as &dyn Recipient).collect();
        let file_key = FileKey::generate().unwrap();
        let plaintext = content(len, seed);
        let mut file = build_header(Format::Native, &file_key, &recipients, padding).unwrap();
        if let Padding::Multiple(multiple) = padding {
            prop_assert_eq!(file.len() % multiple, 0);
        }
        file.extend(seal_payload(&PayloadCipher::generate(Format::Native, &file_key).unwrap(), &plaintext));
        let decrypted = reference::decrypt(&file, &reference::Key::X25519(secret));
        prop_assert!(decrypted.as_ref() == Ok(&plaintext), "{:?}", decrypted.err());
        prop_assert!(open(&file, &identity) == Ok(plaintext));
    }

    #[test]
    fn the_product_opens_what_the_reference_seals(
        file_key: [u8; 16],
        salt: [u8; 24],
        secret: [u8; 32],
        ephemeral: [u8; 32],
        before in unknown_stanzas(),
        after in unknown_stanzas(),
        is_padded: bool,
        len in len(),
        seed: u8,
    ) {
        let public = reference::x25519_public_key(secret);
        let mut stanzas = before;
        stanzas.push(reference::x25519_stanza(file_key, public, ephemeral));
        stanzas.extend(after);
        if is_padded {
            stanzas.push(reference::pad_to_multiple(&stanzas, 512));
        }
        let plaintext = content(len, seed);
        let file = reference::encrypt(file_key, salt, &stanzas, &plaintext);
        let decrypted = open(&file, &x25519::SecretKey::from_bytes(secret));
        prop_assert!(decrypted.as_ref() == Ok(&plaintext), "{:?}", decrypted.err());
    }

    /// The lengths in which a stream is read give the segments of its layout.
    #[test]
    fn a_stream_has_the_segments_of_its_layout(format in format(), len in len()) {
        let layout = Layout::of_plaintext(format, len as u64).unwrap();
        let mut rest = layout.payload_len() as usize - format.prefix_len();
        for expected in layout.segments() {
            let full = format.sealed_segment_len();
            // age's last segment may be full. Then only the end of the input shows it.
            let is_last = rest < full || (format.final_chunk_may_be_full() && rest == full);
            let segment = if is_last {
                Segment::last_sealed(format, expected.index(), rest).unwrap()
            } else {
                Segment::inner(format, expected.index())
            };
            prop_assert_eq!(segment, expected);
            rest -= segment.sealed_len();
        }
        prop_assert_eq!(rest, 0);
    }
}

fn format() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::Native), Just(Format::Age)]
}

/// The cipher of a payload in this format.
fn cipher_of(format: Format, file_key: &FileKey, salt: [u8; 24]) -> PayloadCipher {
    match format {
        Format::Native => PayloadCipher::with_salt(file_key, salt),
        Format::Age => PayloadCipher::with_age_nonce(file_key, std::array::from_fn(|i| salt[i])),
    }
}

/// The vectors cover the other direction.
#[test]
fn the_reference_opens_a_passphrase_file_of_the_product() {
    let passphrase = "Gr\u{fc}\u{df}e ".as_bytes().to_vec();
    let recipient = PassphraseRecipient::new(passphrase.clone().into(), Cost::MIN).unwrap();
    let file_key = FileKey::generate().unwrap();
    let mut file =
        build_header(Format::Native, &file_key, &[&recipient], Padding::Multiple(4096)).unwrap();
    file.extend(seal_payload(
        &PayloadCipher::generate(Format::Native, &file_key).unwrap(),
        b"text",
    ));
    let decrypted = reference::decrypt(&file, &reference::Key::Passphrase(passphrase.clone()));
    assert_eq!(decrypted.as_deref(), Ok(b"text".as_slice()));
    let wrong = PassphraseIdentity::new(passphrase[1..].to_vec().into(), ReadLimit::DEFAULT);
    assert!(open(&file, &wrong).is_err());
}

/// A length of several segments, and the segment numbers in any order.
fn shuffled_segments() -> impl Strategy<Value = (Format, usize, Vec<u64>)> {
    (format(), 0..4usize, prop_oneof![0..3usize, 0..MIB]).prop_flat_map(|(format, mib, by)| {
        let len = beside(mib * MIB, by);
        let count =
            Layout::of_plaintext(format, len as u64).map_or(1, |layout| layout.segment_count());
        (Just(format), Just(len), Just((0..count).collect::<Vec<u64>>()).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn segments_in_any_order_give_the_same(
        (format, len, order) in shuffled_segments(),
        file_key: [u8; 16],
        salt: [u8; 24],
    ) {
        let file_key = FileKey::from_bytes(file_key);
        let cipher = cipher_of(format, &file_key, salt);
        let plaintext = content(len, 0);
        let layout = Layout::of_plaintext(format, len as u64).unwrap();
        let in_order = seal_payload(&cipher, &plaintext);
        let shuffled = || order.iter().map(|index| layout.segment(*index).unwrap());

        let mut payload = cipher.prefix().to_vec();
        payload.resize(layout.payload_len() as usize, 0);
        for segment in shuffled() {
            let text = &plaintext[segment.plaintext_offset() as usize..][..segment.plaintext_len()];
            let start = segment.payload_offset() as usize;
            cipher.seal(&segment, text, &mut payload[start..][..segment.sealed_len()]).unwrap();
        }
        prop_assert!(payload == in_order);
        prop_assert!(open_segments(&payload, &file_key, &layout, shuffled()).unwrap() == plaintext);
        prop_assert!(open_payload(format, &payload, &file_key).unwrap() == plaintext);
    }
}

/// A change to a payload. Numbers are taken modulo the number of items.
#[derive(Clone, Copy, Debug)]
enum Tampering {
    FlipBit(usize),
    Truncate(usize),
    Extend(usize, u8),
    CutChunksOffTheEnd(usize),
    CutChunksOffTheStart(usize),
    SwapChunks(usize, usize),
    RepeatChunk(usize),
    RemoveChunk(usize),
    AppendChunk(usize),
}

fn tampering() -> impl Strategy<Value = Tampering> {
    use Tampering::*;
    let number = any::<usize>;
    prop_oneof![
        4 => number().prop_map(FlipBit),
        2 => number().prop_map(Truncate),
        1 => (1..=20usize).prop_map(Truncate),
        1 => (1..=20usize, any::<u8>()).prop_map(|(len, byte)| Extend(len, byte)),
        1 => (1..20_000usize, any::<u8>()).prop_map(|(len, byte)| Extend(len, byte)),
        1 => number().prop_map(CutChunksOffTheEnd),
        1 => number().prop_map(CutChunksOffTheStart),
        2 => (number(), number()).prop_map(|(a, b)| SwapChunks(a, b)),
        1 => number().prop_map(RepeatChunk),
        1 => number().prop_map(RemoveChunk),
        1 => number().prop_map(AppendChunk),
    ]
}

/// The payload after the tampering; unchanged if there is nothing to do.
fn tamper(format: Format, payload: &[u8], tampering: Tampering) -> Vec<u8> {
    let (prefix, encrypted) = payload.split_at(format.prefix_len());
    let mut chunks: Vec<&[u8]> = encrypted.chunks(format.sealed_chunk_len()).collect();
    let count = chunks.len();
    match tampering {
        Tampering::FlipBit(bit) => {
            let mut payload = payload.to_vec();
            let at = bit / 8 % payload.len();
            payload[at] ^= 1 << (bit % 8);
            return payload;
        }
        // At least one byte at the end is removed.
        Tampering::Truncate(by) => {
            return payload[..payload.len() - 1 - by % payload.len()].to_vec();
        }
        Tampering::Extend(len, byte) => return [payload, &vec![byte; len]].concat(),
        Tampering::CutChunksOffTheEnd(by) => chunks.truncate(count - 1 - by % count),
        Tampering::CutChunksOffTheStart(by) => drop(chunks.drain(..=by % count)),
        Tampering::SwapChunks(a, b) => chunks.swap(a % count, b % count),
        Tampering::RepeatChunk(a) => chunks.insert(a % count, chunks[a % count]),
        Tampering::RemoveChunk(a) => drop(chunks.remove(a % count)),
        Tampering::AppendChunk(a) => chunks.push(chunks[a % count]),
    }
    [prefix, &chunks.concat()].concat()
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn a_tampered_payload_is_refused(
        format in format(),
        chunks in prop_oneof![
            30 => 0.0..5.0,
            30 => (0..=5u8).prop_map(f64::from),
            2 => Just(65.0),
        ],
        by in 0..=2usize,
        file_key: [u8; 16],
        salt: [u8; 24],
        tampering in tampering(),
    ) {
        let key = FileKey::from_bytes(file_key);
        let len = beside((chunks * format.chunk_len() as f64) as usize, by);
        let plaintext = content(len, 0);
        let payload = seal_payload(&cipher_of(format, &key, salt), &plaintext);
        let tampered = tamper(format, &payload, tampering);
        let product = open_payload(format, &tampered, &key);
        if tampered == payload {
            prop_assert!(product == Ok(plaintext));
        } else {
            prop_assert!(product.is_err());
            if format == Format::Native {
                prop_assert!(reference::decrypt_payload(file_key, &tampered).is_err());
            }
        }
    }
}

/// Every bit of a small payload, and every length that it can be cut to.
#[test]
fn no_bit_of_a_payload_can_change_and_none_can_go() {
    for format in Format::ALL {
        let file_key = FileKey::generate().unwrap();
        let cipher = PayloadCipher::generate(format, &file_key).unwrap();
        let payload = seal_payload(&cipher, b"attack at dawn");
        for bit in 0..payload.len() * 8 {
            let mut tampered = payload.clone();
            tampered[bit / 8] ^= 1 << (bit % 8);
            assert!(open_payload(format, &tampered, &file_key).is_err(), "bit {bit}");
        }
        for len in 0..payload.len() {
            assert!(open_payload(format, &payload[..len], &file_key).is_err(), "{len} bytes");
        }
    }
}

/// Every chunk boundary, and the offsets just before and after it.
#[test]
fn a_payload_cut_at_a_chunk_is_refused() {
    for format in Format::ALL {
        let file_key = FileKey::generate().unwrap();
        for len in [2 * format.chunk_len(), 2 * format.chunk_len() + 100] {
            let cipher = PayloadCipher::generate(format, &file_key).unwrap();
            let payload = seal_payload(&cipher, &content(len, 0));
            for chunks in 0..=2 {
                let boundary = format.prefix_len() + chunks * format.sealed_chunk_len();
                for cut in boundary.saturating_sub(17)..(boundary + 18).min(payload.len()) {
                    let decrypted = open_payload(format, &payload[..cut], &file_key);
                    assert!(decrypted.is_err(), "{len} cut to {cut}");
                }
            }
        }
    }
}

#[test]
fn the_header_of_another_file_does_not_fit() {
    let identity = x25519::SecretKey::generate().unwrap();
    let seal = |file_key: &FileKey, text: &[u8]| {
        let header =
            build_header(Format::Native, file_key, &[&identity.to_public()], Padding::None)
                .unwrap();
        (header, seal_payload(&PayloadCipher::generate(Format::Native, file_key).unwrap(), text))
    };
    let (file_key, other_key) = (FileKey::generate().unwrap(), FileKey::generate().unwrap());
    let (header, payload) = seal(&file_key, b"this");
    let (other_header, other_payload) = seal(&other_key, b"that");
    let open = |header: &[u8], payload: &[u8]| open(&[header, payload].concat(), &identity);
    assert!(open(&other_header, &payload).is_err());
    assert!(open(&header, &other_payload).is_err());
    // A header that wraps the same file key again fits: that is a rekey.
    let rekeyed =
        build_header(Format::Native, &file_key, &[&identity.to_public()], Padding::Multiple(4096))
            .unwrap();
    assert_eq!(open(&rekeyed, &payload).as_deref(), Ok(b"this".as_slice()));
    // The file key of one file, with the salt and chunks of another.
    let mixed =
        [&payload[..Format::Native.prefix_len()], &other_payload[Format::Native.prefix_len()..]]
            .concat();
    assert!(open(&header, &mixed).is_err());
}
