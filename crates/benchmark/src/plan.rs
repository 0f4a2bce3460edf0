//! What is measured: which sizes, and with how many processes.

use super::results::{Contestant, Rung, Skipped, Warmth};

/// The sizes of the ladder, and how many files of each are one run: a small
/// one alone takes less time than a clock can be trusted with, and a warm pool
/// shows what it is good for only from the second file on.
const LADDER: [(u64, usize); 6] =
    [(4 << 10, 500), (64 << 10, 200), (400 << 10, 100), (4 << 20, 16), (64 << 20, 1), (1 << 30, 1)];

/// The input, sealed, and opened again stand side by side.
const COPIES: u64 = 3;
/// Left free beside them, for whatever else writes to the same disk.
const RESERVE: u64 = 64 << 20;

/// Bytes that a run with this rung takes.
pub(super) fn needed(rung: Rung) -> u64 {
    rung.total().saturating_mul(COPIES).saturating_add(RESERVE)
}

/// The ladder up to `max_size`, as far as there is room on the disk and, since
/// otherwise the disk would be measured, in memory.
pub(super) fn ladder(max_size: u64, free: u64, memory: u64) -> (Vec<Rung>, Vec<Skipped>) {
    let (mut rungs, mut skipped) = (Vec::new(), Vec::new());
    for (bytes, files) in LADDER.into_iter().filter(|(bytes, _)| *bytes <= max_size) {
        let rung = Rung { bytes, files };
        match shortage(rung, free, memory) {
            Some(shortage) => skipped.push(shortage),
            None => rungs.push(rung),
        }
    }
    (rungs, skipped)
}

/// What there is too little of, if anything.
pub(super) fn shortage(rung: Rung, free: u64, memory: u64) -> Option<Skipped> {
    let (bytes, needed) = (rung.bytes, needed(rung));
    [(free, "room in the folder"), (memory, "memory")]
        .into_iter()
        .find(|(available, _)| needed > *available)
        .map(|(available, of)| Skipped { bytes, needed, available, of })
}

/// The smallest size of the ladder.
pub(super) fn smallest() -> u64 {
    LADDER[0].0
}

/// A file of the user's: like one of the ladder, as often as it takes to be
/// measurable.
pub(super) fn rung_of_file(bytes: u64) -> Rung {
    let files = LADDER.iter().find(|(size, _)| bytes <= *size).map_or(1, |(_, files)| *files);
    Rung { bytes, files }
}

/// Numbers of processes up to `most`: the powers of two, and itself.
pub(super) fn process_counts(most: u16) -> Vec<u16> {
    let powers = (0..u16::BITS).map(|exponent| 1 << exponent).take_while(|count| *count < most);
    powers.chain([most]).collect()
}

/// How many processes are measured where nobody said.
pub(super) fn default_processes(cores: usize) -> u16 {
    u16::try_from(cores.clamp(2, 8)).unwrap_or(8)
}

/// Everybody who takes part.
pub(super) fn contestants(processes: &[u16]) -> Vec<Contestant> {
    let pools = processes.iter().flat_map(|processes| {
        [Warmth::Cold, Warmth::Warm]
            .map(|warmth| Contestant::Pool { processes: *processes, warmth })
    });
    [Contestant::Single].into_iter().chain(pools).collect()
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
    fn the_ladder_ends_where_the_room_does() {
        let all = 1 << 30;
        let sizes = |rungs: &[Rung]| rungs.iter().map(|rung| rung.bytes).collect::<Vec<_>>();
        let (rungs, skipped) = ladder(all, u64::MAX, u64::MAX);
        assert_eq!((rungs.len(), skipped.len()), (6, 0));
        let (rungs, skipped) = ladder(4 << 20, u64::MAX, u64::MAX);
        assert_eq!(sizes(&rungs), [4 << 10, 64 << 10, 400 << 10, 4 << 20]);
        assert!(skipped.is_empty());
        let (rungs, skipped) = ladder(all, u64::MAX, 1 << 30);
        assert_eq!(rungs.len(), 5);
        assert_eq!((skipped[0].bytes, skipped[0].of), (1 << 30, "memory"));
        assert!(ladder(all, 0, 0).0.is_empty());
    }

    #[test]
    fn a_small_file_is_measured_many_times_over() {
        assert_eq!(rung_of_file(1).files, 500);
        assert_eq!(rung_of_file(5 << 10).files, 200);
        assert_eq!(rung_of_file(4 << 20).files, 16);
        assert_eq!(rung_of_file(12 << 20).files, 1);
        assert_eq!(rung_of_file(1 << 40).files, 1);
    }
}
