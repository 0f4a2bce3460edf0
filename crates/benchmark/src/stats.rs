//! Medians, speed-ups, comparisons and the conclusion.

/// A smaller relative difference counts as none.
const RELEVANT: f64 = 0.05;
/// With fewer runs the spread is unknown, so nothing is concluded.
pub(crate) const MIN_RUNS: usize = 3;

/// Times of the same work in seconds, in the order in which they were measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// Adds a time in seconds.
    pub(crate) fn add(&mut self, seconds: f64) {
        // A time below the clock's resolution would be infinitely fast.
        self.0.push(seconds.max(1e-9));
    }

    /// The sums of the times of two operations that follow each other.
    pub(crate) fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, other)| one + other).collect())
    }

    /// All times.
    pub(crate) fn seconds(&self) -> &[f64] {
        &self.0
    }

    /// The median.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => 1e-9,
            len if len % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    /// The first and the third quartile, linearly interpolated.
    fn quartiles(&self) -> (f64, f64) {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let position = part * sorted.len().saturating_sub(1) as f64;
            let (below, above) = (position.floor() as usize, position.ceil() as usize);
            let [Some(below), Some(above)] = [sorted.get(below), sorted.get(above)] else {
                return 1e-9;
            };
            below + (above - below) * position.fract()
        };
        (at(0.25), at(0.75))
    }

    /// The interquartile range, divided by the median.
    pub(crate) fn spread(&self) -> f64 {
        let (low, high) = self.quartiles();
        (high - low) / self.median()
    }

    /// The shortest.
    pub(crate) fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The longest.
    pub(crate) fn max(&self) -> f64 {
        self.0.iter().copied().fold(0.0, f64::max)
    }

    /// Bytes per second, if each time is that of `bytes`.
    pub(crate) fn rate(&self, bytes: u64) -> Rate {
        let bytes = bytes as f64;
        Rate { median: bytes / self.median(), low: bytes / self.max(), high: bytes / self.min() }
    }
}

/// Bytes per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    pub(crate) median: f64,
    /// Of the longest run.
    pub(crate) low: f64,
    /// Of the shortest run.
    pub(crate) high: f64,
}

/// How many times as fast as `single` the other one is.
pub(crate) fn speed_up(single: &Samples, other: &Samples) -> f64 {
    single.median() / other.median()
}

/// The speed-up divided by the number of cores that can work, at most 1. The main process
/// works too, so N workers use up to N + 1 cores; the single process uses one.
pub(crate) fn efficiency(speed_up: f64, workers: u16, cores: usize) -> f64 {
    let usable = (usize::from(workers) + 1).min(cores.max(1));
    (speed_up / usable as f64).min(1.0)
}

/// The result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Faster,
    /// The medians differ by less than 5 %, and so do the runs of each.
    Same,
    Slower,
    /// The spread is larger than the difference, or there are too few runs.
    Inconclusive,
}

impl Comparison {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Same => "same",
            Self::Slower => "slower",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// Compares the median of `other` with that of `base`, given the spread of both.
pub(crate) fn compare(base: &Samples, other: &Samples) -> Comparison {
    if base.0.len().min(other.0.len()) < MIN_RUNS {
        return Comparison::Inconclusive;
    }
    let difference = other.median() / base.median() - 1.0;
    let spread = base.spread().max(other.spread());
    if difference.abs() < RELEVANT {
        if spread < RELEVANT { Comparison::Same } else { Comparison::Inconclusive }
    } else if difference.abs() <= spread {
        Comparison::Inconclusive
    } else if difference < 0.0 {
        Comparison::Faster
    } else {
        Comparison::Slower
    }
}

/// Which number of workers to recommend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conclusion {
    /// No workers: they make nothing faster.
    NoWorkers,
    /// The smallest number that is measurably faster than none and not slower than any other.
    Workers(u16),
    /// The spread is larger than the differences.
    Inconclusive,
}

