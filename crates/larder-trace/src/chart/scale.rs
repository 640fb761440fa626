//! The places of numbers on an axis, and the round numbers beside it.

use std::ops::RangeInclusive;

/// The scale of an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scale {
    /// Equal steps are equal differences.
    #[default]
    Linear,
    /// Equal steps are equal ratios.
    Logarithmic,
}

/// One axis: the numbers at its ends and those that are written beside it.
pub(super) struct Axis {
    scale: Scale,
    first: f64,
    last: f64,
    pub(super) ticks: Vec<f64>,
}

impl Scale {
    /// True if a number has a place.
    pub(super) fn has(self, number: f64) -> bool {
        number.is_finite() && (self == Self::Linear || number > 0.0)
    }

    fn place(self, number: f64) -> f64 {
        match self {
            Self::Linear => number,
            Self::Logarithmic => number.log10(),
        }
    }
}

impl Axis {
    /// Returns an axis that holds these numbers and ends at round ones.
    pub(super) fn around(scale: Scale, numbers: impl Iterator<Item = f64>) -> Self {
        let range = extent(numbers.filter(|number| scale.has(*number)));
        match scale {
            Scale::Linear => Self::linear(range),
            Scale::Logarithmic => Self::logarithmic(range),
        }
    }

    fn linear(range: Option<RangeInclusive<f64>>) -> Self {
        let (low, high) = range.unwrap_or(0.0..=1.0).into_inner();
        let width = if high > low { high - low } else { high.abs().max(1.0) };
        let step = round_step(width / TICKS);
        let first = (low / step).floor() * step;
        let count = ((high.max(low + width) - first) / step - 1e-9).ceil().clamp(1.0, 2.0 * TICKS);
        let ticks: Vec<f64> = counted(count).map(|tick| first + tick * step).collect();
        Self { scale: Scale::Linear, first, last: first + count * step, ticks }
    }

    /// Returns an axis with ticks at 1, 2 and 5 times the powers of ten, or fewer if they are many.
    fn logarithmic(range: Option<RangeInclusive<f64>>) -> Self {
        let (low, high) = range.unwrap_or(1.0..=10.0).into_inner();
        let (lowest, highest) = (low.log10().floor(), high.log10().ceil());
        let decades = counted(highest - lowest).map(|decade| decade + lowest);
        let every = ((highest - lowest) / TICKS).ceil().max(1.0);
        let factors: &[f64] = if highest - lowest > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let round: Vec<f64> = decades
            .filter(|decade| (decade - lowest) % every == 0.0)
            .flat_map(|decade| factors.iter().map(move |factor| factor * 10_f64.powf(decade)))
            .collect();
        let below = round.iter().copied().filter(|tick| *tick <= low * ALMOST);
        let above = round.iter().copied().filter(|tick| *tick * ALMOST >= high);
        let first = below.fold(low, |_, tick| tick).min(low);
        let mut last = above.fold(f64::INFINITY, f64::min).min(10_f64.powf(highest)).max(high);
        if last <= first {
            last = first * 10.0;
        }
        let inside = |tick: &f64| *tick * ALMOST >= first && *tick <= last * ALMOST;
        Self {
            scale: Scale::Logarithmic,
            first,
            last,
            ticks: round.into_iter().filter(inside).collect(),
        }
    }

    /// Returns the place of a number, from 0 to 1.
    pub(super) fn share(&self, number: f64) -> f64 {
        let [number, first, last] = [number, self.first, self.last].map(|n| self.scale.place(n));
        ((number - first) / (last - first)).clamp(0.0, 1.0)
    }
}

/// Returns a tick's number: short, with thousands as `k` and millions as `M`.
pub(super) fn label(number: f64) -> String {
    let units = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    let large = units.iter().find(|(unit, _)| number.abs() >= *unit);
    let (number, unit) = large.map_or((number, ""), |(unit, name)| (number / unit, name));
    if number != 0.0 && number.abs() < 1e-3 {
        return format!("{number:e}");
    }
    // Round numbers have three digits after the point at most.
    let text = format!("{number:.3}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Returns a number of things, as places are computed with it.
pub(super) fn count(things: usize) -> f64 {
    u32::try_from(things).map_or(f64::MAX, f64::from)
}

fn extent(numbers: impl Iterator<Item = f64>) -> Option<RangeInclusive<f64>> {
    numbers.fold(None, |range: Option<RangeInclusive<f64>>, number| {
        let (low, high) = range.map_or((number, number), RangeInclusive::into_inner);
        Some(low.min(number)..=high.max(number))
    })
}

/// Returns the smallest of 1, 2, 5 times a power of ten that is no smaller than this.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    factors
        .into_iter()
        .map(|factor| factor * power)
        .find(|round| *round >= step * 0.999)
        .unwrap_or(step)
}

/// Returns 0, 1, 2, … up to this.
fn counted(last: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(0.0), |number| Some(number + 1.0)).take_while(move |n| *n <= last)
}

/// The number of steps, roughly.
const TICKS: f64 = 8.0;
/// A factor that forgives the rounding errors of powers of ten.
const ALMOST: f64 = 1.0 + 1e-9;

#[cfg(test)]
mod tests {
    use super::{Axis, Scale, label};

    fn labels(scale: Scale, numbers: &[f64]) -> Vec<String> {
        let axis = Axis::around(scale, numbers.iter().copied());
        axis.ticks.iter().map(|tick| label(*tick)).collect()
    }

    #[test]
    fn ticks_are_round_and_hold_all_numbers() {
        assert_eq!(labels(Scale::Linear, &[0.0, 73.0]).join(" "), "0 10 20 30 40 50 60 70 80");
        assert_eq!(labels(Scale::Linear, &[-0.3, 0.2]).join(" "), "-0.3 -0.2 -0.1 0 0.1 0.2");
        assert_eq!(
            labels(Scale::Logarithmic, &[700.0, 40_000.0]).join(" "),
            "500 1k 2k 5k 10k 20k 50k"
        );
        assert_eq!(labels(Scale::Logarithmic, &[1.0, 1e6]).join(" "), "1 10 100 1k 10k 100k 1M");
    }

    #[test]
    fn every_set_of_numbers_has_an_axis() {
        let odd = [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e-300, 1e300, 5.0];
        for scale in [Scale::Linear, Scale::Logarithmic] {
            for (first, second) in odd.iter().flat_map(|first| odd.map(|second| (*first, second))) {
                let axis = Axis::around(scale, [first, second].into_iter());
                assert!(axis.first < axis.last, "{first} {second}");
                assert!((1..60).contains(&axis.ticks.len()), "{first} {second}");
                for number in [first, second].into_iter().filter(|number| scale.has(*number)) {
                    assert!((0.0..=1.0).contains(&axis.share(number)), "{first} {second}");
                }
            }
        }
    }
}
