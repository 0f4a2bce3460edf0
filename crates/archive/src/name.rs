//! Names in an archive, and where links lead.

use crate::error::Refusal;

/// The most nested folders that an archive may have. Each takes a descriptor when a tree is
/// removed, and a process has 1,024.
pub const MAX_DEPTH: usize = 500;

/// The parts of a name; none for the output folder itself. As in tar, an absolute name is taken
/// as relative.
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
            return Err(Refusal::ParentComponent);
        }
        if parts.len() == MAX_DEPTH {
            return Err(Refusal::TooDeep);
        }
        parts.push(part);
    }
    Ok(parts)
}

/// Whether a symbolic link in a folder at this depth may lead out of the output folder. `..` is
/// accepted only at the start: after a name, it depends on whether that name is a link.
#[must_use]
pub fn leads_out(target: &[u8], depth: usize) -> bool {
    if target.first() == Some(&b'/') {
        return true;
    }
    let parts = target.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    let up = parts.clone().take_while(|part| *part == b"..").count();
    up > depth || parts.skip(up).any(|part| part == b"..")
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
            (&b".."[..], Refusal::ParentComponent),
            (b"/..", Refusal::ParentComponent),
            (b"a/../b", Refusal::ParentComponent),
            (b"a/..", Refusal::ParentComponent),
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
}
