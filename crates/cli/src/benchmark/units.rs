//! Numbers as people read them.

use super::results::Rung;

/// A size: binary, since that is how the sizes were chosen.
pub(super) fn size(bytes: u64) -> String {
    let units = [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.iter().find(|(_, unit)| bytes >= *unit) {
        None if bytes == 1 => "1 byte".to_owned(),
        None => format!("{bytes} bytes"),
        Some((name, unit)) if bytes.is_multiple_of(*unit) => format!("{} {name}", bytes / unit),
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
    }
}

/// A size, and how many of it.
pub(super) fn rung(rung: Rung) -> String {
    match rung.files {
        1 => size(rung.bytes),
        files => format!("{} × {files}", size(rung.bytes)),
    }
}

/// A rate: decimal, as those of disks and networks are.
pub(super) fn rate(bytes_per_second: f64) -> String {
    match bytes_per_second {
        rate if rate >= 9.995e9 => format!("{:.1} GB/s", rate / 1e9),
        rate if rate >= 9.995e8 => format!("{:.2} GB/s", rate / 1e9),
        rate if rate >= 9.95e6 => format!("{:.0} MB/s", rate / 1e6),
        rate => format!("{:.1} MB/s", rate / 1e6),
    }
}

/// A rate in a column of MB/s.
pub(super) fn megabytes(bytes_per_second: f64) -> String {
    match bytes_per_second / 1e6 {
        rate if rate < 9.95 => format!("{rate:.1}"),
        rate => format!("{rate:.0}"),
    }
}

/// A part of a whole.
pub(super) fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

/// How many times as much.
pub(super) fn times(factor: f64) -> String {
    format!("{factor:.2}×")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(size(1), "1 byte");
        assert_eq!(size(1023), "1023 bytes");
        assert_eq!(size(400 << 10), "400 KiB");
        assert_eq!(size(12_345_678), "11.8 MiB");
        assert_eq!(size(1 << 30), "1 GiB");
        assert_eq!(rung(Rung { bytes: 4096, files: 500 }), "4 KiB × 500");
        assert_eq!(rate(2_514_000_000.0), "2.51 GB/s");
        assert_eq!(rate(12_514_000_000.0), "12.5 GB/s");
        assert_eq!(rate(999_600_000.0), "1.00 GB/s");
        assert_eq!(rate(45_200_000.0), "45 MB/s");
        assert_eq!(megabytes(2_300_000.0), "2.3");
        assert_eq!(percent(0.974), "97 %");
        assert_eq!(times(1.385), "1.39×");
    }
}
