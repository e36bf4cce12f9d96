//! Counts, with a log link: Poisson and negative binomial, with more zeros than these have
//! (zero-inflated) or with zeros of their own (hurdle).

use super::link::{Inverse, Logit};
use super::list::{About, Formulas, is_whole};
use super::sweep::{Density, Row, Sums, sweep};
use super::{Kind, Link};
use crate::vmath::{exp, exp_and_rest, ln, ln_1p_and_inverse, ln_gamma, ln_gamma_step};
use std::ops::Range;

/// Beyond, the mean is not finite.
const HIGHEST: f64 = 709.0;

pub struct Counts {
    kind: Kind,
    y: Vec<f64>,
    weights: Vec<f64>,
    /// Distinct counts above 0 in increasing order, each with the weight of rows that have at least
    /// this count.
    table: Vec<(f64, f64)>,
    /// Weight of all rows, and of those with a count of 0.
    total: f64,
    zeros: f64,
    constant: f64,
}

impl Formulas for Counts {
    fn about(kind: Kind) -> About {
        let n_aux = usize::from(has_shape(kind)) + usize::from(has_zeros(kind));
        About::new(&[Link::Log], n_aux, |y, _| is_whole(y))
    }

    fn new(kind: Kind, _: Link, y: Vec<f64>, _: Vec<f64>, weights: Vec<f64>) -> Self {
        let weight = |i: usize| weights.get(i).copied().unwrap_or(1.0);
        let mut table: Vec<(f64, f64)> = (0..y.len()).map(|i| (y[i], weight(i))).collect();
        table.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        table.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        let constant = |(y, weight): &(f64, f64)| Self::constant(kind, *y, None, Some(weight));
        let constant = table.iter().map(constant).sum();
        let mut total = 0.0;
        for entry in table.iter_mut().rev() {
            total += entry.1;
            entry.1 = total;
        }
        table.retain(|entry| entry.0 > 0.0);
        let zeros = if table.is_empty() { total } else { total - table[0].1 };
        Self { kind, y, weights, table, total, zeros, constant }
    }

    fn constant(_: Kind, y: f64, _: Option<&f64>, weight: Option<&f64>) -> f64 {
        -weight.unwrap_or(&1.0) * ln_gamma(y + 1.0).0
    }

    fn shared(&self, aux: &[f64], d_aux: &mut [f64]) -> f64 {
        let mut logp = self.constant;
        if has_shape(self.kind) {
            let (value, slope) = self.rising(aux[0]);
            logp += value;
            d_aux[0] += slope;
        }
        let zero = aux.len().wrapping_sub(1);
        match self.kind {
            // ln(1 − zi): what rows add to it is in `Zero`.
            Kind::ZeroInflatedPoisson | Kind::ZeroInflatedNegBinomial => {
                logp += self.total * (-aux[zero]).ln_1p();
                d_aux[zero] -= self.total / (1.0 - aux[zero]);
            }
            Kind::HurdlePoisson | Kind::HurdleNegBinomial => {
                let (hu, rest) = (aux[zero], self.total - self.zeros);
                // 0 · ∞ would be NaN.
                if self.zeros > 0.0 {
                    logp += self.zeros * hu.ln();
                    d_aux[zero] += self.zeros / hu;
                }
                if rest > 0.0 {
                    logp += rest * (-hu).ln_1p();
                    d_aux[zero] -= rest / (1.0 - hu);
                }
            }
            _ => {}
        }
        logp
    }

    /// Of Poisson counts, their means.
    #[inline(always)]
    fn curvatures(&self, range: Range<usize>, eta: &mut [f64]) -> bool {
        if self.kind != Kind::Poisson {
            return false;
        }
        eta.iter_mut().for_each(|eta| *eta = exp(*eta));
        if !self.weights.is_empty() {
            eta.iter_mut().zip(&self.weights[range]).for_each(|(h, weight)| *h *= weight);
        }
        true
    }

    /// Rows with the same count are a class: that of every row, 0 first, and how many there are.
    fn classes(&self, _: usize) -> (Vec<usize>, usize) {
        let class = |y: &f64| self.table.partition_point(|entry| entry.0 <= *y);
        (self.y.iter().map(class).collect(), self.table.len() + 1)
    }

    /// What all rows of a class have in common, as in `shared`, class by class.
    fn common(&self, aux: &[f64], classes: &mut [f64]) {
        classes.fill(0.0);
        if has_shape(self.kind) {
            let (mut value, mut below) = (0.0, 0.0);
            for (class, (y, _)) in classes[1..].iter_mut().zip(&self.table) {
                value += rise(aux[0] + below, y - below).0;
                (*class, below) = (value, *y);
            }
        }
        let (some, none) = match (self.kind, aux.last()) {
            (Kind::ZeroInflatedPoisson | Kind::ZeroInflatedNegBinomial, Some(zi)) => {
                ((-zi).ln_1p(), (-zi).ln_1p())
            }
            (Kind::HurdlePoisson | Kind::HurdleNegBinomial, Some(hu)) => ((-hu).ln_1p(), hu.ln()),
            _ => (0.0, 0.0),
        };
        classes[0] += none;
        classes[1..].iter_mut().for_each(|class| *class += some);
    }

