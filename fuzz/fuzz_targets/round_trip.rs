//! Any plaintext: what one implementation seals, the other one opens, and with
//! the same file key and salt both write the same payload.
//!
//! The first 4 bytes choose a length, a padding and other recipients; the
//! content is the rest of the input, over and over.
#![no_main]

use cryptstream_format::{
    FileKey, Format, Padding, PayloadCipher, Recipient, build_header, x25519,
};
use cryptstream_fuzz::{FILE_KEY, SECRET, open, seal_payload};
use cryptstream_reference as reference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some(([low, high, padding, others], pattern)) = input.split_first_chunk::<4>() else {
        return;
    };
    let len = usize::from(u16::from_le_bytes([*low, *high]));
    let plaintext: Vec<u8> = match pattern {
        [] => vec![0; len],
        // A short pattern is repeated; a long one counts as it is.
        _ => pattern.iter().copied().cycle().take(len.max(pattern.len())).collect(),
    };
    let identity = x25519::SecretKey::from_bytes(SECRET);
    let file_key = FileKey::from_bytes(FILE_KEY);

    let mut recipients = vec![identity.to_public()];
    let another = x25519::SecretKey::from_bytes([*others; 32]).to_public();
    recipients.splice(0..0, std::iter::repeat_n(another, usize::from(others % 4)));
    let recipients: Vec<&dyn Recipient> =
        recipients.iter().map(|recipient| recipient as &dyn Recipient).collect();
    let multiple = 64 + 16 * usize::from(*padding);
    let padding = if *padding == 0 { Padding::None } else { Padding::Multiple(multiple) };
    let header = build_header(Format::Native, &file_key, &recipients, padding)
        .expect("it is within all limits");
    assert!(padding == Padding::None || header.len().is_multiple_of(multiple));

    // A fixed salt, so that a finding can be repeated.
    let salt = [*others; 24];
    let payload = seal_payload(&PayloadCipher::with_salt(&file_key, salt), &plaintext);
    assert!(payload == reference::encrypt_payload(FILE_KEY, salt, &plaintext), "payloads differ");
    let file = [header, payload].concat();
    let decrypted = reference::decrypt(&file, &reference::Key::X25519(SECRET));
    assert!(decrypted.as_ref() == Ok(&plaintext), "the reference: {:?}", decrypted.err());

    let public = reference::x25519_public_key(SECRET);
    let stanzas = [reference::x25519_stanza(FILE_KEY, public, [*others; 32])];
    let file = reference::encrypt(FILE_KEY, salt, &stanzas, &plaintext);
    let decrypted = open(&file, &identity);
    assert!(decrypted.as_ref() == Ok(&plaintext), "the product: {:?}", decrypted.err());
});
