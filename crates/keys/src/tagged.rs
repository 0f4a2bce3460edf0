//! Hardware keys: the `p256tag` and `mlkem768p256tag` stanzas of age (C2SP `age.md`), for keys
//! on a token or in a secure enclave.
//!
//! ```text
//! -> p256tag <tag, 4 bytes> <encapsulated key, 65 bytes>
//! HPKE SealBase (RFC 9180; DHKEM(P-256), HKDF-SHA256, ChaCha20Poly1305) of the file key
//! -> mlkem768p256tag <tag, 4 bytes> <encapsulated key, 1153 bytes>
//! HPKE SealBase (ML-KEM-768 with P-256, HKDF-SHA256, ChaCha20Poly1305) of the file key
//! ```
//!
//! The tag tells the hardware's plugin whether a stanza is for its key before the user must
//! touch it. Encryption needs no plugin. Decryption does, so this module has no identity.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::{digest, hmac};
use base64ct::{Base64Unpadded, Encoding};
use bech32::Hrp;
use cryptstream_format::x25519::KeyError;
use cryptstream_format::{FileKey, Format, Recipient, Stanza, WrapError, Wrapped};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::{DhP256HkdfSha256, MlKem768P256};
use hpke::{Deserializable, Kem, OpModeS, Serializable, single_shot_seal};
use p256::elliptic_curve::sec1::ToSec1Point;

use crate::long_bech32::{LongBech32, decode};
use crate::post_quantum;

const TAG_LEN: usize = 4;
/// A compressed point of P-256, as in recipients.
const COMPRESSED_LEN: usize = 33;
/// An uncompressed point of P-256.
const POINT_LEN: usize = 65;
/// An ML-KEM-768 public key and an uncompressed point.
const HYBRID_LEN: usize = 1184 + POINT_LEN;

/// The recipient of a hardware key: `age1tag1…`, or `age1tagpq1…`, which is post-quantum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedRecipient(Key);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    P256 { compressed: [u8; COMPRESSED_LEN], key: <DhP256HkdfSha256 as Kem>::PublicKey },
    Hybrid(Box<<MlKem768P256 as Kem>::PublicKey>),
}

/// The differences between the two kinds.
struct Kind {
    hrp: &'static str,
    stanza: &'static str,
    info: &'static str,
}

const P256: Kind = Kind { hrp: "age1tag", stanza: "p256tag", info: "age-encryption.org/p256tag" };
const HYBRID: Kind = Kind {
    hrp: "age1tagpq",
    stanza: "mlkem768p256tag",
    info: "age-encryption.org/mlkem768p256tag",
};

impl TaggedRecipient {
    /// Whether text starts like such a recipient.
    pub(crate) fn is_meant(text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        [P256, HYBRID]
            .iter()
            .any(|kind| text.strip_prefix(kind.hrp).is_some_and(|rest| rest.starts_with('1')))
    }
}

impl Kind {
    fn wrap<K: Kem>(
        &self,
        key: &K::PublicKey,
        tagged: &[u8],
        file_key: &FileKey,
    ) -> Result<Stanza, WrapError> {
        let sealed = single_shot_seal::<ChaCha20Poly1305, HkdfSha256, K>(
            &OpModeS::Base,
            key,
            self.info.as_bytes(),
            file_key.expose(),
            &[],
        );
        let (encapsulated, body) = sealed.map_err(|_| WrapError::WeakRecipient)?;
        let encapsulated = encapsulated.to_bytes();
        let args = [&self.tag(&encapsulated, tagged)[..], &encapsulated];
        let args = args.map(Base64Unpadded::encode_string);
        Stanza::new(self.stanza, &[&args[0], &args[1]], body).ok_or(WrapError::OtherFormat)
    }

    /// The first bytes of HKDF-Extract over the encapsulated key and the first bytes of the
    /// hash of the recipient's point.
    fn tag(&self, encapsulated: &[u8], point: &[u8]) -> [u8; TAG_LEN] {
        let hash = digest::digest(&digest::SHA256, point);
        let mut extract =
            hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, self.info.as_bytes()));
        extract.update(encapsulated);
        extract.update(&hash.as_ref()[..TAG_LEN]);
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&extract.sign().as_ref()[..TAG_LEN]);
        tag
    }
}

impl Recipient for TaggedRecipient {
    fn wrap(&self, _: Format, file_key: &FileKey) -> Result<Wrapped, WrapError> {
        match &self.0 {
            Key::P256 { compressed, key } => {
                P256.wrap::<DhP256HkdfSha256>(key, compressed, file_key).map(Wrapped::from)
            }
            Key::Hybrid(key) => {
                let bytes = key.to_bytes();
                let point = &bytes[HYBRID_LEN - POINT_LEN..];
                let stanza = HYBRID.wrap::<MlKem768P256>(key, point, file_key)?;
                let labels = [post_quantum::LABEL.to_owned()].into();
                Ok(Wrapped { stanzas: vec![stanza], labels })
            }
        }
    }
}

impl FromStr for TaggedRecipient {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let other = |_| KeyError::OtherKind;
        if let Ok(bytes) = decode::<HYBRID_LEN>(text, HYBRID.hrp) {
            let key = <MlKem768P256 as Kem>::PublicKey::from_bytes(bytes.as_slice());
            return Ok(Self(Key::Hybrid(Box::new(key.map_err(other)?))));
        }
        let compressed = *decode::<COMPRESSED_LEN>(text, P256.hrp)?;
        let point = p256::PublicKey::from_sec1_bytes(&compressed);
        let point = point.map_err(|_| KeyError::OtherKind)?.to_sec1_point(false);
        let key = <DhP256HkdfSha256 as Kem>::PublicKey::from_bytes(point.as_bytes());
        Ok(Self(Key::P256 { compressed, key: key.map_err(other)? }))
    }
}