    #[inline(always)]
    fn rows(
        &self,
        range: Range<usize>,
        aux: &[f64],
        eta: &mut [f64],
        _: &mut [f64],
        d_aux: &mut [f64],
        each: &mut [f64],
    ) -> f64 {
        let (y, weights) = ([self.y.as_slice()], &self.weights);
        match (self.kind, aux) {
            (Kind::Poisson, _) => {
                add(sweep(&Poisson, y, weights, range, eta, &mut [], each), d_aux)
            }
            (Kind::NegBinomial, &[shape]) => {
                add(sweep(&NegBinomial::new(shape), y, weights, range, eta, &mut [], each), d_aux)
            }
            (Kind::ZeroInflatedPoisson, &[zi]) => {
                add(sweep(&Zero::new(zi), y, weights, range, eta, &mut [], each), d_aux)
            }
            (Kind::ZeroInflatedNegBinomial, &[shape, zi]) => {
                let density = (NegBinomial::new(shape), Zero::new(zi));
                add(sweep(&density, y, weights, range, eta, &mut [], each), d_aux)
            }
            (Kind::HurdlePoisson, _) => {
                add(sweep(&PositivePoisson, y, weights, range, eta, &mut [], each), d_aux)
            }
            (Kind::HurdleNegBinomial, &[shape, _]) => {
                let density = PositiveNegBinomial(NegBinomial::new(shape));
                add(sweep(&density, y, weights, range, eta, &mut [], each), d_aux)
            }
            _ => f64::NAN,
        }
    }
}

impl Counts {
    /// `Σ ln Γ(y + shape) − ln Γ(shape)` over the rows and its slope: between one distinct count
    /// and the next, all rows with more have this term in common.
    fn rising(&self, shape: f64) -> (f64, f64) {
        let (mut value, mut slope, mut below) = (0.0, 0.0, 0.0);
        for &(y, weight) in &self.table {
            let (step, step_slope) = rise(shape + below, y - below);
            value += weight * step;
            slope += weight * step_slope;
            below = y;
        }
        (value, slope)
    }
}

fn has_shape(kind: Kind) -> bool {
    matches!(kind, Kind::NegBinomial | Kind::ZeroInflatedNegBinomial | Kind::HurdleNegBinomial)
}

/// Whether there is a probability of zeros beside those of the counts.
fn has_zeros(kind: Kind) -> bool {
    !matches!(kind, Kind::Poisson | Kind::NegBinomial)
}

/// `ln Γ(from + gap) − ln Γ(from)` and its slope by `from`, for a whole gap.
fn rise(from: f64, gap: f64) -> (f64, f64) {
    if gap >= 9.0 || from >= 1e30 {
        return ln_gamma_step(from, gap);
    }
    // ln(a (a + 1) (a + 2) …) is cheaper than two gamma functions.
    let (mut product, mut slope, mut k) = (from, 1.0, 1.0);
    while k < gap {
        slope = slope * (from + k) + product;
        product *= from + k;
        k += 1.0;
    }
    (product.ln(), slope / product)
}

#[inline(always)]
fn add<const A: usize>(sums: Sums<A>, d_aux: &mut [f64]) -> f64 {
    for (to, slope) in d_aux.iter_mut().zip(sums.aux) {
        *to += slope;
    }
    sums.logp
}

struct Poisson;

impl Density<1, 0> for Poisson {
    #[inline(always)]
    fn row(&self, [y]: [f64; 1], eta: f64, _: f64) -> Row<0> {
        let mu = exp(eta);
        Row { logp: y.mul_add(eta, -mu), factor: 1.0, eta: y - mu, aux: [] }
    }
}

struct NegBinomial {
    shape: f64,
    inverse_shape: f64,
    log_shape: f64,
}

impl NegBinomial {
    fn new(shape: f64) -> Self {
        Self { shape, inverse_shape: 1.0 / shape, log_shape: shape.ln() }
    }
}

/// `y ln p + shape ln q` with `logit p = η − ln shape`, that is p = μ/(μ + shape).
impl Density<1, 1> for NegBinomial {
    #[inline(always)]
    fn row(&self, [y]: [f64; 1], eta: f64, _: f64) -> Row<1> {
        let share = Logit::at(eta - self.log_shape);
        Row {
            logp: y * share.log_p + self.shape * share.log_q,
            factor: 1.0,
            eta: y * share.q - self.shape * share.p,
            aux: [share.log_q + share.p - y * share.q * self.inverse_shape],
        }
    }
}

