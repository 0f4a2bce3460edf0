//! Points in time, to the nanosecond.

use rustix::fs::{Timespec, Timestamps, UTIME_OMIT};

/// A point in time, counted from 1970-01-01 00:00:00 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// Nanoseconds to add, below 1,000,000,000.
    pub nanoseconds: u32,
}

impl Time {
    /// Parses a time in a PAX record, such as `1700000000.25` or `-1.5`.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let seconds: i64 = whole.parse().ok()?;
        let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
        let nanoseconds = digits.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        Some(match (is_negative, nanoseconds) {
            (false, _) => Self { seconds, nanoseconds },
            (true, 0) => Self { seconds: -seconds, nanoseconds },
            (true, _) => Self { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds },
        })
    }

    /// The time as a PAX record has it.
    pub(crate) fn to_decimal(self) -> String {
        let Self { seconds, nanoseconds } = self;
        match (seconds, nanoseconds) {
            (_, 0) => seconds.to_string(),
            (0.., _) => format!("{seconds}.{nanoseconds:09}"),
            (_, _) => format!("-{}.{:09}", -(seconds + 1), 1_000_000_000 - nanoseconds),
        }
    }

    /// The modification time for utimensat(2), which leaves the access time as it is.
    #[must_use]
    pub fn to_timestamps(self) -> Timestamps {
        let last_modification =
            Timespec { tv_sec: self.seconds, tv_nsec: i64::from(self.nanoseconds) };
        Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_and_written() {
        for (text, seconds, nanoseconds) in [
            ("0", 0, 0),
            ("1700000000.000000001", 1_700_000_000, 1),
            ("-1", -1, 0),
            ("-0.500000000", -1, 500_000_000),
            ("-1.500000000", -2, 500_000_000),
        ] {
            let time = Time { seconds, nanoseconds };
            assert_eq!(Time::parse(text.as_bytes()), Some(time), "{text}");
            assert_eq!(time.to_decimal(), text);
        }
        let time = |seconds, nanoseconds| Some(Time { seconds, nanoseconds });
        assert_eq!(Time::parse(b"5.25"), time(5, 250_000_000));
        assert_eq!(Time::parse(b"5.1234567899"), time(5, 123_456_789));
        for wrong in ["", ".5", "+1", "1e5", "--1", "1.-5", "99999999999999999999"] {
            assert_eq!(Time::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
