//! Bernoulli and binomial responses.

use super::Link;
use super::link::{Cloglog, Inverse, Logit, Probit, negative_part};
use super::sweep::{Density, Row, sweep};
use crate::vmath::exp;
use statrs::function::gamma::ln_gamma;
use std::marker::PhantomData;
use std::ops::Range;

pub struct Binary {
    link: Link,
    /// ±1 for success and failure, where every row is one trial of weight 1.
    sign: Vec<f64>,
    /// Weighted numbers of successes and failures.
    successes: Vec<f64>,
    failures: Vec<f64>,
    constant: f64,
}

impl Binary {
    pub fn new(link: Link, y: Vec<f64>, trials: &[f64], weights: &[f64]) -> Self {
        let single = trials.is_empty() && weights.is_empty();
        let sign = y.iter().map(|y| 2.0 * y - 1.0).collect();
        let (mut successes, mut failures, mut constant) = (y, Vec::new(), 0.0);
        for (i, successes) in successes.iter_mut().enumerate() {
            let trials = trials.get(i).copied().unwrap_or(1.0);
            let weight = weights.get(i).copied().unwrap_or(1.0);
            if trials > 1.0 {
                constant += weight * log_choose(trials, *successes);
            }
            failures.push(weight * (trials - *successes));
            *successes *= weight;
        }
        if single && link == Link::Logit {
            return Self { link, sign, successes: vec![], failures: vec![], constant };
        }
        Self { link, sign: vec![], successes, failures, constant }
    }

    pub fn shared(&self) -> f64 {
        self.constant
    }

    #[inline(always)]
    pub fn rows(&self, range: Range<usize>, eta: &mut [f64]) -> f64 {
        let columns = [self.successes.as_slice(), &self.failures];
        match self.link {
            Link::Logit if !self.sign.is_empty() => {
                sweep(&BernoulliLogit, [&self.sign], &[], range, eta, &mut []).logp
            }
            Link::Probit => {
                sweep(&Trials::<Probit>(PhantomData), columns, &[], range, eta, &mut []).logp
            }
            Link::Cloglog => {
                sweep(&Trials::<Cloglog>(PhantomData), columns, &[], range, eta, &mut []).logp
            }
            _ => sweep(&Trials::<Logit>(PhantomData), columns, &[], range, eta, &mut []).logp,
        }
    }
}

/// `ln(n choose k)`
fn log_choose(n: f64, k: f64) -> f64 {
    ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0)
}

/// One trial: with m = ±η, `ln p = min(m, 0) − ln(1 + exp(−|m|))`.
struct BernoulliLogit;

impl Density<1, 0> for BernoulliLogit {
    const FACTOR: bool = true;

    #[inline(always)]
    fn row(&self, [sign]: [f64; 1], eta: f64, _: f64) -> Row<0> {
        let m = sign * eta;
        let e = exp(-m.abs());
        let factor = 1.0 + e;
        let failure = if m > 0.0 { e } else { 1.0 };
        Row { logp: negative_part(m), factor, eta: sign * failure / factor, aux: [] }
    }
}

/// Several trials, or a weight: `s ln p + f ln q`.
struct Trials<L>(PhantomData<L>);

impl<L: Inverse> Density<2, 0> for Trials<L> {
    #[inline(always)]
    fn row(&self, [successes, failures]: [f64; 2], eta: f64, _: f64) -> Row<0> {
        let share = L::at(eta);
        // 0 · ∞ would be NaN.
        let times = |n: f64, x: f64| if n > 0.0 { n * x } else { 0.0 };
        Row {
            logp: times(successes, share.log_p) + times(failures, share.log_q),
            factor: 1.0,
            eta: times(successes, share.log_p_slope) + times(failures, share.log_q_slope),
            aux: [],
        }
    }
}
