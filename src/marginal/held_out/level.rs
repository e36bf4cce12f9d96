//! W of one level given a draw, and what it does to residuals and columns.

use super::{ANY, Levels, Scales};
use crate::linalg::{cholesky, solve_lower};

/// W of a level, what it does to the residuals and to the integrated columns, and working storage.
pub struct OfLevel {
    pub w: Vec<f64>,
    pub shift: Vec<f64>,
    pub by_column: Vec<f64>,
    m: Vec<f64>,
    half: Vec<f64>,
}

impl OfLevel {
    pub fn new(levels: &Levels) -> Self {
        let Levels { q, n_integrated: p, .. } = *levels;
        Self {
            w: vec![0.0; q * q],
            shift: vec![0.0; q],
            by_column: vec![0.0; q * p],
            m: vec![0.0; q * q],
            half: vec![0.0; q * q],
        }
    }

    /// W of level j given draw s.
    #[inline(always)]
    pub fn weigh<const Q: usize>(&mut self, levels: &Levels, scales: &Scales, j: usize, s: usize) {
        let q = if Q == ANY { levels.q } else { Q };
        let (w, m) = (&mut self.w[..q * q], &mut self.m[..q * q]);
        if scales.lambda.is_empty() {
            w.copy_from_slice(&scales.flat[j * q * q..][..q * q]);
            return;
        }
        let (zz, lambda) = (&levels.zz[j * q * q..][..q * q], &scales.lambda[s * q * q..][..q * q]);
        let half = &mut self.half[..q * q];
        // Λ is lower triangular; `half` first holds ZᵀZΛ.
        for a in 0..q {
            for k in 0..q {
                let mut sum = 0.0;
                for b in k..q {
                    sum += zz[a * q + b] * lambda[b * q + k];
                }
                half[a * q + k] = sum;
            }
        }
        for i in 0..q {
            for k in 0..=i {
                let mut sum = if i == k { 1.0 } else { 0.0 };
                for a in i..q {
                    sum += lambda[a * q + i] * half[a * q + k];
                }
                m[i * q + k] = sum;
            }
        }
        if cholesky(m, q).is_none() {
            m.fill(f64::NAN);
        }
        // Its rows are the columns of L⁻¹Λᵀ.
        half.copy_from_slice(lambda);
        for a in 0..q {
            solve_lower(m, q, &mut half[a * q..(a + 1) * q]);
        }
        for a in 0..q {
            for b in 0..q {
                let mut sum = 0.0;
                for k in 0..q {
                    sum += half[a * q + k] * half[b * q + k];
                }
                w[a * q + b] = sum;
            }
        }
    }

    /// What W does to the residuals and to the integrated columns.
    #[inline(always)]
    pub fn apply<const Q: usize>(&mut self, levels: &Levels, contrast: &[f64], j: usize) {
        let Levels { width, n_integrated: p, .. } = *levels;
        let q = if Q == ANY { levels.q } else { Q };
        let zb = &levels.zb[j * q * width..][..q * width];
        let (w, shift) = (&self.w[..q * q], &mut self.shift[..q]);
        shift.fill(0.0);
        for a in 0..q {
            let mut total = 0.0;
            for k in 0..width {
                total += zb[a * width + k] * contrast[k];
            }
            for b in 0..q {
                shift[b] += w[b * q + a] * total;
            }
            for k in 0..p {
                let mut sum = 0.0;
                for b in 0..q {
                    sum += w[a * q + b] * zb[b * width + k];
                }
                self.by_column[a * p + k] = sum;
            }
        }
    }
}
