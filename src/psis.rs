//! Pareto-smoothed importance sampling: what a posterior says of rows it has seen, without them.
//!
//! Vehtari, Simpson, Gelman, Yao & Gabry (2024), *Pareto smoothed importance sampling*, JMLR 25;
//! the tail is fitted as Zhang & Stephens (2009) do, with the prior of the former's appendix.
//! ArviZ does the same in Python, row by row; tests hold this against it.

use crate::parallel::in_parts;
use crate::vmath::{exp, exp_and_rest, ln, ln_1p};

/// Log densities that differ by less count as equal.
const EQUAL: f64 = 1e-10;
/// A tail of fewer draws cannot be fitted.
const FEWEST: usize = 5;

/// What the draws say of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Log mean density under the posterior without the row; NaN where a density is not finite.
    pub elpd: f64,
    /// Of the tail of the weights: 0 where all are equal, infinite where no tail can be fitted.
    pub pareto_k: f64,
    /// Log mean density under the posterior that has seen it.
    pub log_mean: f64,
}

const UNKNOWN: Score = Score { elpd: f64::NAN, pareto_k: f64::NAN, log_mean: f64::NAN };

/// Score rows by draws reweighted with one over their density.
///
/// `values` holds the log densities of `n` draws a row, and then the normalised weights of these
/// draws. `relative` is the number of effective draws a draw.
pub fn leave_out(values: &mut [f64], n: usize, relative: f64, threads: usize) -> Vec<Score> {
    let tail = tail_length(n, relative);
    let mut scores = vec![UNKNOWN; values.len() / n.max(1)];
    let mut rows: Vec<_> = values.chunks_exact_mut(n.max(1)).zip(&mut scores).collect();
    in_parts(&mut rows, threads, |_, rows| {
        pulp::Arch::new().dispatch(Rows { rows, tail });
    });
    drop(rows);
    scores
}

/// How many of the largest weights are to be smoothed.
pub fn tail_length(n: usize, relative: f64) -> usize {
    let n = n as f64;
    (n / 5.0).min(3.0 * (n / relative).sqrt()) as usize
}

struct Rows<'a, 'b> {
    rows: &'a mut [(&'b mut [f64], &'b mut Score)],
    tail: usize,
}

impl pulp::WithSimd for Rows<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        let mut storage = Storage::default();
        for (values, score) in self.rows {
            **score = leave_one_out(values, self.tail, &mut storage);
        }
    }
}

/// Working storage: the tail of a row's weights.
#[derive(Default)]
pub struct Storage {
    /// Log densities with their draws, the smallest (of the largest weight) first.
    order: Vec<(f64, usize)>,
    /// Weights over the largest outside the tail, in rising order, and the tail smoothed.
    excess: Vec<f64>,
    smoothed: Vec<f64>,
}

/// One row: see [`leave_out`].
#[inline(always)]
pub fn leave_one_out(values: &mut [f64], tail: usize, storage: &mut Storage) -> Score {
    let n = values.len() as f64;
    let (low, high, finite) = extremes(values);
    let log_mean = log_mean_from(values, high);
    if !finite || high - low < EQUAL {
        let known = Score { elpd: values[0], pareto_k: 0.0, log_mean };
        values.fill(1.0 / n);
        return if finite { known } else { Score { log_mean, ..UNKNOWN } };
    }
    let pareto_k = smooth(values, tail, low, storage);
    for value in values.iter_mut() {
        *value = exp(low - *value);
    }
    // Weight times density, over the lowest density, is 1 wherever the weight is as it was.
    let mut scored = n;
    for (&smoothed, &(density, draw)) in storage.smoothed.iter().zip(&storage.order) {
        values[draw] = exp(smoothed);
        scored += exp(smoothed + (density - low)) - 1.0;
    }
    let total = sum(values, |value| value);
    values.iter_mut().for_each(|value| *value /= total);
    Score { elpd: low + ln(scored) - ln(total), pareto_k, log_mean }
}

/// Numbers that are added up side by side, so that loops become vector code.
const LANES: usize = 8;

