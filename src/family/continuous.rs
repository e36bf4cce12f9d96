//! Gaussian responses, whose residual sd is a dispersion parameter or has a predictor of its own.

use super::Kind;
use super::link::HALF_LOG_2PI;
use super::sweep::{Density, Row, sweep};
use crate::vmath::exp;
use std::ops::Range;

pub struct Continuous {
    y: Vec<f64>,
    /// Square roots of the weights.
    root: Vec<f64>,
    constant: f64,
}

impl Continuous {
    pub fn new(_kind: Kind, y: Vec<f64>, weights: &[f64]) -> Self {
        let n = y.len();
        let root = if weights.is_empty() {
            vec![1.0; n]
        } else {
            weights.iter().map(|w| w.sqrt()).collect()
        };
        let constant = root.iter().map(|r| r.ln()).sum::<f64>() - n as f64 * HALF_LOG_2PI;
        Self { y, root, constant }
    }

    pub fn shared(&self, aux: &[f64], d_aux: &mut [f64]) -> f64 {
        let n = self.y.len() as f64;
        match aux {
            [] => self.constant,
            [sigma, ..] => {
                d_aux[0] -= n / sigma;
                self.constant - n * sigma.ln()
            }
        }
    }

    #[inline(always)]
    pub fn rows(
        &self,
        range: Range<usize>,
        aux: &[f64],
        eta: &mut [f64],
        log_sigma: &mut [f64],
        d_aux: &mut [f64],
    ) -> f64 {
        let columns = [self.y.as_slice(), &self.root];
        if log_sigma.is_empty() {
            let density = Gaussian::<false> { inverse_sigma: 1.0 / aux[0] };
            let sums = sweep(&density, columns, &[], range, eta, log_sigma);
            d_aux[0] += sums.aux[0];
            sums.logp
        } else {
            let density = Gaussian::<true> { inverse_sigma: 1.0 };
            sweep(&density, columns, &[], range, eta, log_sigma).logp
        }
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