impl Conclusion {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NoWorkers => "no-workers",
            Self::Workers(_) => "workers",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// Decides on the number of workers. Every sentence of the table and the page follows from
/// this. If several numbers are equally good, `default` is kept.
pub(crate) fn conclude(single: &Samples, pools: &[(u16, Samples)], default: u16) -> Conclusion {
    let all = || [(0, single)].into_iter().chain(pools.iter().map(|(count, time)| (*count, time)));
    let medians = all().map(|(_, samples)| (samples, samples.median()));
    let best = medians.min_by(|one, other| one.1.total_cmp(&other.1)).map_or(single, |best| best.0);
    if best.0.len() < MIN_RUNS {
        return Conclusion::Inconclusive;
    }
    // Those that are not slower than the best, in ascending order.
    let left: Vec<_> = all()
        .map(|(workers, samples)| {
            let is_best = std::ptr::eq(samples, best);
            let comparison = if is_best { Comparison::Same } else { compare(best, samples) };
            (workers, samples, comparison)
        })
        .filter(|(_, _, comparison)| *comparison != Comparison::Slower)
        .collect();
    let is_clear = left.iter().all(|(_, _, comparison)| *comparison == Comparison::Same);
    let has_default = left.iter().any(|(workers, _, _)| *workers == default);
    if !is_clear && has_default {
        return Conclusion::Inconclusive;
    }
    let has_none = left.first().is_some_and(|(workers, _, _)| *workers == 0);
    if has_none && !pools.iter().any(|(_, pool)| compare(single, pool) == Comparison::Faster) {
        return Conclusion::NoWorkers;
    }
    left.iter()
        .find(|(_, samples, _)| compare(single, samples) == Comparison::Faster)
        .map_or(Conclusion::Inconclusive, |(workers, _, _)| Conclusion::Workers(*workers))
}

/// From where on workers are faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BreakEven<T> {
    /// From here on, wherever it was measured.
    From(T),
    Never,
    /// The largest one is inconclusive.
    Inconclusive,
}

impl<T> BreakEven<T> {
    /// The point, if there is one.
    pub(crate) fn from(self) -> Option<T> {
        match self {
            Self::From(value) => Some(value),
            Self::Never | Self::Inconclusive => None,
        }
    }
}