impl fmt::Display for TaggedRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, bytes) = match &self.0 {
            Key::P256 { compressed, .. } => (P256, compressed.to_vec()),
            Key::Hybrid(key) => (HYBRID, key.to_bytes().to_vec()),
        };
        bech32::encode_lower_to_fmt::<LongBech32, _>(f, Hrp::parse_unchecked(kind.hrp), &bytes)
            .map_err(|_| fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use hpke::{OpModeR, single_shot_open};

    use super::*;

    fn args(stanza: &Stanza) -> [Vec<u8>; 2] {
        let mut args = stanza.args().skip(1).map(|arg| Base64Unpadded::decode_vec(arg).unwrap());
        [args.next().unwrap(), args.next().unwrap()]
    }

    /// Decrypts as a token does.
    fn open<K: Kem>(kind: &Kind, key: &K::PrivateKey, stanza: &Stanza) -> Vec<u8> {
        let encapsulated = K::EncappedKey::from_bytes(&args(stanza)[1]).unwrap();
        let (mode, info) = (OpModeR::Base, kind.info.as_bytes());
        single_shot_open::<ChaCha20Poly1305, HkdfSha256, K>(
            &mode,
            key,
            &encapsulated,
            info,
            &stanza.body(),
            &[],
        )
        .unwrap()
    }

    #[test]
    fn what_is_wrapped_the_secret_half_opens() {
        let file_key = FileKey::from_bytes([9; 16]);
        let (secret, public) = DhP256HkdfSha256::derive_keypair(&[7; 32]);
        let point = p256::PublicKey::from_sec1_bytes(&public.to_bytes()).unwrap();
        let compressed = point.to_sec1_point(true);
        let hrp = Hrp::parse_unchecked(P256.hrp);
        let text = bech32::encode_lower::<LongBech32>(hrp, compressed.as_bytes()).unwrap();
        let recipient: TaggedRecipient = text.parse().unwrap();
        assert_eq!(recipient.to_string(), text);
        let wrapped = recipient.wrap(Format::Age, &file_key).unwrap();
        assert_eq!((wrapped.stanzas[0].tag(), wrapped.labels.len()), ("p256tag", 0));
        assert_eq!(open::<DhP256HkdfSha256>(&P256, &secret, &wrapped.stanzas[0]), [9; 16]);

        let (secret, public) = MlKem768P256::derive_keypair(&[7; 32]);
        let recipient = TaggedRecipient(Key::Hybrid(Box::new(public)));
        let text = recipient.to_string();
        assert!(text.starts_with("age1tagpq1"));
        assert_eq!(text.parse(), Ok(recipient.clone()));
        let wrapped = recipient.wrap(Format::Age, &file_key).unwrap();
        assert_eq!(wrapped.labels, ["postquantum".to_owned()].into());
        assert_eq!(wrapped.stanzas[0].tag(), "mlkem768p256tag");
        assert_eq!(open::<MlKem768P256>(&HYBRID, &secret, &wrapped.stanzas[0]), [9; 16]);
    }

    /// A stanza of age-plugin-se for this recipient, from its tests.
    #[test]
    fn tags_are_as_others_write_them() {
        let recipient = "age1tag1qf0l9gks6x65ha077wq3w3u8fy02tpg3cd9w5j0jlgpfgqkcut2lwksa782";
        let Key::P256 { compressed, .. } = recipient.parse::<TaggedRecipient>().unwrap().0 else {
            panic!("another kind");
        };
        let encapsulated = Base64Unpadded::decode_vec(
            "BD7IeMpB4oX0CHt/Bc9xzk6x1K262zNxoUtfAikZa5T7aUSkQuuvOANb1o+BKtf/4/F++4nJgRQ0PgIyFJq8i88",
        );
        let tag = P256.tag(&encapsulated.unwrap(), &compressed);
        assert_eq!(Base64Unpadded::encode_string(&tag), "NDTf9g");
    }

    #[test]
    fn what_is_no_point_is_refused() {
        let encode = |kind: &Kind, bytes: &[u8]| {
            let hrp = Hrp::parse_unchecked(kind.hrp);
            bech32::encode_lower::<LongBech32>(hrp, bytes).unwrap()
        };
        let good = "age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e";
        assert!(good.parse::<TaggedRecipient>().is_ok());
        assert!(good.to_uppercase().parse::<TaggedRecipient>().is_ok());
        let typo = good.replace("qt8", "qq8");
        assert_eq!(typo.parse::<TaggedRecipient>(), Err(KeyError::Checksum));
        let mut compressed = *decode::<COMPRESSED_LEN>(good, P256.hrp).unwrap();
        // Not on the curve; another form; the point at infinity; too short.
        compressed[1..].fill(0xff);
        let long = [[4].as_slice(), &[1; 64]].concat();
        for bytes in [&compressed[..], &long, &[0; 33], &[0], &compressed[..32]] {
            assert!(encode(&P256, bytes).parse::<TaggedRecipient>().is_err(), "{bytes:?}");
        }
        for bytes in [&[0xff; HYBRID_LEN][..], &[0; HYBRID_LEN], &[0; HYBRID_LEN - 1]] {
            assert!(encode(&HYBRID, bytes).parse::<TaggedRecipient>().is_err());
        }
    }
}
