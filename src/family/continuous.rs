//! Responses whose residual sd is a dispersion parameter or has a predictor of its own: gaussian,
//! Student's t, log-normal.

use super::derivatives::Bend;
use super::list::{About, Formulas, is_positive};
use super::sweep::{Density, Row, sweep};
use super::{Kind, Link};
use crate::vmath::{HALF_LOG_2PI, exp, ln_1p, ln_gamma_step};
use std::ops::Range;

pub struct Continuous {
    student_t: bool,
    /// The response, or its logarithm.
    y: Vec<f64>,
    /// Square roots of the weights.
    root: Vec<f64>,
    /// Rows in all, and where rows stand for several: how many each, and their weighted squares
    /// around the mean.
    n: f64,
    copies: Vec<f64>,
    within: Vec<f64>,
    constant: f64,
}

impl Formulas for Continuous {
    fn about(kind: Kind) -> About {
        let n_aux = if kind == Kind::StudentT { 2 } else { 1 };
        let is_possible: fn(f64, f64) -> bool =
            if kind == Kind::LogNormal { |y, _| is_positive(y) } else { |y, _| y.is_finite() };
        About { has_sigma: true, ..About::new(&[Link::Identity], n_aux, is_possible) }
    }

    fn new(kind: Kind, _: Link, mut y: Vec<f64>, _: Vec<f64>, weights: Vec<f64>) -> Self {
        let n = y.len();
        let root = if weights.is_empty() {
            vec![1.0; n]
        } else {
            weights.iter().map(|w| w.sqrt()).collect()
        };
        let student_t = kind == Kind::StudentT;
        let constant = (0..n).map(|i| Self::constant(kind, y[i], None, weights.get(i))).sum();
        if kind == Kind::LogNormal {
            for y in &mut y {
                *y = y.ln();
            }
        }
        let (copies, within) = (Vec::new(), Vec::new());
        Self { student_t, y, root, n: n as f64, copies, within, constant }
    }

    fn constant(kind: Kind, y: f64, _: Option<&f64>, weight: Option<&f64>) -> f64 {
        let root = weight.map_or(0.0, |weight| 0.5 * weight.ln());
        match kind {
            Kind::StudentT => root,
            Kind::LogNormal => root - HALF_LOG_2PI - y.ln(),
            _ => root - HALF_LOG_2PI,
        }
    }

    fn merge(&mut self, copies: Vec<f64>, within: Vec<f64>) -> bool {
        (self.n, self.copies, self.within) = (copies.iter().sum(), copies, within);
        !self.student_t
    }

    fn shared(&self, aux: &[f64], d_aux: &mut [f64]) -> f64 {
        let n = self.n;
        let (sigma, nu) = split(aux, self.student_t);
        if let Some(sigma) = sigma {
            d_aux[0] -= n / sigma;
        }
        if let (Some(nu), Some(slope)) = (nu, d_aux.last_mut()) {
            *slope += n * (0.5 * ln_gamma_step(0.5 * nu, 0.5).1 - 0.5 / nu);
        }
        self.constant + n * self.of_all(aux)
    }

    fn common(&self, aux: &[f64], classes: &mut [f64]) {
        classes[0] = self.of_all(aux);
    }

    #[inline(always)]
    fn rows(
        &self,
        range: Range<usize>,
        aux: &[f64],
        eta: &mut [f64],
        log_sigma: &mut [f64],
        d_aux: &mut [f64],
        each: &mut [f64],
    ) -> f64 {
        let columns = [self.y.as_slice(), &self.root];
        let (sigma, nu) = split(aux, self.student_t);
        let (logp, slopes) = match (sigma, nu) {
            (sigma, None) if !self.copies.is_empty() => {
                let columns = [self.y.as_slice(), &self.root, &self.copies, &self.within];
                let sums = match sigma {
                    Some(sigma) => {
                        let density = Moments::<false> { inverse_sigma: 1.0 / sigma };
                        sweep(&density, columns, &[], range, eta, log_sigma, each)
                    }
                    None => {
                        let density = Moments::<true> { inverse_sigma: 1.0 };
                        sweep(&density, columns, &[], range, eta, log_sigma, each)
                    }
                };
                (sums.logp, [if sigma.is_some() { sums.aux[0] } else { 0.0 }, 0.0])
            }
            (Some(sigma), None) => {
                let density = Gaussian::<false> { inverse_sigma: 1.0 / sigma };
                let sums = sweep(&density, columns, &[], range, eta, log_sigma, each);
                (sums.logp, [sums.aux[0], 0.0])
            }
            (None, None) => {
                let density = Gaussian::<true> { inverse_sigma: 1.0 };
                (sweep(&density, columns, &[], range, eta, log_sigma, each).logp, [0.0; 2])
            }
            (Some(sigma), Some(nu)) => {
                let density = StudentT::<false>::new(1.0 / sigma, nu);
                let sums = sweep(&density, columns, &[], range, eta, log_sigma, each);
                (sums.logp, sums.aux)
            }
            (None, Some(nu)) => {
                let density = StudentT::<true>::new(1.0, nu);
                let sums = sweep(&density, columns, &[], range, eta, log_sigma, each);
                (sums.logp, [sums.aux[1], 0.0])
            }
        };
        for (to, slope) in d_aux.iter_mut().zip(slopes) {
            *to += slope;
        }
        logp
    }
}

