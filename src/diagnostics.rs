//! Convergence diagnostics: rank-normalised split R-hat, bulk and tail ESS, Monte Carlo error.
//!
//! Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), *Rank-normalization, folding, and
//! localization: an improved R-hat*; Geyer's (1992) initial monotone sequence for the ESS. The
//! details (split, quantiles, rounding of ties) follow ArviZ, against which the tests hold them.

use rustfft::{FftPlanner, num_complex::Complex};
use statrs::function::erf::erfc_inv;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Diagnosis {
    pub mean: f64,
    pub sd: f64,
    pub mcse_mean: f64,
    pub ess_bulk: f64,
    pub ess_tail: f64,
    pub r_hat: f64,
    pub constant: bool,
}

/// What diagnoses parameters, one after the other, with what depends on the numbers of draws alone.
pub struct Diagnostics {
    n: usize,
    engine: Autocovariance,
    /// Normal scores of the ranks 1, 2, …
    scores: Vec<f64>,
}

impl Diagnostics {
    /// For chains of `n` draws each, `total` in all.
    pub fn new(n: usize, total: usize) -> Self {
        let size = total / n.max(1) * (n / 2 * 2);
        let scores = (1..=size).map(|rank| normal_score(rank as f64, size)).collect();
        Self { n, engine: Autocovariance::new(n / 2), scores }
    }

    /// Diagnose one parameter from its draws, chain by chain.
    pub fn of(&mut self, draws: &[f64]) -> Diagnosis {
        let n = self.n;
        let total = draws.len() as f64;
        let mean = mean(draws);
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (total - 1.0);
        let sd = variance.sqrt();
        let constant = draws.iter().all(|x| *x == draws[0]);
        let mut result = Diagnosis {
            mean,
            sd,
            mcse_mean: f64::NAN,
            ess_bulk: f64::NAN,
            ess_tail: f64::NAN,
            r_hat: f64::NAN,
            constant,
        };
        let low = draws.iter().copied().fold(f64::INFINITY, f64::min);
        let high = draws.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // What differs by rounding alone tells nothing of how the chains moved.
        let rounding = high - low <= 8.0 * f64::EPSILON * high.abs().max(low.abs());
        if constant || rounding || n < 4 || draws.iter().any(|x| !x.is_finite()) {
            return result;
        }
        let half = split(draws, n);
        let order = Placed::in_order(&half);
        let ranked = self.rank_normalise(&order);
        let folded = self.rank_normalise(&folded(&order));
        result.r_hat = r_hat(&ranked, n / 2).max(r_hat(&folded, n / 2));
        result.ess_bulk = self.engine.ess(&ranked);
        result.mcse_mean = sd / self.engine.ess(&half).sqrt();
        let sorted: Vec<f64> = if half.len() == draws.len() {
            order.iter().map(|placed| placed.value).collect()
        } else {
            let mut sorted = draws.to_vec();
            sorted.sort_unstable_by(f64::total_cmp);
            sorted
        };
        let mut tail = |p: f64| {
            let bound = quantile(&sorted, p);
            let below: Vec<f64> = half.iter().map(|x| f64::from(u8::from(*x <= bound))).collect();
            self.engine.ess(&below)
        };
        result.ess_tail = tail(0.05).min(tail(0.95));
        result
    }

    /// Normal scores of the pooled average ranks, each at the place of its draw.
    fn rank_normalise(&self, order: &[Placed]) -> Vec<f64> {
        let mut scores = vec![0.0; order.len()];
        let mut first = 0;
        while first < order.len() {
            let mut last = first;
            while last + 1 < order.len() && order[last + 1].value == order[first].value {
                last += 1;
            }
            let score = if first == last {
                self.scores[first]
            } else {
                normal_score(0.5 * (first + last) as f64 + 1.0, order.len())
            };
            for placed in &order[first..=last] {
                scores[placed.place] = score;
            }
            first = last + 1;
        }
        scores
    }
}

/// Φ⁻¹ of Blom's (rank − 3/8) / (size + 1/4)
fn normal_score(rank: f64, size: usize) -> f64 {
    let p = (rank - 0.375) / (size as f64 + 0.25);
    -std::f64::consts::SQRT_2 * erfc_inv(2.0 * p)
}

/// A value with where it stood.
#[derive(Clone, Copy)]
struct Placed {
    value: f64,
    place: usize,
}

impl Placed {
    fn in_order(values: &[f64]) -> Vec<Self> {
        let each = values.iter().enumerate();
        let mut order: Vec<Self> = each.map(|(place, &value)| Self { value, place }).collect();
        order.sort_unstable_by(|a, b| a.value.total_cmp(&b.value));
        order
    }
}

/// Distances from the median in their order: those below it and those above, merged.
fn folded(order: &[Placed]) -> Vec<Placed> {
    // As the mean of the two middle values: rounding decides about ties of what is folded.
    let middle = order.len() / 2;
    let median = 0.5 * (order[middle - 1].value + order[middle].value);
    let distance =
        |placed: &Placed| Placed { value: (placed.value - median).abs(), place: placed.place };
    let (below, above) = order.split_at(middle);
    let mut below = below.iter().rev().map(distance).peekable();
    let mut above = above.iter().map(distance).peekable();
    let mut merged = Vec::with_capacity(order.len());
    loop {
        let next = match (below.peek(), above.peek()) {
            (Some(b), Some(a)) if b.value <= a.value => below.next(),
            (_, Some(_)) => above.next(),
            _ => below.next(),
        };
        let Some(next) = next else { return merged };
        merged.push(next);
    }
}

