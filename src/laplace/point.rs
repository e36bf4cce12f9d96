//! Coefficients with what the rows' predictors are there.

use super::Scales;
use super::rows::Integrand;
use crate::linalg::solve_lower;

/// Coefficients c and u.
pub type Start = (Vec<f64>, Vec<Vec<f64>>);

/// Coefficients, those of the levels in units in which they are standard normal, and predictors.
#[derive(Clone, Debug, Default)]
pub struct Point {
    pub c: Vec<f64>,
    pub u: Vec<Vec<f64>>,
    /// Λu
    pub r: Vec<Vec<f64>>,
    pub eta: Vec<f64>,
}

impl Point {
    pub fn new(of: &impl Integrand, at: &Scales, c: Vec<f64>, u: Vec<Vec<f64>>) -> Self {
        let r: Vec<Vec<f64>> = u.iter().zip(&at.lambda).map(|(u, l)| outward(l, u)).collect();
        let mut eta = vec![0.0; of.base().len()];
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
