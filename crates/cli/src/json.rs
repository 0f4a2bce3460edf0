//! What all JSON objects have in common.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use cryptstream_remote::without_secrets;
use serde_json::{Value, json};

/// The version of the JSON objects; it changes when a field is removed or changes its meaning.
pub(crate) const SCHEMA: u32 = 1;

/// Adds a name to an object, and its bytes in hexadecimal if it is not UTF-8. Of a URL, secrets are
/// left out.
pub(crate) fn insert_name(object: &mut Value, field: &str, name: impl AsRef<OsStr>) {
    let name = without_secrets(name.as_ref());
    object[field] = json!(name.to_string_lossy());
    if name.to_str().is_none() {
        object[format!("{field}_hex")] = json!(hex(name.as_bytes()));
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
