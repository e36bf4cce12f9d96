//! Responses above 0 with a log link to their mean: gamma, exponential, Weibull.

use super::list::{About, Formulas, is_positive};
use super::sweep::{Density, Row, sweep};
use super::{Kind, Link};
use crate::vmath::{exp, ln_gamma, ln_gamma_rest};
use std::ops::Range;

pub struct Positive {
    kind: Kind,
    log_y: Vec<f64>,
    weights: Vec<f64>,
    total: f64,
    /// Where rows stand for several: the weighted sum of `ln y` less the logarithm of their mean.
    within: f64,
    /// `−Σ ln y`
    constant: f64,
}

impl Formulas for Positive {
    fn about(kind: Kind) -> About {
        let n_aux = if kind == Kind::Exponential { 0 } else { 1 };
        About::new(&[Link::Log], n_aux, |y, _| is_positive(y))
    }

    fn new(kind: Kind, _: Link, mut y: Vec<f64>, _: Vec<f64>, weights: Vec<f64>) -> Self {
        let constant = |i: usize| Self::constant(kind, y[i], None, weights.get(i));
        let constant = (0..y.len()).map(constant).sum();
        let total = (0..y.len()).map(|i| weights.get(i).unwrap_or(&1.0)).sum();
        for y in &mut y {
            *y = y.ln();
        }
        Self { kind, log_y: y, weights, total, within: 0.0, constant }
    }

    fn constant(_: Kind, y: f64, _: Option<&f64>, weight: Option<&f64>) -> f64 {
        -weight.unwrap_or(&1.0) * y.ln()
    }

    fn merge(&mut self, _: Vec<f64>, within: Vec<f64>) -> bool {
        self.within = within.iter().sum();
        self.kind == Kind::Gamma
    }

    fn shared(&self, aux: &[f64], d_aux: &mut [f64]) -> f64 {
        let (value, slope) = self.of_all(aux);
        if let [to] = d_aux {
            *to += self.total * slope + self.within;
        }
        self.constant + self.total * value + self.within * aux.first().unwrap_or(&0.0)
    }

    fn common(&self, aux: &[f64], classes: &mut [f64]) {
        classes[0] = self.of_all(aux).0;
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
        let (columns, weights) = ([self.log_y.as_slice()], &self.weights);
        let sums = match (self.kind, aux) {
            (Kind::Weibull, &[shape]) => {
                sweep(&Weibull::new(shape), columns, weights, range, eta, &mut [], each)
            }
            _ => {
                let shape = aux.first().copied().unwrap_or(1.0);
                sweep(&Gamma { shape }, columns, weights, range, eta, &mut [], each)
            }
        };
        if let [to] = d_aux {
            *to += sums.aux[0];
        }
        sums.logp
    }
}

impl Positive {
    /// What all rows have in common, and its slope.
    fn of_all(&self, aux: &[f64]) -> (f64, f64) {
        match (self.kind, aux) {
            (Kind::Gamma, &[shape]) => {
                let (rest, slope) = ln_gamma_rest(shape);
                (-rest, -slope)
            }
            (Kind::Weibull, &[shape]) => (shape.ln(), 1.0 / shape),
            // A gamma distribution with shape 1.
            _ => (-1.0, 0.0),
        }
    }
}

struct Gamma {
    shape: f64,
}

/// `shape (1 + d − eᵈ)` with d = ln(y/μ); the rest is −`ln_gamma_rest(shape)` − ln y.
impl Density<1, 1> for Gamma {
    #[inline(always)]
    fn row(&self, [log_y]: [f64; 1], eta: f64, _: f64) -> Row<1> {
        let d = log_y - eta;
        let ratio = exp(d);
        let unit = 1.0 + d - ratio;
        Row { logp: self.shape * unit, factor: 1.0, eta: self.shape * (ratio - 1.0), aux: [unit] }
    }
}

struct Weibull {
    shape: f64,
    /// Log of mean over scale, `ln Γ(1 + 1/shape)`, and shape times its slope.
    log_mean: f64,
    slope: f64,
}

impl Weibull {
    fn new(shape: f64) -> Self {
        let (log_mean, slope) = ln_gamma(1.0 + 1.0 / shape);
        Self { shape, log_mean, slope: -slope / shape }
    }
}

/// `k d − exp(k d)` with k the shape and d = ln(y/scale); the rest is ln k − ln y.
impl Density<1, 1> for Weibull {
    #[inline(always)]
    fn row(&self, [log_y]: [f64; 1], eta: f64, _: f64) -> Row<1> {
        let d = log_y - eta + self.log_mean;
        let log_hazard = self.shape * d;
        let hazard = exp(log_hazard);
        Row {
            logp: log_hazard - hazard,
            factor: 1.0,
            eta: self.shape * (hazard - 1.0),
            aux: [(d + self.slope) * (1.0 - hazard)],
        }
    }
}
