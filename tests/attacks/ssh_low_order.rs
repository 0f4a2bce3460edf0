//! A stranger hands out a public key that is a low-order point: whatever is encrypted to
//! it, everybody can decrypt.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64ct::{Base64, Encoding};

use crate::common::Dir;

/// Puts one of the tests' SSH keys into the folder; gives its public half.
pub(crate) fn put_key(dir: &Dir, name: &str) -> String {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let key = dir.write(name, std::fs::read(data.join(name)).unwrap());
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::read_to_string(data.join(format!("{name}.pub"))).unwrap_or_default()
}

fn public_key(point: &[u8; 32]) -> String {
    let mut blob = Vec::new();
    for field in [b"ssh-ed25519".as_slice(), point] {
        blob.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
        blob.extend(field);
    }
    format!("ssh-ed25519 {}", Base64::encode_string(&blob))
}

#[test]
fn nothing_is_encrypted_to_a_point_that_protects_nothing() {
    let dir = Dir::new();
    dir.write("plain", "secret");
    // The identity; order 4 with both signs; order 2; order 8.
    let mut points = vec![[0; 32]; 3];
    points[0][0] = 1;
    points[2][31] = 0x80;
    let mut order_2 = [0xff; 32];
    (order_2[0], order_2[31]) = (0xec, 0x7f);
    points.push(order_2);
    points.push([
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ]);
    for point in points {
        let key = public_key(&point);
        let run = dir.command(&["encrypt", "plain", "out", "-r", &key]);
        dir.fails(run, 64, &["low-order", "ask for another key"]);
        dir.write("keys", &key);
        let run = dir.command(&["encrypt", "plain", "out", "-R", "keys"]);
        dir.fails(run, 78, &["line 1", "low-order"]);
    }
    // All zeros, as a recipient of age.
    let key = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z";
    dir.fails(dir.command(&["encrypt", "plain", "out", "-r", key]), 64, &["low-order"]);
}
