//! Mixtures of normal distributions: mean, sd and quantiles.
//!
//! Components stand side by side in lanes; those with weight 0 pad the last one.

use crate::lanes::{LANES, Lane, ZERO, reciprocal, square_root, sum};
use crate::vmath::{exp, normal_tail_ratio};
use statrs::function::erf::erfc_inv;

/// Largest error of a quantile, in sds of the mixture.
const PRECISION: f64 = 1e-9;
/// Steps to a quantile; halving alone needs 40.
const MOST_STEPS: usize = 200;
/// Sds of components are at least this share of that of the mixture, so that it has a density.
const NARROWEST: f64 = 1e-10;
/// 1/√2π
const DENSITY_AT_0: f64 = 0.398_942_280_401_432_7;

/// Which quantiles are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Tail {
    /// The smaller of the probabilities below and above.
    probability: f64,
    /// The quantile of a standard normal distribution with that below it.
    score: f64,
    /// −1 for an upper quantile, which is a lower one of what is mirrored.
    sign: f64,
}

impl Tail {
    pub fn new(probability: f64) -> Self {
        let (sign, probability) =
            if probability > 0.5 { (-1.0, 1.0 - probability) } else { (1.0, probability) };
        let score = -std::f64::consts::SQRT_2 * erfc_inv(2.0 * probability);
        Self { probability, score, sign }
    }
}

/// Working storage for mixtures of as many components as `weights` has, which sum to 1.
pub struct Mixture<'a> {
    weights: &'a [Lane],
    tails: [Tail; 2],
    /// Of the standardised mixture: means, and the inverse of sds.
    means: Vec<Lane>,
    inverse: Vec<Lane>,
}

/// Central moments in units of the sd.
#[derive(Clone, Copy)]
struct Shape {
    skewness: f64,
    excess: f64,
    /// Smallest sd of a component.
    narrowest: f64,
}

impl<'a> Mixture<'a> {
    pub fn new(weights: &'a [Lane], tails: [Tail; 2]) -> Self {
        let n = weights.len();
        Self { weights, tails, means: vec![ZERO; n], inverse: vec![ZERO; n] }
    }

    /// Mean, sd and both quantiles.
    #[inline(always)]
    pub fn summary(&mut self, means: &[Lane], variances: &[Lane]) -> [f64; 4] {
        // As differences from one of them: far from 0 sums lose the digits that sds need.
        let origin = means.first().map_or(f64::NAN, |lane| lane[0]);
        let (mut first, mut second) = (ZERO, ZERO);
        for ((m, v), w) in means.iter().zip(variances).zip(self.weights) {
            for lane in 0..LANES {
                first[lane] += w[lane] * (m[lane] - origin);
            }
            for lane in 0..LANES {
                second[lane] += w[lane] * v[lane];
            }
        }
        let (off, mut variance) = (sum(&first), sum(&second));
        let mut between = ZERO;
        for (m, w) in means.iter().zip(self.weights) {
            for lane in 0..LANES {
                let d = m[lane] - origin - off;
                between[lane] += w[lane] * d * d;
            }
        }
        variance += sum(&between);
        let (mean, sd) = (origin + off, variance.sqrt());
        if !(sd > 0.0 && sd.is_finite()) {
            let same = mean + 0.0 * sd; // NaN where the sd is
            return [same, sd, same, same];
        }
        let shape = self.standardise(means, variances, origin + off, sd);
        let [lower, upper] = self.tails;
        [mean, sd, mean + sd * self.quantile(lower, shape), mean + sd * self.quantile(upper, shape)]
    }

    #[inline(always)]
    fn standardise(&mut self, means: &[Lane], variances: &[Lane], mean: f64, sd: f64) -> Shape {
        let per_sd = 1.0 / sd;
        let (mut third, mut fourth, mut widest) = (ZERO, ZERO, ZERO);
        let given = means.iter().zip(variances).zip(self.weights);
        for (((m, v), w), (to, inverse)) in
            given.zip(self.means.iter_mut().zip(self.inverse.iter_mut()))
        {
            for lane in 0..LANES {
                let d = (m[lane] - mean) * per_sd;
                let v = v[lane] * per_sd * per_sd;
                third[lane] += w[lane] * d * (d * d + 3.0 * v);
                fourth[lane] += w[lane] * (d * d * (d * d + 6.0 * v) + 3.0 * v * v);
                to[lane] = d;
                inverse[lane] = if v > NARROWEST * NARROWEST { v } else { NARROWEST * NARROWEST };
            }
            *inverse = reciprocal(&square_root(inverse));
            for lane in 0..LANES {
                let own = inverse[lane];
                widest[lane] = if own > widest[lane] { own } else { widest[lane] };
            }
        }
        let narrowest = 1.0 / widest.iter().fold(1.0, |most: f64, own| most.max(*own));
        Shape { skewness: sum(&third), excess: sum(&fourth) - 3.0, narrowest }
    }