/// The mean, summed as differences from the first value: far from zero a plain sum loses digits
/// that the spread needs.
fn mean(values: &[f64]) -> f64 {
    let first = values.first().copied().filter(|x| x.is_finite()).unwrap_or(0.0);
    first + values.iter().map(|x| x - first).sum::<f64>() / values.len() as f64
}

/// First and last halves of every chain as chains of their own (the middle draw of an odd number
/// is dropped).
fn split(draws: &[f64], n: usize) -> Vec<f64> {
    let half = n / 2;
    let mut out = Vec::with_capacity(draws.len());
    for chain in draws.chunks_exact(n) {
        out.extend_from_slice(&chain[..half]);
        out.extend_from_slice(&chain[n - half..]);
    }
    out
}

/// Linear interpolation between order statistics (numpy's default).
pub fn quantile(sorted: &[f64], p: f64) -> f64 {
    let position = p * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let share = position - below as f64;
    sorted[below] + share * (sorted[above] - sorted[below])
}

fn mean_and_variance(chain: &[f64]) -> (f64, f64) {
    let n = chain.len() as f64;
    // Rounding must not make a chain that stands still move.
    if chain.iter().all(|x| *x == chain[0]) {
        return (chain[0], 0.0);
    }
    let mean = mean(chain);
    (mean, chain.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0))
}

/// Infinite where chains stand still at different places.
fn r_hat(chains: &[f64], n: usize) -> f64 {
    let moments: Vec<(f64, f64)> = chains.chunks_exact(n).map(mean_and_variance).collect();
    let means: Vec<f64> = moments.iter().map(|m| m.0).collect();
    let between = n as f64 * mean_and_variance(&means).1;
    let within = moments.iter().map(|m| m.1).sum::<f64>() / moments.len() as f64;
    ((between / within + n as f64 - 1.0) / n as f64).sqrt()
}

struct Autocovariance {
    n: usize,
    padded: usize,
    forward: Arc<dyn rustfft::Fft<f64>>,
    inverse: Arc<dyn rustfft::Fft<f64>>,
    buffer: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
}

impl Autocovariance {
    fn new(n: usize) -> Self {
        let padded = (2 * n).next_power_of_two();
        let mut planner = FftPlanner::new();
        let (forward, inverse) =
            (planner.plan_fft_forward(padded), planner.plan_fft_inverse(padded));
        let scratch = forward.get_inplace_scratch_len().max(inverse.get_inplace_scratch_len());
        Self {
            n,
            padded,
            forward,
            inverse,
            buffer: vec![Complex::default(); padded],
            scratch: vec![Complex::default(); scratch],
        }
    }

    /// Mean autocovariance (divisor n) of chains whose means are known.
    fn mean_of(&mut self, chains: &[f64], means: &[f64]) -> Vec<f64> {
        let n = self.n;
        let mut power = vec![Complex::default(); self.padded];
        for (pair, means) in chains.chunks(2 * n).zip(means.chunks(2)) {
            // Real and imaginary part carry a chain each: |FFT(a + ib)|² transforms back to the
            // sum of both autocovariances in its real part.
            let (first, second) = pair.split_at(n);
            self.buffer.fill(Complex::default());
            for (to, x) in self.buffer.iter_mut().zip(first) {
                to.re = x - means[0];
            }
            for (to, x) in self.buffer.iter_mut().zip(second) {
                to.im = x - means[1];
            }
            self.forward.process_with_scratch(&mut self.buffer, &mut self.scratch);
            for (sum, value) in power.iter_mut().zip(&self.buffer) {
                sum.re += value.norm_sqr();
            }
        }
        self.inverse.process_with_scratch(&mut power, &mut self.scratch);
        let scale = 1.0 / (self.padded * chains.len()) as f64;
        power[..n].iter().map(|value| value.re * scale).collect()
    }

    /// Effective sample size of chains of `n` draws.
    fn ess(&mut self, chains: &[f64]) -> f64 {
        let n = self.n;
        let count = chains.len() / n;
        if chains.iter().all(|x| *x == chains[0]) {
            return chains.len() as f64;
        }
        let means: Vec<f64> = chains.chunks_exact(n).map(|c| mean_and_variance(c).0).collect();
        let covariance = self.mean_of(chains, &means);
        let size = n as f64;
        let mean_variance = covariance[0] * size / (size - 1.0);
        let mut pooled = mean_variance * (size - 1.0) / size;
        if count > 1 {
            pooled += mean_and_variance(&means).1;
        }
        let rho = |t: usize| 1.0 - (mean_variance - covariance[t]) / pooled;
        let mut rhos = vec![0.0; n];
        let (mut even, mut odd) = (1.0, rho(1));
        rhos[0] = even;
        rhos[1] = odd;
        let mut t = 1;
        while t + 3 < n && even + odd > 0.0 {
            (even, odd) = (rho(t + 1), rho(t + 2));
            if even + odd >= 0.0 {
                rhos[t + 1] = even;
                rhos[t + 2] = odd;
            }
            t += 2;
        }
        // `t` passed the last kept pair; with chains too short for one pair, only lag 0 counts.
        let last = t.saturating_sub(2);
        if even > 0.0 && t > 1 {
            rhos[last + 1] = even;
        }
        // Make the sums of pairs decrease.
        let mut t = 1;
        while t + 2 <= last {
            if rhos[t + 1] + rhos[t + 2] > rhos[t - 1] + rhos[t] {
                rhos[t + 1] = 0.5 * (rhos[t - 1] + rhos[t]);
                rhos[t + 2] = rhos[t + 1];
            }
            t += 2;
        }
        let total = chains.len() as f64;
        let mut tau = -1.0 + 2.0 * rhos[..=last].iter().sum::<f64>();
        tau += rhos.get(last + 1).copied().unwrap_or(0.0);
        total / tau.max(1.0 / total.log10())
    }
}
