//! Medians, their ratio, and how far it can be trusted.

use serde::Serialize;

/// The ratio of two medians with the 95% interval of its bootstrap.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Ratio {
    pub(crate) ratio: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

const RESAMPLES: usize = 2000;

/// The ratio of the median of `a` to that of `b`.
pub(crate) fn ratio(a: &[f64], b: &[f64]) -> Ratio {
    let mut random = SplitMix(0x10_4e_5b_0e);
    let mut ratios: Vec<f64> =
        (0..RESAMPLES).map(|_| median(&mut resample(a, &mut random)) / median(&mut resample(b, &mut random))).collect();
    ratios.sort_by(f64::total_cmp);
    Ratio {
        ratio: median(&mut a.to_vec()) / median(&mut b.to_vec()),
        low: ratios[RESAMPLES / 40],
        high: ratios[RESAMPLES - 1 - RESAMPLES / 40],
    }
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) { f64::midpoint(values[middle - 1], values[middle]) } else { values[middle] }
}

/// The value that so many percent of the values do not exceed.
pub(crate) fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * percent).div_ceil(100).max(1);
    values.get(rank - 1).copied().unwrap_or(f64::NAN)
}

fn resample(values: &[f64], random: &mut SplitMix) -> Vec<f64> {
    let length = values.len() as u64;
    (0..values.len()).map(|_| values[usize::try_from(random.next() % length).unwrap_or_default()]).collect()
}

/// A small generator with a fixed seed, so that the same measurements give the same interval
/// (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
struct SplitMix(u64);

impl SplitMix {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_lies_within_its_interval() {
        let a: Vec<f64> = (0..40).map(|i| 2.0 + f64::from(i % 7) * 0.01).collect();
        let b: Vec<f64> = (0..40).map(|i| 1.0 + f64::from(i % 5) * 0.01).collect();
        let found = ratio(&a, &b);
        assert!(found.low <= found.ratio && found.ratio <= found.high, "{found:?}");
        assert!((1.9..2.1).contains(&found.ratio), "{found:?}");
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((percentile(&mut [3.0, 1.0, 2.0], 99) - 3.0).abs() < f64::EPSILON);
        assert!((percentile(&mut [4.0, 1.0, 2.0, 3.0], 50) - 2.0).abs() < f64::EPSILON);
        assert!((median(&mut [4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }
}