    /// Where the tail ends, in sds from the mean: from the expansion of Cornish and Fisher (1938) by
    /// Halley's method, within bounds that halve where it fails.
    #[inline(always)]
    fn quantile(&self, tail: Tail, shape: Shape) -> f64 {
        let Tail { probability: p, score: z, sign } = tail;
        // Cantelli's inequality, which holds for any distribution.
        let (mut low, mut high) = (-((1.0 - p) / p).sqrt(), (p / (1.0 - p)).sqrt());
        let skewness = sign * shape.skewness;
        let mut t = z + (z * z - 1.0) * skewness / 6.0 + (z * z - 3.0) * z * shape.excess / 24.0
            - (2.0 * z * z - 5.0) * z * skewness * skewness / 36.0;
        if !(t > low && t < high) {
            t = z.clamp(low, high);
        }
        for _ in 0..MOST_STEPS {
            let [below, density, slope, curvature] = self.distribution(sign, t);
            let gap = below - p;
            if gap > 0.0 {
                high = t;
            } else {
                low = t;
            }
            let newton = -gap / density;
            let bend = slope / (2.0 * density);
            let step = newton / (1.0 + newton * bend);
            // What remains after the step, to leading order.
            let rest = (bend * bend - curvature / (6.0 * density)) * step * step * step;
            if step == 0.0 || high - low < PRECISION {
                break;
            }
            // Where the density is so low that its slope overwhelms it, steps lead nowhere.
            let near = (newton * bend).abs() < 0.5;
            if near && t + step >= low && t + step <= high {
                t += step;
                if rest.abs() < PRECISION && step.abs() < 0.5 * shape.narrowest {
                    break;
                }
            } else {
                t = 0.5 * (low + high);
            }
        }
        sign * t
    }

    /// Distribution function at t, its density, and that one's slope and curvature.
    #[inline(always)]
    fn distribution(&self, sign: f64, t: f64) -> [f64; 4] {
        let mut sums = [ZERO; 4];
        for ((mean, inverse), w) in self.means.iter().zip(&self.inverse).zip(self.weights) {
            let (mut below, mut density) = (ZERO, ZERO);
            let mut z = ZERO;
            for lane in 0..LANES {
                z[lane] = (t - sign * mean[lane]) * inverse[lane];
                let height = w[lane] * DENSITY_AT_0 * exp(-0.5 * z[lane] * z[lane]);
                let size = z[lane].abs();
                let rest = height * normal_tail_ratio(if size < 1e9 { size } else { 1e9 });
                below[lane] = if z[lane] < 0.0 { rest } else { w[lane] - rest };
                density[lane] = height * inverse[lane];
            }
            for lane in 0..LANES {
                let (z, by) = (z[lane], inverse[lane]);
                sums[0][lane] += below[lane];
                sums[1][lane] += density[lane];
                sums[2][lane] -= density[lane] * z * by;
                sums[3][lane] += density[lane] * (z * z - 1.0) * by * by;
            }
        }
        [sum(&sums[0]), sum(&sums[1]), sum(&sums[2]), sum(&sums[3])]
    }
}

/// Numbers side by side, the last one repeated to fill the lanes.
pub fn in_lanes(values: impl ExactSizeIterator<Item = f64>) -> Vec<Lane> {
    let mut lanes = vec![ZERO; values.len().div_ceil(LANES)];
    let mut last = 0.0;
    let mut values = values.fuse();
    for lane in lanes.iter_mut().flatten() {
        last = values.next().unwrap_or(last);
        *lane = last;
    }
    lanes
}

