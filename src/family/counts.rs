//! Counts, with a log link.

use super::Kind;
use super::sweep::{Density, Row, sweep};
use crate::vmath::exp;
use statrs::function::gamma::ln_gamma;
use std::ops::Range;

pub struct Counts {
    y: Vec<f64>,
    weights: Vec<f64>,
    constant: f64,
}

impl Counts {
    pub fn new(_kind: Kind, y: Vec<f64>, weights: Vec<f64>) -> Self {
        let weight = |i: usize| weights.get(i).copied().unwrap_or(1.0);
        let constant = -(0..y.len()).map(|i| weight(i) * ln_gamma(y[i] + 1.0)).sum::<f64>();
        Self { y, weights, constant }
    }

    pub fn shared(&self) -> f64 {
        self.constant
    }

    #[inline(always)]
    pub fn rows(&self, range: Range<usize>, eta: &mut [f64]) -> f64 {
        sweep(&Poisson, [&self.y], &self.weights, range, eta, &mut []).logp
    }
}

struct Poisson;

impl Density<1, 0> for Poisson {
    #[inline(always)]
    fn row(&self, [y]: [f64; 1], eta: f64, _: f64) -> Row<0> {
        let mu = exp(eta);
        Row { logp: y.mul_add(eta, -mu), factor: 1.0, eta: y - mu, aux: [] }
    }
}
