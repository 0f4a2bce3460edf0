//! The header `Range`.

use std::ops::Range;

use crate::error::ErrorCode;

/// The bytes that a header means (RFC 9110, section 14.1.2). Nothing if it is malformed or has
/// several ranges: then it does not count.
pub(crate) fn parse(header: &str, len: usize) -> Result<Option<Range<usize>>, ErrorCode> {
    let Some((first, last)) =
        header.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-'))
    else {
        return Ok(None);
    };
    let range = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(len),
        (Ok(first), Err(_)) if last.is_empty() => first..len,
        (Err(_), Ok(count)) if first.is_empty() => len.saturating_sub(count)..len,
        _ => return Ok(None),
    };
    if range.start < range.end { Ok(Some(range)) } else { Err(ErrorCode::InvalidRange) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_rfc() {
        assert_eq!(parse("bytes=0-0", 10), Ok(Some(0..1)));
        assert_eq!(parse("bytes=2-5", 10), Ok(Some(2..6)));
        assert_eq!(parse("bytes=2-50", 10), Ok(Some(2..10)));
        assert_eq!(parse("bytes=2-", 10), Ok(Some(2..10)));
        assert_eq!(parse("bytes=-3", 10), Ok(Some(7..10)));
        assert_eq!(parse("bytes=-30", 10), Ok(Some(0..10)));
        for beyond in ["bytes=10-11", "bytes=10-", "bytes=-0"] {
            assert_eq!(parse(beyond, 10), Err(ErrorCode::InvalidRange));
        }
        assert_eq!(parse("bytes=-1", 0), Err(ErrorCode::InvalidRange));
        for malformed in ["bytes=", "bytes=-", "bytes=3-2", "bytes=1-2,4-5", "lines=1-2", "1-2"] {
            assert_eq!(parse(malformed, 10), Ok(None));
        }
    }
}