impl Continuous {
    /// A row at its predictor, and its log residual sd where that is its own.
    #[inline(always)]
    pub fn bend(&self, aux: &[f64], i: usize, eta: f64, log_sigma: Option<f64>) -> Bend {
        // With a sigma of their own rows have none in common.
        let (sigma, nu) = match log_sigma {
            None => split(aux, self.student_t),
            Some(_) => (None, aux.first().copied().filter(|_| self.student_t)),
        };
        let inverse = log_sigma.map_or_else(|| 1.0 / sigma.unwrap_or(1.0), |own| exp(-own));
        let scale = self.root[i] * inverse;
        let z = (self.y[i] - eta) * scale;
        let g = match nu {
            None => [z, 1.0, 0.0],
            Some(nu) => {
                let square = z * z;
                let weight = (nu + 1.0) / (nu + square);
                let share = weight / (nu + square);
                let second = 2.0 * z * (square - 3.0 * nu) * share / (nu + square);
                [weight * z, (nu - square) * share, second]
            }
        };
        let within = self.within.get(i).map_or(0.0, |within| within * inverse * inverse);
        Bend { scale, z, g, within }
    }

    /// What all rows have in common.
    fn of_all(&self, aux: &[f64]) -> f64 {
        let (sigma, nu) = split(aux, self.student_t);
        let mut logp = sigma.map_or(0.0, |sigma| -sigma.ln());
        if let Some(nu) = nu {
            // Γ((ν + 1)/2) / (Γ(ν/2) √(νπ))
            logp += ln_gamma_step(0.5 * nu, 0.5).0 - 0.5 * (nu * std::f64::consts::PI).ln();
        }
        logp
    }
}

/// Residual sd, unless rows have their own, and degrees of freedom, if there are any.
#[inline(always)]
fn split(aux: &[f64], student_t: bool) -> (Option<f64>, Option<f64>) {
    match *aux {
        [sigma, nu] => (Some(sigma), Some(nu)),
        [nu] if student_t => (None, Some(nu)),
        [sigma] => (Some(sigma), None),
        _ => (None, None),
    }
}

/// `OWN`: each row has its own residual sd, and the slope is by its logarithm.
struct Gaussian<const OWN: bool> {
    inverse_sigma: f64,
}

impl<const OWN: bool> Density<2, 1> for Gaussian<OWN> {
    #[inline(always)]
    fn row(&self, [y, root]: [f64; 2], eta: f64, log_sigma: f64) -> Row<1> {
        let inverse = if OWN { exp(-log_sigma) } else { self.inverse_sigma };
        let scale = root * inverse;
        let z = (y - eta) * scale;
        let square = z * z;
        Row {
            logp: if OWN { -0.5 * square - log_sigma } else { -0.5 * square },
            factor: 1.0,
            eta: z * scale,
            aux: [if OWN { square - 1.0 } else { square * inverse }],
        }
    }
}

/// Several rows with the same linear predictor: their mean, the root of their weight, their number and
/// their weighted squares around the mean.
struct Moments<const OWN: bool> {
    inverse_sigma: f64,
}

impl<const OWN: bool> Density<4, 1> for Moments<OWN> {
    #[inline(always)]
    fn row(&self, [y, root, copies, within]: [f64; 4], eta: f64, log_sigma: f64) -> Row<1> {
        let inverse = if OWN { exp(-log_sigma) } else { self.inverse_sigma };
        let scale = root * inverse;
        let z = (y - eta) * scale;
        let squares = z.mul_add(z, within * inverse * inverse);
        let logp = -0.5 * squares;
        Row {
            logp: if OWN { logp - copies * log_sigma } else { logp },
            factor: 1.0,
            eta: z * scale,
            aux: [if OWN { squares - copies } else { squares * inverse }],
        }
    }
}

struct StudentT<const OWN: bool> {
    inverse_sigma: f64,
    nu: f64,
    inverse_nu: f64,
}

impl<const OWN: bool> StudentT<OWN> {
    fn new(inverse_sigma: f64, nu: f64) -> Self {
        Self { inverse_sigma, nu, inverse_nu: 1.0 / nu }
    }
}

/// `−(ν + 1)/2 · ln(1 + z²/ν)`
impl<const OWN: bool> Density<2, 2> for StudentT<OWN> {
    #[inline(always)]
    fn row(&self, [y, root]: [f64; 2], eta: f64, log_sigma: f64) -> Row<2> {
        let inverse = if OWN { exp(-log_sigma) } else { self.inverse_sigma };
        let scale = root * inverse;
        let z = (y - eta) * scale;
        let square = z * z;
        let ratio = square * self.inverse_nu;
        let log = ln_1p(ratio);
        // The weight that a row has in an estimate of location.
        let weight = (self.nu + 1.0) / (self.nu + square);
        let logp = -0.5 * (self.nu + 1.0) * log;
        let d_nu = 0.5 * (weight * ratio - log);
        Row {
            logp: if OWN { logp - log_sigma } else { logp },
            factor: 1.0,
            eta: weight * z * scale,
            aux: [if OWN { weight * square - 1.0 } else { weight * square * inverse }, d_nu],
        }
    }
}
