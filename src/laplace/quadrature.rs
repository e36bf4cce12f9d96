//! Adaptive Gauss–Hermite quadrature, for one factor with one or two coefficients a level: Laplace's
//! formula is that with one node. Of two it is the product rule in coordinates in which the mode's
//! curvature is that of independent numbers. Pinheiro & Bates (1995) §2.4; Liu & Pierce (1994).

use super::point::outward;
use super::{Laplace, Mode, Parameters};
use crate::linalg::{cholesky, solve_lower_transposed};
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
    /// Log likelihood with these nodes x and weights w of each coefficient, for which
    /// `∫ f(x) exp(−x²) dx ≈ Σ w f(x)`.
    pub fn quadrature(
        &self,
        at: Parameters<'_>,
        mode: &Mode,
        nodes: &[f64],
        weights: &[f64],
    ) -> Option<f64> {
        let ([grouping], [lambda]) = (&self.columns.groupings[..], at.lambda) else { return None };
        let (q, n) = (grouping.q, grouping.codes.len());
        let observed = self.observed();
        if q > MOST {
            return None;
        }
        let (roots, log_det) = self.roots(lambda, &mode.weights)?;
        let empty = LogSum { largest: f64::NEG_INFINITY, sum: 0.0 };
        let mut sums = vec![empty; grouping.n_levels];
        let n_rows = self.likelihood.n_rows();
        let (mut eta, mut each) = (vec![0.0; n], vec![0.0; n_rows]);
        for product in 0..nodes.len().pow(q as u32) {
            let pick: Vec<usize> =
                (0..q as u32).map(|a| product / nodes.len().pow(a) % nodes.len()).collect();
            let x: Vec<f64> = pick.iter().map(|&k| SQRT_2 * nodes[k]).collect();
            let weight: f64 = pick.iter().map(|&k| weights[k].ln() + nodes[k].powi(2)).sum();
            let mut steps = x.repeat(grouping.n_levels);
            for (step, root) in steps.chunks_exact_mut(q).zip(roots.chunks_exact(q * q)) {
                solve_lower_transposed(root, q, step);
            }
            eta.copy_from_slice(&mode.point.eta);
            grouping.add(0..n, &outward(lambda, &steps), &mut eta);
            let of_rows = &mut eta[..observed.n_predictors() * n_rows];
            observed.each_row(0..n_rows, of_rows, at.aux, &mut each);
            // Of each level: log density at the node, the penalty of u and exp(x²) in it.
            let penalty = |(u, steps): (&[f64], &[f64])| {
                let squares: f64 = u.iter().zip(steps).map(|(u, step)| (u + step).powi(2)).sum();
                weight - 0.5 * squares
            };
            let levels = mode.point.u[0].chunks_exact(q).zip(steps.chunks_exact(q));
            let mut own: Vec<f64> = levels.map(penalty).collect();
            for (&code, logp) in grouping.codes.iter().zip(&each) {
                own[code as usize] += logp;
            }
            sums.iter_mut().zip(own).for_each(|(sum, log)| sum.add(log));
        }
        // du = √2 L⁻ᵀ dx of each level, and the density of u has 1/√(2π).
        let scale = 0.5 * (LN_2 - TAU.ln()) * (q * grouping.n_levels) as f64 - 0.5 * log_det;
        let levels: f64 = sums.iter().map(|sum| sum.largest + sum.sum.ln()).sum();
        let total = observed.apart(at.aux) + scale + levels;
        total.is_finite().then_some(total)
    }

    /// Factors of `A = I + ΛᵀZᵀHZΛ` of each level, and the sum of log|A|.
    fn roots(&self, lambda: &[f64], weights: &[f64]) -> Option<(Vec<f64>, f64)> {
        let grouping = &self.columns.groupings[0];
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
        let mut log_det = 0.0;
        for root in roots.chunks_exact_mut(q * q) {
            log_det += cholesky(root, q)?;
        }
        Some((roots, log_det))
    }
}
