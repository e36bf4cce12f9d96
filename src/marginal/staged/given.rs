//! Coefficients given θ and σ: integrated in closed form, or drawn.

use super::features::Least;
use crate::linalg::{cholesky, solve_lower, solve_lower_transposed};

/// Working storage, and what the last integration left: the factor of F_II and how far the
/// integrated coefficients are from ĉ.
#[derive(Clone, Debug)]
pub struct Given {
    p: usize,
    /// F = K_XX/σ² + P, p × p.
    f: Vec<f64>,
    /// Pĉ − P_Xy
    pull: Vec<f64>,
    factor: Vec<f64>,
    /// The best coefficients less ĉ.
    away: Vec<f64>,
}

impl Given {
    pub fn new(p: usize) -> Self {
        let square = vec![0.0; p * p];
        Self { p, f: square.clone(), pull: vec![0.0; p], factor: square, away: vec![0.0; p] }
    }

    /// `−½ uᵀFu − ½ log|F_II|` with the last coefficients at `sampled` and all others integrated,
    /// around ĉ, so that nothing cancels. `None` where F_II is not positive definite.
    pub fn integrate(
        &mut self,
        least: &Least,
        sigma: f64,
        sampled: &[f64],
        prior_rows: &[f64],
    ) -> Option<f64> {
        let (p, w) = (self.p, self.p + 1);
        let (n_i, precision) = (p - sampled.len(), 1.0 / (sigma * sigma));
        let mut quadratic = least.log_s.exp() * precision + prior_rows[w * w - 1];
        for i in 0..p {
            for j in 0..=i {
                let s: f64 = (0..=j).map(|k| least.l[i * p + k] * least.l[j * p + k]).sum();
                self.f[i * p + j] = s * precision + prior_rows[i * w + j];
            }
            let toward = prior_rows[p * w + i];
            let pull: f64 = (0..p).map(|j| prior_rows[i * w + j] * least.c[j]).sum();
            self.pull[i] = pull - toward;
            quadratic += least.c[i] * (self.pull[i] - toward);
        }
        let (inside, outside) = self.away.split_at_mut(n_i);
        for ((away, c), best) in outside.iter_mut().zip(sampled).zip(&least.c[n_i..]) {
            *away = c - best;
        }
        for i in 0..n_i {
            inside[i] = self.pull[i];
            for (j, away) in outside.iter().enumerate() {
                inside[i] += self.f[(n_i + j) * p + i] * away;
            }
            for j in 0..=i {
                self.factor[i * n_i + j] = self.f[i * p + j];
            }
        }
        let factor = &mut self.factor[..n_i * n_i];
        let log_det = cholesky(factor, n_i)?;
        solve_lower(factor, n_i, inside);
        quadratic -= inside.iter().map(|x| x * x).sum::<f64>();
        solve_lower_transposed(factor, n_i, inside);
        inside.iter_mut().for_each(|x| *x = -*x);
        for (i, x) in outside.iter().enumerate() {
            let row = &self.f[(n_i + i) * p + n_i..][..=i];
            let beside: f64 = row[..i].iter().zip(&*outside).map(|(f, y)| f * y).sum();
            quadratic += x * (2.0 * (beside + self.pull[n_i + i]) + row[i] * x);
        }
        Some(-0.5 * quadratic - 0.5 * log_det)
    }

    /// Turn independent normal numbers into the integrated coefficients.
    pub fn draw(&self, least: &Least, z: &mut [f64]) {
        let n_i = z.len();
        solve_lower_transposed(&self.factor[..n_i * n_i], n_i, z);
        for ((z, c), away) in z.iter_mut().zip(&least.c).zip(&self.away) {
            *z += c + away;
        }
    }
}