/// The point from which on all that follows is faster. `comparisons` is in
/// ascending order.
pub(crate) fn break_even<T: Copy>(comparisons: &[(T, Comparison)]) -> BreakEven<T> {
    let paying = comparisons.iter().rev().take_while(|(_, one)| *one == Comparison::Faster);
    match (paying.last(), comparisons.last()) {
        (Some((value, _)), _) => BreakEven::From(*value),
        (None, Some((_, Comparison::Inconclusive))) => BreakEven::Inconclusive,
        (None, _) => BreakEven::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(seconds: &[f64]) -> Samples {
        let mut samples = Samples::default();
        seconds.iter().for_each(|seconds| samples.add(*seconds));
        samples
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(samples(&[3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(samples(&[4.0, 1.0, 2.0, 3.0]).median(), 2.5);
        assert_eq!(samples(&[7.0]).median(), 7.0);
        let samples = samples(&[3.0, 1.0, 2.0]);
        assert_eq!((samples.min(), samples.max()), (1.0, 3.0));
        assert_eq!(samples.seconds(), [3.0, 1.0, 2.0], "in the order of the runs");
    }

    #[test]
    fn the_longest_run_is_the_lowest_rate() {
        let rate = samples(&[1.0, 2.0, 4.0]).rate(8);
        assert_eq!(rate, Rate { median: 4.0, low: 2.0, high: 8.0 });
    }

    #[test]
    fn no_time_at_all_is_not_infinitely_fast() {
        assert!(samples(&[0.0]).rate(1 << 40).median.is_finite());
        assert!(Samples::default().rate(1 << 40).median.is_finite());
    }

    #[test]
    fn efficiency_is_never_above_one() {
        let speed_up = speed_up(&samples(&[3.0]), &samples(&[2.0]));
        assert_eq!(speed_up, 1.5);
        assert_eq!(efficiency(speed_up, 1, 8), 0.75, "main and a worker: two cores");
        assert_eq!(efficiency(speed_up, 2, 2), 0.75, "two cores are all there are");
        assert_eq!(efficiency(speed_up, 2, 8), 0.5);
        assert_eq!(efficiency(2.38, 1, 2), 1.0);
        assert_eq!(efficiency(4.29, 0, 0), 1.0);
    }

    #[test]
    fn half_of_the_times_lie_in_the_spread() {
        assert_eq!(samples(&[1.0, 2.0, 3.0, 4.0, 5.0]).spread(), 2.0 / 3.0);
        assert_eq!(samples(&[2.0, 2.0, 9.0, 2.0, 2.0]).spread(), 0.0, "one outlier is none");
        assert_eq!(samples(&[2.0]).spread(), 0.0);
        assert!(Samples::default().spread().is_finite());
    }

    /// Runs around `seconds`, whose spread is `spread` of the median.
    fn runs(seconds: f64, spread: f64) -> Samples {
        samples(&[-1.0, -0.5, 0.0, 0.5, 1.0].map(|position| seconds * (1.0 + spread * position)))
    }

    #[test]
    fn a_difference_below_the_spread_is_inconclusive() {
        let compare =
            |difference: f64, spread| compare(&runs(1.0, 0.01), &runs(1.0 + difference, spread));
        assert_eq!(compare(-0.3, 0.1), Comparison::Faster);
        assert_eq!(compare(0.3, 0.1), Comparison::Slower);
        assert_eq!(compare(-0.3, 0.4), Comparison::Inconclusive);
        assert_eq!(compare(0.3, 0.4), Comparison::Inconclusive);
        assert_eq!(compare(0.02, 0.02), Comparison::Same);
        assert_eq!(compare(0.02, 0.3), Comparison::Inconclusive);
        let two = samples(&[1.0, 1.0]);
        assert_eq!(
            super::compare(&two, &samples(&[9.0, 9.0])),
            Comparison::Inconclusive,
            "too few"
        );
    }

    #[test]
    fn one_function_decides_on_the_workers() {
        let conclude = |single: Samples, pools: &[(u16, Samples)]| conclude(&single, pools, 2);
        let quiet = |seconds| runs(seconds, 0.02);
        let pools = [(1, quiet(2.1)), (2, quiet(1.0)), (4, quiet(0.97))];
        assert_eq!(
            conclude(quiet(2.0), &pools),
            Conclusion::Workers(2),
            "few where more bring nothing"
        );
        let pools = [(1, quiet(2.1)), (2, quiet(1.0)), (4, quiet(0.6))];
        assert_eq!(conclude(quiet(2.0), &pools), Conclusion::Workers(4));
        assert_eq!(
            conclude(quiet(1.0), &[(1, quiet(1.2)), (2, quiet(0.99))]),
            Conclusion::NoWorkers
        );
        assert_eq!(conclude(quiet(1.0), &[]), Conclusion::NoWorkers);
        // A real case: a lucky run of one worker, while two are better.
        let noisy = [(1, runs(0.9, 0.5)), (2, runs(0.92, 0.5))];
        assert_eq!(conclude(runs(1.0, 0.5), &noisy), Conclusion::Inconclusive);
        // No number is certainly best, but the default is certainly slower.
        let slow = [(1, runs(1.02, 0.3)), (2, quiet(1.5))];
        assert_eq!(conclude(quiet(1.0), &slow), Conclusion::NoWorkers);
        let half = [(1, quiet(2.0)), (2, runs(1.0, 0.02)), (4, runs(0.95, 0.3))];
        assert_eq!(conclude(quiet(2.0), &half), Conclusion::Inconclusive);
        assert_eq!(conclude(samples(&[2.0]), &[(2, samples(&[1.0]))]), Conclusion::Inconclusive);
        assert_eq!(conclude(samples(&[1.0]), &[]), Conclusion::Inconclusive);
    }

    /// A recommended number must be faster than no workers, or the page would say both "use 2
    /// workers" and "workers never pay".
    #[test]
    fn the_conclusion_never_contradicts_where_workers_break_even() {
        let mut state = 7u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f64 / (1u64 << 24) as f64
        };
        for _ in 0..20_000 {
            let noise = random() * 0.4;
            let mut some = || {
                let base = 0.7 + 0.6 * random();
                samples(&[(); 5].map(|()| base * (1.0 + noise * (random() - 0.5))))
            };
            let single = some();
            let pools = [(1, some()), (2, some()), (4, some())];
            let faster = |workers| {
                let (_, samples) = pools.iter().find(|(count, _)| *count == workers).unwrap();
                compare(&single, samples) == Comparison::Faster
            };
            match conclude(&single, &pools, 2) {
                Conclusion::Workers(workers) => assert!(faster(workers)),
                Conclusion::NoWorkers => assert!(![1, 2, 4].map(faster).contains(&true)),
                Conclusion::Inconclusive => {}
            }
        }
    }

    #[test]
    fn workers_break_even_from_where_they_keep_paying() {
        use Comparison::{Faster, Inconclusive, Same, Slower};
        let sizes = |all: &[Comparison]| {
            break_even::<u64>(&(1..).zip(all.iter().copied()).collect::<Vec<_>>())
        };
        assert_eq!(sizes(&[Slower, Same, Faster, Faster]), BreakEven::From(3));
        assert_eq!(
            sizes(&[Faster, Slower, Faster, Faster]),
            BreakEven::From(3),
            "not from a lucky one on"
        );
        assert_eq!(sizes(&[Faster, Faster]), BreakEven::From(1));
        assert_eq!(sizes(&[Faster, Same]), BreakEven::Never);
        assert_eq!(sizes(&[Faster, Inconclusive]), BreakEven::Inconclusive);
        assert_eq!(sizes(&[]), BreakEven::Never);
    }
}
