//! Which sizes are measured, and with how many worker processes.

use crate::results::{Configuration, SizeClass, SkippedSize, Start};

/// The sizes in bytes, and how many files of each make one run: a single small file takes too
/// little time for the clock, and warm workers matter only from the second file on.
const SIZE_CLASSES: [(u64, usize); 6] =
    [(4 << 10, 500), (64 << 10, 200), (400 << 10, 100), (4 << 20, 16), (64 << 20, 1), (1 << 30, 1)];

/// The input, the encrypted and the decrypted output exist at the same time.
const COPIES: u64 = 3;
/// Bytes left free for other programs that write to the same disk.
const RESERVE: u64 = 64 << 20;

/// Bytes that a run needs on the disk.
pub(crate) fn needed(size_class: SizeClass) -> u64 {
    size_class.total().saturating_mul(COPIES).saturating_add(RESERVE)
}

/// The sizes up to `max_size` that fit on the disk and in memory. Larger ones would measure
/// the disk.
pub(crate) fn size_classes_up_to(
    max_size: u64,
    free: u64,
    memory: u64,
) -> (Vec<SizeClass>, Vec<SkippedSize>) {
    let (mut size_classes, mut skipped) = (Vec::new(), Vec::new());
    for (bytes, files) in SIZE_CLASSES.into_iter().filter(|(bytes, _)| *bytes <= max_size) {
        let size_class = SizeClass { bytes, files };
        match shortage(size_class, free, memory) {
            Some(shortage) => skipped.push(shortage),
            None => size_classes.push(size_class),
        }
    }
    (size_classes, skipped)
}

/// What there is too little of for this size, if anything.
pub(crate) fn shortage(size_class: SizeClass, free: u64, memory: u64) -> Option<SkippedSize> {
    let (bytes, needed) = (size_class.bytes, needed(size_class));
    [(free, "room in the folder"), (memory, "memory")]
        .into_iter()
        .find(|(available, _)| needed > *available)
        .map(|(available, shortage_of)| SkippedSize { bytes, needed, available, shortage_of })
}

/// The smallest size in bytes.
pub(crate) fn smallest() -> u64 {
    SIZE_CLASSES[0].0
}

/// The size of a user's file, which is measured as often as test files of about that size.
pub(crate) fn size_class_of_file(bytes: u64) -> SizeClass {
    let files = SIZE_CLASSES.iter().find(|(size, _)| bytes <= *size).map_or(1, |(_, files)| *files);
    SizeClass { bytes, files }
}

/// The numbers of processes to measure: the powers of two below `most`, and `most`.
pub(crate) fn process_counts(most: u16) -> Vec<u16> {
    let powers = (0..u16::BITS).map(|exponent| 1 << exponent).take_while(|count| *count < most);
    powers.chain([most]).collect()
}

/// The largest number of processes unless the user names one.
pub(crate) fn default_processes(cores: usize) -> u16 {
    u16::try_from(cores.clamp(2, 8)).unwrap_or(8)
}

/// All configurations, the single process first.
pub(crate) fn configurations(processes: &[u16]) -> Vec<Configuration> {
    let pools = processes.iter().flat_map(|processes| {
        [Start::Cold, Start::Warm].map(|start| Configuration::Pool { processes: *processes, start })
    });
    [Configuration::Single].into_iter().chain(pools).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_doubled_up_to_the_most() {
        assert_eq!(process_counts(1), [1]);
        assert_eq!(process_counts(2), [1, 2]);
        assert_eq!(process_counts(3), [1, 2, 3]);
        assert_eq!(process_counts(6), [1, 2, 4, 6]);
        assert_eq!(process_counts(8), [1, 2, 4, 8]);
        assert_eq!(process_counts(256).len(), 9);
        assert_eq!([1, 2, 5, 64].map(default_processes), [2, 2, 5, 8]);
    }

    #[test]
    fn sizes_end_where_the_room_does() {
        let all = 1 << 30;
        let sizes = |size_classes: &[SizeClass]| {
            size_classes.iter().map(|size_class| size_class.bytes).collect::<Vec<_>>()
        };
        let (size_classes, skipped) = size_classes_up_to(all, u64::MAX, u64::MAX);
        assert_eq!((size_classes.len(), skipped.len()), (6, 0));
        let (size_classes, skipped) = size_classes_up_to(4 << 20, u64::MAX, u64::MAX);
        assert_eq!(sizes(&size_classes), [4 << 10, 64 << 10, 400 << 10, 4 << 20]);
        assert!(skipped.is_empty());
        let (size_classes, skipped) = size_classes_up_to(all, u64::MAX, 1 << 30);
        assert_eq!(size_classes.len(), 5);
        assert_eq!((skipped[0].bytes, skipped[0].shortage_of), (1 << 30, "memory"));
        assert!(size_classes_up_to(all, 0, 0).0.is_empty());
    }

    #[test]
    fn a_small_file_is_measured_many_times_over() {
        assert_eq!(size_class_of_file(1).files, 500);
        assert_eq!(size_class_of_file(5 << 10).files, 200);
        assert_eq!(size_class_of_file(4 << 20).files, 16);
        assert_eq!(size_class_of_file(12 << 20).files, 1);
        assert_eq!(size_class_of_file(1 << 40).files, 1);
    }
}