/// Zeros that come with probability zi, whatever the mean.
struct Zero {
    log_odds: f64,
    inverse_variance: f64,
}

impl Zero {
    fn new(zi: f64) -> Self {
        let log_odds = zi.ln() - (-zi).ln_1p();
        Self { log_odds, inverse_variance: 1.0 / (zi * (1.0 - zi)) }
    }

    /// `ln(odds + exp(log_zero))`, with `log_zero` the log probability of 0 in the counts, and its
    /// slopes by `log_zero` and by zi.
    #[inline(always)]
    fn or(&self, log_zero: f64) -> (f64, f64, f64) {
        let share = Logit::at(log_zero - self.log_odds);
        (self.log_odds - share.log_q, share.p, share.q * self.inverse_variance)
    }
}

impl Density<1, 1> for Zero {
    #[inline(always)]
    fn row(&self, [y]: [f64; 1], eta: f64, _: f64) -> Row<1> {
        let mu = exp(if eta > HIGHEST { HIGHEST } else { eta });
        let (log_zero, by_count, by_zi) = self.or(-mu);
        let zero = y == 0.0;
        Row {
            logp: if zero { log_zero } else { y.mul_add(eta, -mu) },
            factor: 1.0,
            eta: if zero { -mu * by_count } else { y - mu },
            aux: [if zero { by_zi } else { 0.0 }],
        }
    }
}

impl Density<1, 2> for (NegBinomial, Zero) {
    #[inline(always)]
    fn row(&self, [y]: [f64; 1], eta: f64, _: f64) -> Row<2> {
        // At y = 0 this is the log probability of 0.
        let count = self.0.row([y], eta, 0.0);
        let (log_zero, by_count, by_zi) = self.1.or(count.logp);
        let zero = y == 0.0;
        let by_count = if zero { by_count } else { 1.0 };
        Row {
            logp: if zero { log_zero } else { count.logp },
            factor: 1.0,
            eta: by_count * count.eta,
            aux: [by_count * count.aux[0], if zero { by_zi } else { 0.0 }],
        }
    }
}

/// Poisson counts above 0; rows with 0 depend on the hurdle alone.
struct PositivePoisson;

/// With r = μ/(1 − exp(−μ)) and η for ln μ: no cancellation where μ is small.
impl Density<1, 0> for PositivePoisson {
    #[inline(always)]
    fn row(&self, [y]: [f64; 1], eta: f64, _: f64) -> Row<0> {
        let mu = exp(if eta > HIGHEST { HIGHEST } else { eta });
        let r = ratio(mu);
        let positive = y > 0.0;
        Row {
            logp: if positive { (y - 1.0).mul_add(eta, -mu) + ln(r) } else { 0.0 },
            factor: 1.0,
            eta: if positive { y - r } else { 0.0 },
            aux: [],
        }
    }
}

/// `x/(1 − exp(−x))` for x ≥ 0, which is 1 at 0.
#[inline(always)]
fn ratio(x: f64) -> f64 {
    if x < 1e-16 { 1.0 } else { x / exp_and_rest(x).1 }
}

struct PositiveNegBinomial(NegBinomial);

/// The probability of 0 is `exp(−shape S)` with `S = ln(1 + eᵗ)`, t = η − ln shape. Where t is very
/// negative, S, p and 1 − exp(−shape S) vanish like eᵗ, and only their ratios are formed.
impl Density<1, 1> for PositiveNegBinomial {
    #[inline(always)]
    fn row(&self, [y]: [f64; 1], eta: f64, _: f64) -> Row<1> {
        let NegBinomial { shape, inverse_shape, log_shape } = self.0;
        let t = eta - log_shape;
        let e = exp(-t.abs());
        let (log, inverse) = ln_1p_and_inverse(e);
        let up = t > 0.0;
        let softplus = if up { t + log } else { log };
        // S is eᵗ times this for t < 0, S itself for t > 0.
        let s = if up {
            softplus
        } else if e < 1e-16 {
            1.0
        } else {
            log / e
        };
        let q = if up { e * inverse } else { inverse };
        let p_over_softplus = inverse / s;
        let r = ratio(shape * softplus);
        // ln(1 − exp(−shape S)) = ln(shape S/r)
        let log_positive = ln(s / r) + if up { log_shape } else { eta };
        let log_p = if up { log } else { log - t };
        let logp = -shape * softplus - y * log_p - log_positive;
        let d_shape = ((p_over_softplus - 1.0) * r - y * q) * inverse_shape;
        let positive = y > 0.0;
        Row {
            logp: if positive { logp } else { 0.0 },
            factor: 1.0,
            eta: if positive { y * q - p_over_softplus * r } else { 0.0 },
            aux: [if positive { d_shape } else { 0.0 }],
        }
    }
}
