//! The arithmetic: from raw times to medians, speed-ups and advice.

/// Less than this counts as no gain: it is within what two runs of the same
/// thing differ by.
const WORTHWHILE: f64 = 1.05;

/// Times of the same work, in the order in which they were taken. There is at
/// least one.
#[derive(Clone, Debug, Default)]
pub(super) struct Timing(Vec<f64>);

impl Timing {
    /// Adds a time in seconds.
    pub(super) fn add(&mut self, seconds: f64) {
        // What a clock cannot tell from nothing would be infinitely fast.
        self.0.push(seconds.max(1e-9));
    }

    /// The times of two works that are done one after the other.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, other)| one + other).collect())
    }

    /// All of them.
    pub(super) fn seconds(&self) -> &[f64] {
        &self.0
    }

    /// The middle one, or the middle between the two in the middle.
    pub(super) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => 1e-9,
            len if len % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    /// The shortest.
    pub(super) fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The longest.
    pub(super) fn max(&self) -> f64 {
        self.0.iter().copied().fold(0.0, f64::max)
    }

    /// Bytes per second, where each time is that of `bytes`.
    pub(super) fn rate(&self, bytes: u64) -> Rate {
        let bytes = bytes as f64;
        Rate { median: bytes / self.median(), low: bytes / self.max(), high: bytes / self.min() }
    }
}

/// Bytes per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate {
    pub(super) median: f64,
    /// That of the longest run.
    pub(super) low: f64,
    /// That of the shortest run.
    pub(super) high: f64,
}

/// How many times as fast as `single` something is.
pub(super) fn speed_up(single: &Timing, other: &Timing) -> f64 {
    single.median() / other.median()
}

/// What each of `processes` contributes, as a part of what it could at best.
pub(super) fn efficiency(speed_up: f64, processes: u16) -> f64 {
    speed_up / f64::from(processes.max(1))
}

/// Whether `other` is quicker than `single`, and not by chance: it must be so in
/// the median, and in three of four rounds. In a round both worked under much
/// the same circumstances, however those changed from round to round.
pub(super) fn is_gain(single: &Timing, other: &Timing) -> bool {
    let rounds = single.0.iter().zip(&other.0);
    let won = rounds.clone().filter(|(single, other)| other < single).count();
    speed_up(single, other) >= WORTHWHILE && 4 * won >= 3 * rounds.count()
}

/// The fewest processes with which the work is about as quick as with the best
/// number; 0 where none is quicker than the single process.
pub(super) fn recommended(single: &Timing, pools: &[(u16, Timing)]) -> u16 {
    let medians = || pools.iter().map(|(processes, timing)| (*processes, timing.median()));
    let best = medians().map(|(_, median)| median).fold(f64::INFINITY, f64::min);
    let good = pools
        .iter()
        .filter(|(_, timing)| timing.median() <= best * WORTHWHILE && is_gain(single, timing));
    good.map(|(processes, _)| *processes).min().unwrap_or(0)
}

/// The point from which on workers pay: all that follows is a gain. `gains` is
/// in ascending order.
pub(super) fn pays_from<T: Copy>(gains: &[(T, bool)]) -> Option<T> {
    let paying = gains.iter().rev().take_while(|(_, is_gain)| *is_gain);
    paying.last().map(|(what, _)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(seconds: &[f64]) -> Timing {
        let mut timing = Timing::default();
        seconds.iter().for_each(|seconds| timing.add(*seconds));
        timing
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(timing(&[3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(timing(&[4.0, 1.0, 2.0, 3.0]).median(), 2.5);
        assert_eq!(timing(&[7.0]).median(), 7.0);
        let timing = timing(&[3.0, 1.0, 2.0]);
        assert_eq!((timing.min(), timing.max()), (1.0, 3.0));
        assert_eq!(timing.seconds(), [3.0, 1.0, 2.0], "in the order of the runs");
    }

    #[test]
    fn the_longest_run_is_the_lowest_rate() {
        let rate = timing(&[1.0, 2.0, 4.0]).rate(8);
        assert_eq!(rate, Rate { median: 4.0, low: 2.0, high: 8.0 });
    }

    #[test]
    fn no_time_at_all_is_not_infinitely_fast() {
        assert!(timing(&[0.0]).rate(1 << 40).median.is_finite());
        assert!(Timing::default().rate(1 << 40).median.is_finite());
    }

    #[test]
    fn speed_up_and_efficiency() {
        let speed_up = speed_up(&timing(&[3.0]), &timing(&[2.0]));
        assert_eq!(speed_up, 1.5);
        assert_eq!(efficiency(speed_up, 2), 0.75);
        assert_eq!(efficiency(speed_up, 0), 1.5);
    }

    #[test]
    fn a_gain_is_more_than_chance() {
        let single = timing(&[2.0, 1.8, 4.0, 2.2]);
        assert!(is_gain(&single, &timing(&[1.5, 1.7, 2.1, 2.0])));
        assert!(is_gain(&single, &timing(&[1.5, 1.9, 2.1, 1.7])), "three of four");
        assert!(!is_gain(&single, &timing(&[1.5, 1.9, 1.0, 2.3])), "two of four");
        assert!(!is_gain(&timing(&[2.0]), &timing(&[1.95])), "too little");
        assert!(!is_gain(&timing(&[2.0]), &timing(&[3.0])));
    }

    #[test]
    fn few_processes_are_recommended_where_more_bring_nothing() {
        let recommended = |single: f64, pools: &[(u16, f64)]| {
            let pools: Vec<_> = pools
                .iter()
                .map(|(processes, seconds)| (*processes, timing(&[*seconds])))
                .collect();
            recommended(&timing(&[single]), &pools)
        };
        assert_eq!(recommended(2.0, &[(1, 2.1), (2, 1.0), (4, 0.97)]), 2);
        assert_eq!(recommended(2.0, &[(1, 2.1), (2, 1.0), (4, 0.6)]), 4);
        assert_eq!(recommended(1.0, &[(1, 1.2), (2, 0.99)]), 0);
        assert_eq!(recommended(1.0, &[]), 0);
    }

    #[test]
    fn workers_pay_from_where_they_keep_paying() {
        let sizes = |gains: &[bool]| {
            pays_from::<u64>(&(1..).zip(gains.iter().copied()).collect::<Vec<_>>())
        };
        assert_eq!(sizes(&[false, false, true, true]), Some(3));
        assert_eq!(sizes(&[true, false, true, true]), Some(3), "not from a lucky one on");
        assert_eq!(sizes(&[true, true]), Some(1));
        assert_eq!(sizes(&[true, false]), None);
        assert_eq!(sizes(&[]), None);
    }
}
