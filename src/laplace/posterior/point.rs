//! Coefficients with what the rows say there.

use super::{Posterior, Scales};
use crate::linalg::solve_lower;
use crate::predictor::CHUNK;
use std::ops::Range;

/// Distance of the predictors from whose slopes third derivatives are found.
const FAR: f64 = 1e-3;

/// Coefficients, those of the levels in units in which they are standard normal, and predictors.
#[derive(Clone, Debug, Default)]
pub struct Point {
    pub c: Vec<f64>,
    pub u: Vec<Vec<f64>>,
    /// Λu
    pub r: Vec<Vec<f64>>,
    pub eta: Vec<f64>,
}

/// What the rows say at some predictors: log likelihood, its slopes, and its curvatures, negative.
#[derive(Clone, Debug, Default)]
pub struct Said {
    pub logp: f64,
    pub slopes: Vec<f64>,
    pub curvatures: Vec<f64>,
}

impl Point {
    pub fn new(of: &Posterior, at: &Scales, c: Vec<f64>, u: Vec<Vec<f64>>) -> Self {
        let r: Vec<Vec<f64>> = u.iter().zip(&at.lambda).map(|(u, l)| outward(l, u)).collect();
        let mut eta = vec![0.0; of.base.len()];
        of.fill(&c, &r, &mut eta);
        Self { c, u, r, eta }
    }

    /// On the way to another.
    pub fn towards(&self, other: &Self, share: f64) -> Self {
        let between = |from: &[f64], to: &[f64]| -> Vec<f64> {
            from.iter().zip(to).map(|(a, b)| a + share * (b - a)).collect()
        };
        let each = |from: &[Vec<f64>], to: &[Vec<f64>]| -> Vec<Vec<f64>> {
            from.iter().zip(to).map(|(a, b)| between(a, b)).collect()
        };
        Self {
            c: between(&self.c, &other.c),
            u: each(&self.u, &other.u),
            r: each(&self.r, &other.r),
            eta: between(&self.eta, &other.eta),
        }
    }

    pub fn squares(&self) -> f64 {
        self.u.iter().flatten().map(|u| u * u).sum()
    }
}

/// Λ times the coefficients of each level.
pub fn outward(lambda: &[f64], u: &[f64]) -> Vec<f64> {
    let q = lambda.len().isqrt();
    let mut r = vec![0.0; u.len()];
    for (r, u) in r.chunks_exact_mut(q.max(1)).zip(u.chunks_exact(q.max(1))) {
        for a in 0..q {
            r[a] = (0..=a).map(|b| lambda[a * q + b] * u[b]).sum();
        }
    }
    r
}

/// What Λ turns into these coefficients of each level.
pub fn inward(lambda: &[f64], r: &[f64]) -> Vec<f64> {
    let (q, mut u) = (lambda.len().isqrt(), r.to_vec());
    u.chunks_exact_mut(q.max(1)).for_each(|u| solve_lower(lambda, q, u));
    u
}

impl Posterior {
    /// Predictors of all rows.
    pub fn fill(&self, c: &[f64], r: &[Vec<f64>], eta: &mut [f64]) {
        let columns = &self.model.parts[0].columns;
        eta.copy_from_slice(&self.base);
        for first in (0..eta.len()).step_by(CHUNK) {
            let range = first..(first + CHUNK).min(columns.n);
            let eta = &mut eta[range.clone()];
            for (k, c) in c.iter().enumerate() {
                for (eta, x) in eta.iter_mut().zip(columns.column(k, &range)) {
                    *eta += c * x;
                }
            }
            for (grouping, r) in columns.groupings.iter().zip(r) {
                grouping.add(range.clone(), r, eta);
            }
        }
    }