/// The lowest and highest value, and whether all are finite.
#[inline(always)]
fn extremes(values: &[f64]) -> (f64, f64, bool) {
    let (mut low, mut high) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
    let mut zeros = [0.0; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    let mut last = [values[0]; LANES];
    last[..rest.len()].copy_from_slice(rest);
    for part in whole.iter().chain([&last]) {
        for lane in 0..LANES {
            low[lane] = if part[lane] < low[lane] { part[lane] } else { low[lane] };
            high[lane] = if part[lane] > high[lane] { part[lane] } else { high[lane] };
            zeros[lane] += 0.0 * part[lane]; // NaN unless finite
        }
    }
    let low = low.into_iter().fold(f64::INFINITY, f64::min);
    let high = high.into_iter().fold(f64::NEG_INFINITY, f64::max);
    (low, high, zeros.iter().sum::<f64>() == 0.0)
}

#[inline(always)]
fn sum(values: &[f64], of: impl Fn(f64) -> f64) -> f64 {
    let mut sums = [0.0; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    for part in whole {
        for lane in 0..LANES {
            sums[lane] += of(part[lane]);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|value| of(*value)).sum::<f64>()
}

/// Log of the mean of what is given by its logarithm.
#[inline(always)]
pub fn log_mean(values: &[f64]) -> f64 {
    log_mean_from(values, extremes(values).1)
}

#[inline(always)]
fn log_mean_from(values: &[f64], high: f64) -> f64 {
    let mean = sum(values, |value| exp(value - high)) / values.len() as f64;
    if high == f64::NEG_INFINITY { high } else { high + ln(mean) }
}

/// Smooth the logarithms of the largest weights, over the largest of them, into `storage`: none
/// where no tail can be fitted. Returns Pareto k.
#[inline(always)]
fn smooth(values: &[f64], tail: usize, low: f64, storage: &mut Storage) -> f64 {
    let Storage { order, excess, smoothed } = storage;
    smoothed.clear();
    if tail < FEWEST || tail >= values.len() {
        return f64::INFINITY;
    }
    excess.clear();
    excess.extend_from_slice(values);
    let (_, &mut next, _) = excess.select_nth_unstable_by(tail, f64::total_cmp);
    order.clear();
    order.extend(
        values.iter().enumerate().filter(|(_, value)| **value <= next).map(|(i, v)| (*v, i)),
    );
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    order.truncate(tail);
    if order[tail - 1].0 - order[0].0 < f64::MIN_POSITIVE {
        return f64::INFINITY;
    }
    let cutoff = exp(low - next);
    // Loops with indices here and below: a closure may be compiled without vectors.
    excess.resize(tail, 0.0);
    for j in 0..tail {
        excess[j] = exp(low - order[tail - 1 - j].0) - cutoff;
    }
    let (k, sigma) = fit_pareto(excess);
    smoothed.resize(tail, 0.0);
    for j in 0..tail {
        // Not above 0, from the largest weight down, as `order` has them.
        let log_rest = ln((j as f64 + 0.5) / tail as f64);
        let (power, rest) = exp_and_rest((k * log_rest).abs());
        let raised = if k > 0.0 { rest / power } else { -rest };
        let above = if k == 0.0 { -log_rest } else { raised / k };
        let log = ln(cutoff + sigma * above);
        smoothed[j] = if log > 0.0 { 0.0 } else { log };
    }
    if k.is_finite() && sigma > 0.0 && smoothed.iter().all(|log| log.is_finite()) {
        return k;
    }
    smoothed.clear();
    f64::INFINITY
}

/// Shape and scale of a generalised Pareto distribution of values in rising order, not negative:
/// the mean over a prior of θ = −k/σ, of which k has a closed form.
#[inline(always)]
fn fit_pareto(values: &[f64]) -> (f64, f64) {
    const PRIOR_SCALE: f64 = 3.0;
    /// k is drawn to ½ as by so many values.
    const PRIOR_COUNT: f64 = 10.0;
    let n = values.len();
    let count = n as f64;
    let quartile = values[((count / 4.0 + 0.5) as usize).saturating_sub(1)];
    let points = 30 + n.isqrt();
    let theta = |i: usize| {
        let spread = 1.0 - (points as f64 / (i as f64 + 0.5)).sqrt();
        1.0 / values[n - 1] + spread / (PRIOR_SCALE * quartile)
    };
    let mean_log = |theta: f64| sum_of_logs(values, theta) / count;
    let mut profiles = vec![0.0; points];
    for i in 0..points {
        let k = mean_log(theta(i));
        profiles[i] = count * (ln(-theta(i) / k) - k - 1.0);
    }
    let most = profiles.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (mut total, mut mean) = (0.0, 0.0);
    for (i, at) in profiles.iter().enumerate() {
        let weight = exp(at - most);
        total += weight;
        mean += weight * theta(i);
    }
    let theta = mean / total;
    let k = mean_log(theta);
    ((count * k + 0.5 * PRIOR_COUNT) / (count + PRIOR_COUNT), -k / theta)
}

/// `Σ ln(1 − θ x)`, with few logarithms.
#[inline(always)]
fn sum_of_logs(values: &[f64], theta: f64) -> f64 {
    let mut total = 0.0;
    for part in values.chunks(8 * LANES) {
        let mut products = [1.0; LANES];
        for some in part.chunks(LANES) {
            for (product, x) in products.iter_mut().zip(some) {
                *product *= 1.0 - theta * x;
            }
        }
        let mut logs = [0.0; LANES];
        for lane in 0..LANES {
            logs[lane] = ln(products[lane]);
        }
        if products.iter().all(|product| (1e-300..1e300).contains(product)) {
            total += logs.iter().sum::<f64>();
        } else {
            for x in part {
                total += ln_1p(-theta * x);
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of a generalised Pareto distribution at evenly spread probabilities.
    fn pareto(k: f64, sigma: f64, n: usize) -> Vec<f64> {
        let quantile = |p: f64| {
            if k == 0.0 { -sigma * (-p).ln_1p() } else { sigma * ((1.0 - p).powf(-k) - 1.0) / k }
        };
        (0..n).map(|i| quantile((i as f64 + 0.5) / n as f64)).collect()
    }

    #[test]
    fn the_fit_finds_shape_and_scale() {
        for k in [-0.3, 0.0, 0.4, 0.7, 1.5] {
            for sigma in [1e-6, 1.0, 1e6] {
                let n = 4000;
                let (found, scale) = fit_pareto(&pareto(k, sigma, n));
                let drawn = (n as f64 * k + 5.0) / (n as f64 + 10.0);
                // Of quantiles, not of random values: what is left is the bias of some 1/n.
                assert!((found - drawn).abs() < 0.02, "{k}: {found}");
                assert!((scale / sigma - 1.0).abs() < 0.02, "{sigma}: {scale}");
            }
        }
    }

    #[test]
    fn products_do_not_lose_what_logarithms_have() {
        for scale in [1e-200, 1e-3, 1.0, 1e200] {
            let values: Vec<f64> = pareto(0.5, scale, 203);
            for theta in [0.5 / values[202], -2.0 / scale, -1e90 / scale] {
                let expected: f64 = values.iter().map(|x| (-theta * x).ln_1p()).sum();
                let found = sum_of_logs(&values, theta);
                assert!((found - expected).abs() < 1e-12 * expected.abs().max(1.0), "{theta}");
            }
        }
    }

    #[test]
    fn a_row_that_is_known_exactly() {
        // Of a normal mean with flat prior, n draws: densities of y_i under N(θ_s, 1).
        let equal = leave_out(&mut [-1.5; 8], 4, 1.0, 2);
        assert_eq!(equal, [Score { elpd: -1.5, pareto_k: 0.0, log_mean: -1.5 }; 2]);
        let mut few = [-1.0, -2.0, -1.0, -2.0];
        let score = leave_out(&mut few, 4, 1.0, 1)[0];
        // The harmonic mean, and weights of 1/density.
        let harmonic = -(0.5 * (1f64.exp() + 2f64.exp())).ln();
        assert!((score.elpd - harmonic).abs() < 1e-15 && score.pareto_k == f64::INFINITY);
        assert!((few[1] / few[0] - 1f64.exp()).abs() < 1e-14);
        assert!((few.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        let mut broken = [0.0, f64::NEG_INFINITY, 0.0, f64::NAN];
        let scores = leave_out(&mut broken, 2, 1.0, 1);
        assert!(scores.iter().all(|score| score.elpd.is_nan() && score.pareto_k.is_nan()));
        assert!((scores[0].log_mean + 2f64.ln()).abs() < 1e-15);
        assert_eq!(broken, [0.5; 4]);
    }

    #[test]
    fn threads_and_the_order_of_draws_change_nothing() {
        let (n, rows) = (1000, 7);
        let density = |i: usize| -3.0 * (0.37 * i as f64).sin().powi(4) - (i % 7) as f64;
        let values: Vec<f64> = (0..n * rows).map(density).collect();
        let (mut one, mut several) = (values.clone(), values.clone());
        let scores = leave_out(&mut one, n, 0.5, 1);
        assert_eq!(scores, leave_out(&mut several, n, 0.5, 3));
        assert_eq!(one, several);
        let mut back: Vec<f64> = values[..n].iter().rev().copied().collect();
        let score = leave_out(&mut back, n, 0.5, 1)[0];
        assert!((score.elpd - scores[0].elpd).abs() < 1e-12);
        assert!((score.pareto_k - scores[0].pareto_k).abs() < 1e-9);
    }
}
