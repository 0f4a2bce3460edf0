//! Numbers as they are shown.

use indicatif::HumanCount;

/// Bytes in a MiB and in a GiB.
pub(crate) const MIB: f64 = 1_048_576.0;
pub(crate) const GIB: f64 = 1024.0 * MIB;

/// A size, in binary units.
pub(crate) fn size(bytes: u64) -> String {
    let units = [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.iter().find(|(_, unit)| bytes >= *unit) {
        None if bytes == 1 => "1 byte".to_owned(),
        None => format!("{} bytes", grouped(bytes)),
        Some((name, unit)) if bytes.is_multiple_of(*unit) => {
            format!("{} {name}", grouped(bytes / unit))
        }
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
    }
}

/// A rate, in the units of the program's other reports.
pub(crate) fn rate(bytes_per_second: f64) -> String {
    match bytes_per_second {
        rate if rate >= 9.995 * GIB => format!("{:.1} GiB/s", rate / GIB),
        rate if rate >= GIB => format!("{:.2} GiB/s", rate / GIB),
        rate => format!("{} MiB/s", mebibytes(rate)),
    }
}

/// A rate in MiB/s, for a column of them.
pub(crate) fn mebibytes(bytes_per_second: f64) -> String {
    match bytes_per_second / MIB {
        rate if rate < 9.95 => format!("{rate:.1}"),
        rate => grouped(rate.round() as u64),
    }
}

/// A number with commas between thousands.
pub(crate) fn grouped(number: u64) -> String {
    HumanCount(number).to_string()
}

/// A duration.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        long if long >= 0.9995 => format!("{long:.2} s"),
        short if short >= 0.00995 => format!("{:.0} ms", short * 1e3),
        short => format!("{:.1} ms", short * 1e3),
    }
}

/// A fraction, in percent.
pub(crate) fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

/// A factor.
pub(crate) fn times(factor: f64) -> String {
    format!("{factor:.2}×")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(size(1), "1 byte");
        assert_eq!(size(1023), "1,023 bytes");
        assert_eq!(size(400 << 10), "400 KiB");
        assert_eq!(size(12_345_678), "11.8 MiB");
        assert_eq!(size(1 << 30), "1 GiB");
        assert_eq!(rate(2.514 * GIB), "2.51 GiB/s");
        assert_eq!(rate(12.51 * GIB), "12.5 GiB/s");
        assert_eq!(rate(0.999 * GIB), "1,023 MiB/s");
        assert_eq!(rate(45.2 * MIB), "45 MiB/s");
        assert_eq!(mebibytes(2.3 * MIB), "2.3");
        assert_eq!(mebibytes(12_345.6 * MIB), "12,346");
        assert_eq!([2.5, 0.25, 0.0021].map(seconds), ["2.50 s", "250 ms", "2.1 ms"]);
        assert_eq!(percent(0.974), "97 %");
        assert_eq!(times(1.385), "1.39×");
    }
}
