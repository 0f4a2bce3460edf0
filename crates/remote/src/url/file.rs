//! URLs of local files (RFC 8089).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::{Scheme, UrlError, UrlProblem};

/// The path that a `file://` URL names, with `%XX` decoded; `None` if `text` is none.
///
/// # Errors
/// If it names another machine.
pub fn file_path(text: &OsStr) -> Option<Result<PathBuf, UrlError>> {
    let (Scheme::File, rest) = Scheme::split(text.as_bytes())? else { return None };
    let path = match rest.strip_prefix(b"localhost").unwrap_or(rest) {
        path @ [b'/', ..] => path,
        _ => {
            let (url, problem) = (text.to_string_lossy().into_owned(), UrlProblem::OtherMachine);
            return Some(Err(UrlError { url, problem }));
        }
    };
    Some(Ok(OsString::from_vec(decode(path)).into()))
}

/// The bytes that `%XX` stand for. A `%` without two digits stands for itself.
fn decode(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let is_hex = |digits: &&str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let code = digits.filter(|digits| *first == b'%' && is_hex(digits));
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(code) => {
                bytes.push(code);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_urls_are_paths() {
        let path = |text: &str| file_path(text.as_ref()).map(Result::ok);
        assert_eq!(path("file:///a/b%20c%2541%zz?"), Some(Some("/a/b c%41%zz?".into())));
        assert_eq!(path("FILE://localhost/x"), Some(Some("/x".into())));
        assert_eq!(path("file://host/x"), Some(None));
        assert_eq!(path("file://x"), Some(None));
        assert_eq!(path("s3://b/x"), None);
        assert_eq!(path("/file:///x"), None);
    }
}
