//! Responses between 0 and 1: the beta distribution with a mean and a precision.

use super::link::{Inverse, PROBABILITIES, by_link};
use super::list::{About, Formulas};
use super::sweep::{Density, Row, sweep};
use super::{Kind, Link};
use crate::vmath::ln_gamma;
use std::marker::PhantomData;
use std::ops::Range;

pub struct Beta {
    link: Link,
    log_y: Vec<f64>,
    log_rest: Vec<f64>,
    weights: Vec<f64>,
    total: f64,
    /// `−Σ ln y + ln(1 − y)`
    constant: f64,
}

impl Formulas for Beta {
    fn about(_: Kind) -> About {
        About::new(PROBABILITIES, 1, |y, _| y > 0.0 && y < 1.0)
    }

    fn new(kind: Kind, link: Link, y: Vec<f64>, _: Vec<f64>, weights: Vec<f64>) -> Self {
        let log_y: Vec<f64> = y.iter().map(|y| y.ln()).collect();
        let log_rest: Vec<f64> = y.iter().map(|y| (-y).ln_1p()).collect();
        let weight = |i: usize| weights.get(i).copied().unwrap_or(1.0);
        let total = (0..y.len()).map(weight).sum();
        let constant = |i: usize| Self::constant(kind, y[i], None, weights.get(i));
        let constant = (0..y.len()).map(constant).sum();
        Self { link, log_y, log_rest, weights, total, constant }
    }

    fn constant(_: Kind, y: f64, _: Option<&f64>, weight: Option<&f64>) -> f64 {
        -weight.unwrap_or(&1.0) * (y.ln() + (-y).ln_1p())
    }

    fn shared(&self, aux: &[f64], d_aux: &mut [f64]) -> f64 {
        let (value, slope) = of_all(aux);
        d_aux[0] += self.total * slope;
        self.constant + self.total * value
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
        by_link!(self.link, L => self.rows_at::<L>(range, aux, eta, d_aux, each))
    }

    fn common(&self, aux: &[f64], classes: &mut [f64]) {
        classes[0] = of_all(aux).0;
    }
}

/// What all rows have in common, `ln Γ(φ) + 2 ln φ` (see `Shape`), and its slope.
fn of_all(aux: &[f64]) -> (f64, f64) {
    let phi = aux[0];
    let (value, slope) = ln_gamma(phi);
    (value + 2.0 * phi.ln(), slope + 2.0 / phi)
}

impl Beta {
    #[inline(always)]
    fn rows_at<L: Inverse>(
        &self,
        range: Range<usize>,
        aux: &[f64],
        eta: &mut [f64],
        d_aux: &mut [f64],
        each: &mut [f64],
    ) -> f64 {
        let density = Shape::<L> { phi: aux[0], link: PhantomData };
        let columns = [self.log_y.as_slice(), &self.log_rest];
        let sums = sweep(&density, columns, &self.weights, range, eta, &mut [], each);
        d_aux[0] += sums.aux[0];
        sums.logp
    }
}

struct Shape<L> {
    phi: f64,
    link: PhantomData<L>,
}

/// Beta(a, b) with a = pφ, b = qφ. Where a is tiny, `ln Γ(a) = ln Γ(1 + a) − ln a`, and ln a follows
/// from ln p, which stays exact when p no longer is a number above 0.
impl<L: Inverse> Density<2, 1> for Shape<L> {
    #[inline(always)]
    fn row(&self, [log_y, log_rest]: [f64; 2], eta: f64, _: f64) -> Row<1> {
        let share = L::at(eta);
        let (a, b) = (share.p * self.phi, share.q * self.phi);
        let (gamma_a, digamma_a) = ln_gamma(1.0 + a);
        let (gamma_b, digamma_b) = ln_gamma(1.0 + b);
        let (by_a, by_b) = (log_y - digamma_a, log_rest - digamma_b);
        Row {
            logp: (share.log_p - gamma_a + a * log_y) + (share.log_q - gamma_b + b * log_rest),
            factor: 1.0,
            eta: share.log_p_slope * (1.0 + a * by_a) + share.log_q_slope * (1.0 + b * by_b),
            aux: [share.p * by_a + share.q * by_b],
        }
    }
}
