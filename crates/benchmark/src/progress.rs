//! Progress of a benchmark.

/// Receives the progress of a benchmark.
pub trait Progress {
    /// There will be about `total` measurements.
    fn begin(&self, total: u64);

    /// The measurements with files of one size begin, such as `4 KiB × 500`.
    fn begin_size(&self, size: &str);

    /// A measurement begins: with files of which size, and what is measured.
    fn step(&self, size: &str, what: &str);
}
