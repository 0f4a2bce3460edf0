//! Paths in JSON, which need not be UTF-8.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A path: a text, or an object with its bytes in hexadecimal if it is not UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedPath(pub PathBuf);

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    Bytes { hex: String },
}

impl EncodedPath {
    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether it leads to something below the folder that it is relative to.
    pub(crate) fn is_below(&self) -> bool {
        let mut parts = self.0.components().peekable();
        parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
    }
}

impl From<&Path> for EncodedPath {
    fn from(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Serialize for EncodedPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => Form::Bytes { hex: hex(self.0.as_os_str()) }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for EncodedPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = match Form::deserialize(deserializer)? {
            Form::Text(text) => OsString::from(text),
            Form::Bytes { hex } => {
                from_hex(&hex).ok_or_else(|| serde::de::Error::custom("not hexadecimal"))?
            }
        };
        match name.as_bytes().contains(&0) {
            true => Err(serde::de::Error::custom("a path with a zero byte")),
            false => Ok(Self(name.into())),
        }
    }
}

fn hex(name: &OsStr) -> String {
    name.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<OsString> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    let bytes = digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8);
    Some(OsString::from_vec(bytes.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_comes_back() {
        for name in [&b"a"[..], b"a/\xff\n", "ä ö".as_bytes(), b""] {
            let path = EncodedPath(OsString::from_vec(name.to_vec()).into());
            let text = serde_json::to_string(&path).unwrap();
            assert_eq!(serde_json::from_str::<EncodedPath>(&text).unwrap(), path, "{text}");
        }
        for text in
            ["\"a\\u0000b\"", "{\"hex\":\"0\"}", "{\"hex\":\"zz\"}", "{\"hex\":\"00\"}", "1"]
        {
            assert!(serde_json::from_str::<EncodedPath>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_leads_out_of_the_folder_is_recognized() {
        let is_below = |path: &str| EncodedPath(path.into()).is_below();
        assert!(is_below("a") && is_below("a/b"));
        assert!(!is_below("") && !is_below("/a") && !is_below("../a") && !is_below("a/../b"));
    }
}
