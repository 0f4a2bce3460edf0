//! How parts of a file are written.

use cryptstream_engine::ByteRange;

/// Reads `START-END`, `START+LENGTH`, `START-` or `-LAST`.
pub(super) fn parse(text: &str) -> Result<ByteRange, String> {
    let range = match (text.split_once('-'), text.split_once('+')) {
        (Some(("", last)), _) => size(last).filter(|last| *last > 0).map(ByteRange::Last),
        (Some((start, "")), _) => size(start).map(ByteRange::From),
        (Some((from, to)), _) => {
            let (start, last) = (or_invalid(size(from))?, or_invalid(size(to))?);
            if last < start {
                return Err(format!(
                    "END is before START; for {to} bytes from {from} on, write {from}+{to}"
                ));
            }
            // Nothing is so long that a byte would be missing.
            Some(ByteRange::Between { start, end: last.saturating_add(1) })
        }
        (None, Some((start, len))) => {
            let len = size(len).filter(|len| *len > 0);
            let between = |(start, len): (u64, u64)| ByteRange::Between {
                start,
                end: start.saturating_add(len),
            };
            size(start).zip(len).map(between)
        }
        (None, None) => None,
    };
    or_invalid(range)
}

fn or_invalid<T>(value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| {
        "write START-END (END included), START+LENGTH, START- or -LAST, in bytes from 0 or with \
         KiB, MiB, GiB, TiB; LENGTH and LAST are at least 1"
            .to_owned()
    })
}

/// Reads a number of bytes, such as `4096` or `4KiB`.
pub(super) fn size(text: &str) -> Option<u64> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
    let (digits, unit) = units
        .iter()
        .find_map(|(name, bytes)| Some((text.strip_suffix(name)?, *bytes)))
        .unwrap_or((text, 1_u64));
    // A sign would be taken too.
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse::<u64>().ok()?.checked_mul(unit)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(start: u64, end: u64) -> Result<ByteRange, String> {
        Ok(ByteRange::Between { start, end })
    }

    #[test]
    fn all_spellings_are_read() {
        assert_eq!(parse("0-0"), between(0, 1));
        assert_eq!(parse("10-19"), between(10, 20));
        assert_eq!(parse("10+10"), between(10, 20));
        assert_eq!(parse("007+1"), between(7, 8));
        assert_eq!(parse("1GiB+4KiB"), between(1 << 30, (1 << 30) + 4096));
        assert_eq!(parse("1KiB-1MiB"), between(1 << 10, (1 << 20) + 1));
        assert_eq!(parse("5-"), Ok(ByteRange::From(5)));
        assert_eq!(parse("2TiB-"), Ok(ByteRange::From(2 << 40)));
        assert_eq!(parse("-4096"), Ok(ByteRange::Last(4096)));
        assert_eq!(parse("-1MiB"), Ok(ByteRange::Last(1 << 20)));
    }

    #[test]
    fn what_reaches_beyond_all_numbers_reaches_to_the_end() {
        let max = u64::MAX;
        assert_eq!(parse(&format!("1-{max}")), between(1, max));
        assert_eq!(parse(&format!("{max}+{max}")), between(max, max));
        assert_eq!(parse(&format!("-{max}")), Ok(ByteRange::Last(max)));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for wrong in [
            "",
            "-",
            "+",
            "5",
            "5+",
            "+5",
            "5+0",
            "-0",
            "--5",
            "5--6",
            "5++6",
            "5-+6",
            "5+-6",
            "1-2-3",
            "1+2+3",
            "a-b",
            "0x10-",
            "1_000-",
            " 1-2",
            "1 -2",
            "1-2 ",
            "1KB-",
            "1kib-",
            "KiB-",
            "1.5KiB-",
            "9-8",
            "1KiB-1",
            "0-1,3-4",
            "bytes=0-1",
            "18446744073709551616-",
            "16777216TiB-",
            "٣-",
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