/// Weights in lanes: those that pad are 0.
pub fn weights_in_lanes(weights: &[f64]) -> Vec<Lane> {
    let mut lanes = in_lanes(weights.iter().copied());
    for lane in lanes.iter_mut().flatten().skip(weights.len()) {
        *lane = 0.0;
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::function::erf::erfc;

    struct Case {
        weights: Vec<f64>,
        means: Vec<f64>,
        variances: Vec<f64>,
    }

    impl Case {
        fn summary(&self, probabilities: [f64; 2]) -> [f64; 4] {
            let weights = weights_in_lanes(&self.weights);
            let means = in_lanes(self.means.iter().copied());
            let variances = in_lanes(self.variances.iter().copied());
            Mixture::new(&weights, probabilities.map(Tail::new)).summary(&means, &variances)
        }

        /// Probability below x, and the quantile by halving, from statrs.
        fn below(&self, x: f64) -> f64 {
            let each = self.weights.iter().zip(&self.means).zip(&self.variances);
            each.map(|((w, m), v)| w * 0.5 * erfc((m - x) / (2.0 * v).sqrt())).sum()
        }

        fn quantile(&self, p: f64) -> f64 {
            let (mut low, mut high) = (-1e3, 1e3);
            for _ in 0..100 {
                let middle = 0.5 * (low + high);
                if self.below(middle) > p {
                    high = middle;
                } else {
                    low = middle;
                }
            }
            0.5 * (low + high)
        }
    }

    /// Numbers between 0 and 1 without a pattern.
    fn numbers(seed: usize, n: usize) -> Vec<f64> {
        (0..n)
            .map(|k| ((seed * 7919 + k * 104_729 + 17) as f64 * 0.618_033_988_75).fract())
            .collect()
    }

    #[test]
    fn quantiles_agree_with_halving() {
        for seed in 0..400 {
            let n = 1 + seed % 70;
            let spread = [0.0, 0.05, 0.5, 2.0, 20.0][seed % 5];
            let ratio = [0.0, 0.3, 2.0, 6.0][seed % 4];
            let weights = numbers(seed, n);
            let total: f64 = weights.iter().sum();
            let case = Case {
                weights: weights.iter().map(|w| w / total).collect(),
                means: numbers(seed + 1, n).iter().map(|u| spread * (u - 0.5)).collect(),
                variances: numbers(seed + 2, n).iter().map(|u| (-ratio * u).exp2()).collect(),
            };
            for (low, high) in [(0.025, 0.975), (0.25, 0.75), (1e-4, 0.9), (0.5, 0.999_999)] {
                let [mean, sd, lower, upper] = case.summary([low, high]);
                let expected: f64 = case.weights.iter().zip(&case.means).map(|(w, m)| w * m).sum();
                assert!((mean - expected).abs() < 1e-13 * (1.0 + spread));
                let each = case.weights.iter().zip(&case.means).zip(&case.variances);
                let square: f64 = each.map(|((w, m), v)| w * (v + (m - mean).powi(2))).sum();
                assert!((sd / square.sqrt() - 1.0).abs() < 1e-13);
                for (found, p) in [(lower, low), (upper, high)] {
                    let error = (found - case.quantile(p)).abs() / sd;
                    assert!(error < 1e-8, "{seed} {p}: {error:e}");
                }
            }
        }
    }

    #[test]
    fn narrow_components_far_apart_are_found() {
        for variance in [1e-2, 1e-6, 1e-12, 0.0] {
            let case = Case {
                weights: vec![0.02, 0.5, 0.03, 0.45],
                means: vec![-3.0, 0.0, 0.5, 40.0],
                variances: vec![variance, 2.0, 0.1 * variance, variance],
            };
            for (low, high) in [(0.015, 0.96), (0.1, 0.9), (0.02, 0.545)] {
                let [_, sd, lower, upper] = case.summary([low, high]);
                for (found, p) in [(lower, low), (upper, high)] {
                    let off = 1e-8 * sd;
                    let at = (case.below(found - off), case.below(found + off));
                    assert!(at.0 <= p && p <= at.1, "{variance} {p} {found}: {at:?}");
                }
            }
        }
    }

    #[test]
    fn one_normal_is_itself_far_from_0_too() {
        let case = Case { weights: vec![1.0], means: vec![1e9], variances: vec![4.0] };
        let [mean, sd, lower, upper] = case.summary([0.025, 0.975]);
        assert_eq!([mean, sd], [1e9, 2.0]);
        assert!((lower - 1e9 + 2.0 * 1.959_963_984_540_054).abs() < 1e-6);
        assert!((upper - 1e9 - 2.0 * 1.959_963_984_540_054).abs() < 1e-6);
    }

    #[test]
    fn no_spread_and_no_numbers() {
        let point = Case { weights: vec![0.5, 0.5], means: vec![2.0; 2], variances: vec![0.0; 2] };
        assert_eq!(point.summary([0.1, 0.9]), [2.0, 0.0, 2.0, 2.0]);
        let nothing = Case { weights: vec![1.0], means: vec![f64::NAN], variances: vec![1.0] };
        assert!(nothing.summary([0.1, 0.9]).iter().all(|x| x.is_nan()));
    }
}
