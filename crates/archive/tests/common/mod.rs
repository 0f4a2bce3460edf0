//! Shared by several test files.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test that cannot go on fails")]

/// PAX records, as the content of a member.
pub fn pax_records(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let len = (rest..).find(|len| rest + len.to_string().len() == *len).unwrap();
        bytes.extend_from_slice(format!("{len} {key}=").as_bytes());
        bytes.extend_from_slice(value);
        bytes.push(b'\n');
    }
    bytes
}
