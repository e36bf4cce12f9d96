//! Bernoulli and binomial responses.

use super::link::{Inverse, PROBABILITIES, by_link};
use super::list::{About, Formulas, is_whole};
use super::sweep::{Density, Row, sweep};
use super::{Kind, Link};
use crate::vmath::{exp, ln_gamma, ln_gamma_step};
use std::marker::PhantomData;
use std::ops::Range;

pub struct Binary {
    link: Link,
    rows: Rows,
    constant: f64,
}

enum Rows {
    /// ±1 for success and failure.
    Single { sign: Vec<f64>, weights: Vec<f64> },
    /// Weighted numbers of successes and failures.
    Several { successes: Vec<f64>, failures: Vec<f64> },
}

impl Formulas for Binary {
    fn about(kind: Kind) -> About {
        if kind == Kind::Binomial {
            let is_possible = |y, trials| is_whole(y) && is_whole(trials) && y <= trials;
            return About { has_trials: true, ..About::new(PROBABILITIES, 0, is_possible) };
        }
        About::new(PROBABILITIES, 0, |y, _| y == 0.0 || y == 1.0)
    }

    /// Single trials where `trials` is empty.
    fn new(
        kind: Kind,
        link: Link,
        mut y: Vec<f64>,
        mut trials: Vec<f64>,
        weights: Vec<f64>,
    ) -> Self {
        if trials.is_empty() {
            for y in &mut y {
                *y = 2.0 * *y - 1.0;
            }
            return Self { link, rows: Rows::Single { sign: y, weights }, constant: 0.0 };
        }
        let constant = |i: usize| Self::constant(kind, y[i], trials.get(i), weights.get(i));
        let constant = (0..y.len()).map(constant).sum();
        for (i, (successes, trials)) in y.iter_mut().zip(&mut trials).enumerate() {
            let weight = weights.get(i).copied().unwrap_or(1.0);
            *trials = weight * (*trials - *successes);
            *successes *= weight;
        }
        Self { link, rows: Rows::Several { successes: y, failures: trials }, constant }
    }

    fn constant(_: Kind, y: f64, trials: Option<&f64>, weight: Option<&f64>) -> f64 {
        trials.map_or(0.0, |trials| weight.unwrap_or(&1.0) * log_choose(*trials, y))
    }

    fn shared(&self, _: &[f64], _: &mut [f64]) -> f64 {
        self.constant
    }

    #[inline(always)]
    fn rows(
        &self,
        range: Range<usize>,
        _: &[f64],
        eta: &mut [f64],
        _: &mut [f64],
        _: &mut [f64],
        each: &mut [f64],
    ) -> f64 {
        by_link!(self.link, L => self.rows_at::<L>(range, eta, each))
    }

    /// Of logits, `n p (1 − p)`.
    #[inline(always)]
    fn curvatures(&self, range: Range<usize>, eta: &mut [f64]) -> bool {
        if self.link != Link::Logit {
            return false;
        }
        eta.iter_mut().for_each(|eta| *eta = variance(*eta));
        match &self.rows {
            Rows::Single { weights, .. } if weights.is_empty() => {}
            Rows::Single { weights, .. } => {
                eta.iter_mut().zip(&weights[range]).for_each(|(h, weight)| *h *= weight);
            }
            Rows::Several { successes, failures } => {
                let both = successes[range.clone()].iter().zip(&failures[range]);
                eta.iter_mut().zip(both).for_each(|(h, (some, others))| *h *= some + others);
            }
        }
        true
    }

    fn common(&self, _: &[f64], classes: &mut [f64]) {
        classes[0] = 0.0;
    }
}

impl Binary {
    #[inline(always)]
    fn rows_at<L: Inverse>(&self, range: Range<usize>, eta: &mut [f64], each: &mut [f64]) -> f64 {
        match &self.rows {
            Rows::Single { sign, weights } => {
                let density = Bernoulli::<L>(PhantomData);
                sweep(&density, [sign], weights, range, eta, &mut [], each).logp
            }
            Rows::Several { successes, failures } => {
                let columns = [successes.as_slice(), failures];
                sweep(&Binomial::<L>(PhantomData), columns, &[], range, eta, &mut [], each).logp
            }
        }
    }
}

/// Of one trial at a logit.
#[inline(always)]
fn variance(eta: f64) -> f64 {
    let e = exp(-eta.abs());
    let factor = 1.0 + e;
    e / (factor * factor)
}

/// `ln(n choose k)`
fn log_choose(n: f64, k: f64) -> f64 {
    ln_gamma_step(n - k + 1.0, k).0 - ln_gamma(k + 1.0).0
}

struct Bernoulli<L>(PhantomData<L>);

impl<L: Inverse> Density<1, 0> for Bernoulli<L> {
    const FACTOR: bool = L::FACTOR;

    #[inline(always)]
    fn row(&self, [sign]: [f64; 1], eta: f64, _: f64) -> Row<0> {
        let trial = L::trial(sign, eta);
        Row { logp: trial.log, factor: trial.factor, eta: trial.slope, aux: [] }
    }
}

struct Binomial<L>(PhantomData<L>);

/// `s ln p + f ln q`, less the terms of successes or failures that did not happen: 0 · ∞ is NaN.
impl<L: Inverse> Density<2, 0> for Binomial<L> {
    #[inline(always)]
    fn row(&self, [successes, failures]: [f64; 2], eta: f64, _: f64) -> Row<0> {
        let share = L::at(eta);
        let (some, others) = (successes > 0.0, failures > 0.0);
        let success = if some { successes * share.log_p } else { 0.0 };
        let failure = if others { failures * share.log_q } else { 0.0 };
        let success_slope = if some { successes * share.log_p_slope } else { 0.0 };
        let failure_slope = if others { failures * share.log_q_slope } else { 0.0 };
        Row { logp: success + failure, factor: 1.0, eta: success_slope + failure_slope, aux: [] }
    }
}
