//! Names in an archive, and where links lead.

use crate::{MAX_DEPTH, Refusal};

/// The parts of a name, from the folder on; none for the folder itself. An absolute name
/// is one in the folder, as to tar. Names that lead out have no parts.
pub(crate) fn parts(name: &[u8]) -> Result<Vec<&[u8]>, Refusal> {
    if name.contains(&0) {
        return Err(Refusal::Nul);
    }
    if name.is_empty() {
        return Err(Refusal::NoName);
    }
    let mut parts = Vec::new();
    for part in name.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")) {
        if part == b".." {
            return Err(Refusal::Parent);
        }
        if parts.len() == MAX_DEPTH {
            return Err(Refusal::TooDeep);
        }
        parts.push(part);
    }
    Ok(parts)
}

/// Whether a symbolic link that has so many folders above it may lead out of the
/// archive. `..` is right only where it comes first: behind a name it depends on
/// what other links that name stands for.
#[must_use]
pub fn leads_out(target: &[u8], depth: usize) -> bool {
    if target.first() == Some(&b'/') {
        return true;
    }
    let parts = target.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    let up = parts.clone().take_while(|part| *part == b"..").count();
    up > depth || parts.skip(up).any(|part| part == b"..")
}

/// A name as it can be shown: as it is, or escaped and in quotes.
#[must_use]
pub fn show(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => text.to_owned(),
        _ => format!("\"{}\"", name.escape_ascii()),
    }
}

/// The same for messages: names may be a million bytes long.
#[must_use]
pub fn brief(name: &[u8]) -> String {
    const MOST: usize = 256;
    match name.get(..MOST) {
        Some(beginning) if name.len() > MOST => {
            let end = (MOST - 3..=MOST).rev().find(|end| name[*end] & 0xc0 != 0x80);
            format!("{}...", show(&beginning[..end.unwrap_or(MOST)]))
        }
        _ => show(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_or_refused() {
        assert_eq!(parts(b"a/b"), Ok(vec![&b"a"[..], b"b"]));
        assert_eq!(parts(b"./a//b/./c/"), Ok(vec![&b"a"[..], b"b", b"c"]));
        assert_eq!(parts(b"..a/...").unwrap().len(), 2);
        assert_eq!(parts(b"./"), Ok(vec![]));
        assert_eq!(parts(b"//a/b"), Ok(vec![&b"a"[..], b"b"]));
        assert_eq!(parts(b"/"), Ok(vec![]));
        for (name, refusal) in [
            (&b".."[..], Refusal::Parent),
            (b"/..", Refusal::Parent),
            (b"a/../b", Refusal::Parent),
            (b"a/..", Refusal::Parent),
            (b"a\0b", Refusal::Nul),
            (b"", Refusal::NoName),
        ] {
            assert_eq!(parts(name), Err(refusal), "{name:?}");
        }
        let deep = b"d/".repeat(MAX_DEPTH);
        assert_eq!(parts(&deep).unwrap().len(), MAX_DEPTH);
        assert_eq!(parts(&[&deep[..], b"d"].concat()), Err(Refusal::TooDeep));
    }

    #[test]
    fn links_that_may_lead_out_are_told() {
        for (target, depth) in
            [("a", 0), ("../a", 1), ("../../a/b", 2), ("./../a", 1), (".", 0), ("..", 1)]
        {
            assert!(!leads_out(target.as_bytes(), depth), "{target} {depth}");
        }
        for (target, depth) in
            [("/a", 5), ("..", 0), ("../../a", 1), ("a/..", 1), ("a/../../b", 3), ("../a/../b", 3)]
        {
            assert!(leads_out(target.as_bytes(), depth), "{target} {depth}");
        }
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(brief(&[b'x'; 256]), "x".repeat(256));
        assert_eq!(brief(&[b'x'; 257]), "x".repeat(256) + "...");
        let long = "x".to_owned() + &"ä".repeat(200);
        assert_eq!(brief(long.as_bytes()), "x".to_owned() + &"ä".repeat(127) + "...");
    }

    #[test]
    fn names_are_shown_unharmed() {
        assert_eq!(show("ä b".as_bytes()), "ä b");
        assert_eq!(show(b"a\nb\x1b\xff"), r#""a\nb\x1b\xff""#);
        assert_eq!(show(b""), "\"\"");
    }
}
