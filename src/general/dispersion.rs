//! Dispersion parameters of a family, or the thresholds of ordered categories.

use super::PriorRow;
use crate::prior::Scalar;

/// What the family has besides the linear predictors.
#[derive(Clone, Debug)]
pub enum Dispersion {
    Scalars(Vec<Scalar>),
    /// Thresholds 0, δ₂, δ₃ … with increments `exp(u)`; the first is minus the intercept, so the
    /// actual ones are `δ − c₀` and more, as their prior rows say.
    Thresholds {
        increments: Vec<f64>,
        priors: Vec<PriorRow>,
    },
}

impl Dispersion {
    pub fn dim(&self) -> usize {
        match self {
            Dispersion::Scalars(scalars) => scalars.len(),
            Dispersion::Thresholds { increments, .. } => increments.len(),
        }
    }

    pub fn start(&self) -> Vec<f64> {
        match self {
            Dispersion::Scalars(s) => s.iter().map(|s| s.support.unconstrain(s.start)).collect(),
            Dispersion::Thresholds { increments, .. } => vec![0.0; increments.len()],
        }
    }

    /// Values for the likelihood, and their log prior with Jacobian and slope by u. Priors of
    /// thresholds, which need c, are not among it.
    pub fn at(&self, u: &[f64], values: &mut [f64], slopes: &mut [f64], grad: &mut [f64]) -> f64 {
        let mut logp = 0.0;
        match self {
            Dispersion::Scalars(scalars) => {
                for (k, scalar) in scalars.iter().enumerate() {
                    let at = scalar.at(u[k]);
                    (values[k], slopes[k], grad[k]) = (at.x, at.dx_du, at.dlogp_du);
                    logp += at.logp;
                }
            }
            Dispersion::Thresholds { increments, .. } => {
                values[0] = 0.0;
                for (k, unit) in increments.iter().enumerate() {
                    slopes[k] = unit * u[k].exp();
                    values[k + 1] = values[k] + slopes[k];
                    logp += u[k];
                    grad[k] = 1.0;
                }
            }
        }
        logp
    }

    /// Add the slopes by u that slopes by the values lead to.
    pub fn pull_back(&self, slopes: &[f64], by_values: &[f64], grad: &mut [f64]) {
        match self {
            Dispersion::Scalars(_) => {
                for ((grad, slope), by) in grad.iter_mut().zip(slopes).zip(by_values) {
                    *grad += slope * by;
                }
            }
            Dispersion::Thresholds { .. } => {
                let mut later = 0.0;
                for k in (0..grad.len()).rev() {
                    later += by_values[k + 1];
                    grad[k] += slopes[k] * later;
                }
            }
        }
    }
}