    /// Log likelihood at some predictors.
    pub fn logp(&self, eta: &[f64], values: &[f64]) -> f64 {
        let mut unused = vec![0.0; values.len()];
        let mut logp = self.model.constant + self.model.likelihood.shared(values, &mut unused);
        let mut part = [0.0; CHUNK];
        for (eta, first) in eta.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
            logp += self.rows(eta, first, 0.0, values, &mut part, &mut unused);
        }
        logp
    }

    /// What of the log likelihood no predictor has a part in.
    pub fn constant(&self, values: &[f64]) -> f64 {
        let mut unused = vec![0.0; values.len()];
        self.model.constant + self.model.likelihood.shared(values, &mut unused)
    }

    /// What is left of it, row by row, at some predictors, which it writes over.
    pub fn each_row(&self, rows: Range<usize>, eta: &mut [f64], values: &[f64], each: &mut [f64]) {
        let mut unused = vec![0.0; values.len()];
        let (likelihood, none) = (&self.model.likelihood, &mut []);
        likelihood.rows_in_vectors(rows, values, eta, none, &mut unused, each);
    }

    /// Log likelihood and slopes of the rows at some predictors; `None` where they are not finite.
    pub fn slopes(&self, eta: &[f64], values: &[f64], said: &mut Said) -> Option<()> {
        said.slopes.resize(eta.len(), 0.0);
        let mut unused = vec![0.0; values.len()];
        said.logp = self.model.constant + self.model.likelihood.shared(values, &mut unused);
        let chunks = eta.chunks(CHUNK).zip(said.slopes.chunks_mut(CHUNK));
        for ((eta, slopes), first) in chunks.zip((0..).step_by(CHUNK)) {
            said.logp += self.rows(eta, first, 0.0, values, slopes, &mut unused);
        }
        // Without an early end, which would keep it from being vector code.
        let finite = said.slopes.iter().fold(true, |all, slope| all & slope.is_finite());
        (said.logp.is_finite() && finite).then_some(())
    }

    /// And their curvatures.
    pub fn curvatures(&self, eta: &[f64], values: &[f64], said: &mut Said) {
        said.curvatures.resize(eta.len(), 0.0);
        self.model.likelihood.curvatures(values, eta, &mut said.curvatures);
    }

    /// Third derivatives of the rows' log likelihood, whose slopes are `here`.
    pub fn thirds(&self, eta: &[f64], here: &[f64], values: &[f64]) -> Vec<f64> {
        let mut unused = vec![0.0; values.len()];
        let (mut above, mut below) = ([0.0; CHUNK], [0.0; CHUNK]);
        let mut thirds = Vec::with_capacity(eta.len());
        for (eta, first) in eta.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
            self.rows(eta, first, FAR, values, &mut above, &mut unused);
            self.rows(eta, first, -FAR, values, &mut below, &mut unused);
            let ends = above.iter().zip(&below).zip(&here[first..first + eta.len()]);
            thirds.extend(ends.map(|((a, b), here)| (a + b - 2.0 * here) / (FAR * FAR)));
        }
        thirds
    }

    /// Log likelihood of a chunk, `shift` away, with its slopes.
    fn rows(
        &self,
        eta: &[f64],
        first: usize,
        shift: f64,
        values: &[f64],
        slopes: &mut [f64],
        by_values: &mut [f64],
    ) -> f64 {
        let slopes = &mut slopes[..eta.len()];
        slopes.iter_mut().zip(eta).for_each(|(slope, eta)| *slope = eta + shift);
        let (likelihood, range) = (&self.model.likelihood, first..first + eta.len());
        likelihood.rows_in_vectors(range, values, slopes, &mut [], by_values, &mut [])
    }

    /// Log prior of c, with its slopes, where these are wanted.
    pub fn log_prior(&self, at: &Scales, c: &[f64], mut slopes: Option<&mut [f64]>) -> f64 {
        if let Some(slopes) = &mut slopes {
            slopes.fill(0.0);
        }
        let mut logp = 0.0;
        for (prior, extra) in self.priors(at) {
            let (value, slope) = prior.prior.logp(prior.at(c) + extra);
            logp += value;
            if let Some(slopes) = &mut slopes {
                slopes.iter_mut().zip(&prior.row).for_each(|(sum, w)| *sum += slope * w);
            }
        }
        logp
    }

    /// Its second derivatives by c, negative: p × p.
    pub fn prior_curvatures(&self, at: &Scales, c: &[f64], curvatures: &mut [f64]) {
        curvatures.fill(0.0);
        for (prior, extra) in self.priors(at) {
            let curvature = prior.prior.curvature(prior.at(c) + extra);
            let rows = curvatures.chunks_exact_mut(c.len().max(1)).zip(&prior.row);
            for (sums, w) in rows.filter(|(_, w)| **w != 0.0) {
                sums.iter_mut().zip(&prior.row).for_each(|(sum, v)| *sum += curvature * w * v);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inward_is_the_way_back() {
        let (lambda, r) = ([0.8, 0.0, -0.3, 1.7], [1.0, 2.0, -0.4, 0.1]);
        let back = outward(&lambda, &inward(&lambda, &r));
        assert!(back.iter().zip(&r).all(|(a, b)| (a - b).abs() < 1e-14), "{back:?}");
        assert!((inward(&lambda, &r)[0] - 1.25).abs() < 1e-14);
    }
}
