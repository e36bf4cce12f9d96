//! Adaptive Gauss–Hermite quadrature, for factors with one or two coefficients a level: Laplace's
//! formula is that with one node. Of two it is the product rule in coordinates in which the mode's
//! curvature is that of independent numbers. Pinheiro & Bates (1995) §2.4; Liu & Pierce (1994).

use super::point::outward;
use super::{Laplace, Mode, Parameters};
use crate::linalg::{cholesky, solve_lower_transposed};
use crate::predictor::Grouping;
use std::f64::consts::{LN_2, SQRT_2, TAU};

/// Coefficients a level, at most: of q there are as many nodes as n to the power of q.
const MOST: usize = 2;

/// Running sum of numbers given by their logarithms, over the largest of them.
#[derive(Clone)]
struct LogSum {
    largest: f64,
    sum: f64,
}

impl LogSum {
    fn add(&mut self, log: f64) {
        if log == f64::NEG_INFINITY {
            return;
        }
        if log > self.largest {
            self.sum *= (self.largest - log).exp();
            self.largest = log;
        }
        self.sum += (log - self.largest).exp();
    }
}

impl Laplace {
    /// What Laplace's formula leaves out of the integrals over the coefficients of a factor's levels,
    /// those of all others being at their mode, by these nodes x and weights w of each coefficient, for
    /// which `∫ f(x) exp(−x²) dx ≈ Σ w f(x)`. Of a single factor that is all that it leaves out.
    pub fn left_out(
        &self,
        at: Parameters<'_>,
        mode: &Mode,
        factor: usize,
        nodes: &[f64],
        weights: &[f64],
    ) -> Option<f64> {
        let (grouping, lambda) = (self.columns.groupings.get(factor)?, &at.lambda[factor]);
        let (q, u) = (grouping.q, &mode.point.u[factor]);
        if q > MOST {
            return None;
        }
        let roots = self.roots(factor, lambda, &mode.weights)?;
        let empty = LogSum { largest: f64::NEG_INFINITY, sum: 0.0 };
        let mut sums = vec![empty; grouping.n_levels];
        let mut eta = Vec::new();
        // Of each level: log density some steps from the mode, and the penalty of u.
        let mut levels = |steps: &[f64]| -> Vec<f64> {
            eta.clone_from(&mode.point.eta);
            grouping.add(0..eta.len(), &outward(lambda, steps), &mut eta);
            let penalty = |(u, steps): (&[f64], &[f64])| -> f64 {
                -0.5 * u.iter().zip(steps).map(|(u, step)| (u + step).powi(2)).sum::<f64>()
            };
            let both = u.chunks_exact(q.max(1)).zip(steps.chunks_exact(q.max(1)));
            let mut own: Vec<f64> = both.map(penalty).collect();
            self.add_rows(grouping, at.aux, &mut eta, &mut own);
            own
        };
        let top = levels(&vec![0.0; u.len()]);
        for product in 0..nodes.len().pow(q as u32) {
            let pick: Vec<usize> =
                (0..q as u32).map(|a| product / nodes.len().pow(a) % nodes.len()).collect();
            let x: Vec<f64> = pick.iter().map(|&k| SQRT_2 * nodes[k]).collect();
            // exp(x²) is in it; du = √2 L⁻ᵀ dx of each level, and the density of u has 1/√(2π).
            let weight: f64 = pick.iter().map(|&k| weights[k].ln() + nodes[k].powi(2)).sum();
            let weight = weight + 0.5 * (LN_2 - TAU.ln()) * q as f64;
            let mut steps = x.repeat(grouping.n_levels);
            for (step, root) in steps.chunks_exact_mut(q).zip(roots.chunks_exact(q * q)) {
                solve_lower_transposed(root, q, step);
            }
            let each = levels(&steps).into_iter().zip(&top);
            sums.iter_mut().zip(each).for_each(|(sum, (log, top))| sum.add(weight + log - top));
        }
        let total: f64 = sums.iter().map(|sum| sum.largest + sum.sum.ln()).sum();
        total.is_finite().then_some(total)
    }

    /// Add up rows by the levels of a factor; predictors are written over.
    fn add_rows(&self, grouping: &Grouping, aux: &[f64], eta: &mut [f64], sums: &mut [f64]) {
        let (observed, n) = (self.observed(), self.likelihood.n_rows());
        let mut each = vec![0.0; n];
        observed.each_row(0..n, &mut eta[..observed.n_predictors() * n], aux, &mut each);
        for (&code, logp) in grouping.codes.iter().zip(&each) {
            sums[code as usize] += logp;
        }
    }

    /// Factors of `I + ΛᵀZᵀHZΛ` of each level of a factor.
    fn roots(&self, factor: usize, lambda: &[f64], weights: &[f64]) -> Option<Vec<f64>> {
        let grouping = &self.columns.groupings[factor];
        let (q, n) = (grouping.q, grouping.codes.len());
        let identity: Vec<f64> =
            (0..q * q).map(|k| f64::from(u8::from(k % (q + 1) == 0))).collect();
        let mut roots = identity.repeat(grouping.n_levels);
        let mut along = vec![0.0; q];
        for (i, (&code, weight)) in grouping.codes.iter().zip(weights).enumerate() {
            for (b, along) in along.iter_mut().enumerate() {
                *along = (b..q).map(|a| lambda[a * q + b] * grouping.z[a * n + i]).sum();
            }
            let a = &mut roots[code as usize * q * q..][..q * q];
            for (k, a) in a.iter_mut().enumerate() {
                *a += weight * along[k / q] * along[k % q];
            }
        }
        for root in roots.chunks_exact_mut((q * q).max(1)) {
            cholesky(root, q)?;
        }
        Some(roots)
    }
}
