//! Scales and ticks.

/// Maps values to positions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// The values at both ends; if `is_logarithmic`, their logarithms count.
    pub(super) values: (f64, f64),
    pub(super) positions: (f64, f64),
    pub(super) is_logarithmic: bool,
}

impl Scale {
    pub(super) fn position(&self, value: f64) -> f64 {
        let as_scaled =
            |value: f64| if self.is_logarithmic { value.max(1.0).log2() } else { value };
        let (from, to) = (as_scaled(self.values.0), as_scaled(self.values.1));
        let part = if to > from { (as_scaled(value) - from) / (to - from) } else { 0.5 };
        self.positions.0 + part * (self.positions.1 - self.positions.0)
    }
}

/// About `count` ticks at round numbers, from 0 to the first that is not below `max`.
pub(super) fn ticks(max: f64, count: usize) -> Vec<f64> {
    if !(max.is_finite() && max > 0.0) {
        return vec![0.0, 1.0];
    }
    let rough = max / count.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    // The power of ten below is at most ten times too small.
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough * 0.999_999)
        .unwrap_or(10.0 * power);
    let last = (max / step - 1e-6).ceil().max(1.0) as usize;
    (0..=last).map(|index| index as f64 * step).collect()
}

/// The number at a tick, with as many digits as all of them need.
pub(super) fn label(value: f64, ticks: &[f64]) -> String {
    let is_exact = |digits: i32| {
        let scaled = |tick: f64| tick * 10f64.powi(digits);
        ticks.iter().all(|tick| (scaled(*tick) - scaled(*tick).round()).abs() < 1e-6)
    };
    let digits = (0..=3).find(|digits| is_exact(*digits)).unwrap_or(3);
    format!("{value:.*}", digits as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round() {
        assert_eq!(ticks(2.9, 4), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(ticks(10.0, 5), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks(0.9, 4), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(ticks(1.0, 4), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(ticks(0.0, 4), [0.0, 1.0]);
        assert_eq!(ticks(f64::NAN, 4), [0.0, 1.0]);
        for max in [0.013, 0.7, 3.3, 47.0, 12_345.0] {
            let ticks = ticks(max, 5);
            assert!((3..=8).contains(&ticks.len()), "{ticks:?}");
            assert!(ticks[ticks.len() - 1] >= max && ticks[ticks.len() - 2] < max, "{ticks:?}");
        }
    }

    #[test]
    fn labels_have_the_digits_they_need() {
        let labels = |max| {
            let ticks = ticks(max, 4);
            ticks.iter().map(|tick| label(*tick, &ticks)).collect::<Vec<_>>()
        };
        assert_eq!(labels(3.0), ["0", "1", "2", "3"]);
        assert_eq!(labels(1.0), ["0.00", "0.25", "0.50", "0.75", "1.00"]);
    }

    #[test]
    fn places_lie_between() {
        let linear = Scale { values: (0.0, 10.0), positions: (100.0, 0.0), is_logarithmic: false };
        assert_eq!([0.0, 5.0, 10.0].map(|value| linear.position(value)), [100.0, 50.0, 0.0]);
        let log = Scale { values: (4.0, 64.0), positions: (0.0, 100.0), is_logarithmic: true };
        assert_eq!([4.0, 16.0, 64.0].map(|value| log.position(value)), [0.0, 50.0, 100.0]);
        let one = Scale { values: (4.0, 4.0), positions: (0.0, 100.0), is_logarithmic: true };
        assert_eq!(one.position(4.0), 50.0);
    }
}
