//! Where the mean of r is left to its prior: ξ stretched along the shifts of all levels.

use super::{Kept, Whitening};
use crate::linalg::{cholesky, cholesky_slope, solve_lower, solve_lower_transposed};

/// What the stretching along the mean keeps.
#[derive(Clone, Debug, Default)]
pub(super) struct MeanKept {
    /// Mean information, H̄.
    pub information: Vec<f64>,
    pub root: Vec<f64>,
    pub z: Vec<f64>,
    /// R⁻ᵀz
    pub x: Vec<f64>,
    pub y: Vec<f64>,
    pub by_y: Vec<f64>,
    pub by_sum: Vec<f64>,
    /// Slope by each level's H that comes through H̄.
    pub by_information: Vec<f64>,
}

impl MeanKept {
    pub fn new(whitening: &Whitening) -> Self {
        let q = whitening.q;
        let mean = |k: usize| {
            let each = whitening.information.iter().skip(k).step_by(q * q);
            each.sum::<f64>() / whitening.n_levels as f64
        };
        Self {
            information: (0..q * q).map(mean).collect(),
            root: vec![0.0; q * q],
            z: vec![0.0; q],
            x: vec![0.0; q],
            y: vec![0.0; q],
            by_y: vec![0.0; q],
            by_sum: vec![0.0; q],
            by_information: vec![0.0; q * q],
        }
    }
}

impl Whitening {
    /// Find y; returns log|R|.
    pub(super) fn stretch(&self, lambda: &[f64], xi: &[f64], kept: &mut Kept) -> Option<f64> {
        let (q, levels) = (self.q, self.n_levels as f64);
        let (mean, k) = (&mut kept.mean, &kept.k);
        let root_levels = levels.sqrt();
        if self.drift.is_some() {
            mean.information.fill(0.0);
            let each = self.information.chunks_exact(q * q).zip(&kept.drift.factor);
            for (information, factor) in each {
                for (mean, own) in mean.information.iter_mut().zip(information) {
                    *mean += own * factor / levels;
                }
            }
        }
        for i in 0..q {
            for j in 0..=i {
                let mut s = f64::from(u8::from(i == j));
                for a in 0..q {
                    for b in 0..q {
                        s += lambda[a * q + i] * mean.information[a * q + b] * lambda[b * q + j];
                    }
                }
                mean.root[i * q + j] = s;
            }
        }
        let log_det = 0.5 * cholesky(&mut mean.root, q)?;
        mean.z.fill(0.0);
        for (k, xi) in k.chunks_exact(q * q).zip(xi.chunks_exact(q)) {
            for i in 0..q {
                mean.z[i] += (0..=i).map(|j| k[i * q + j] * xi[j]).sum::<f64>();
            }
        }
        mean.z.iter_mut().for_each(|z| *z /= root_levels);
        solve_lower(&mean.root, q, &mut mean.z);
        mean.x.copy_from_slice(&mean.z);
        solve_lower_transposed(&mean.root, q, &mut mean.x);
        for i in 0..q {
            mean.y[i] = (mean.z[i] - mean.x[i]) / root_levels;
        }
        Some(log_det)
    }

    /// Slopes of the stretching from the slope by y: adds to those by Λ, leaves the slope by Σ K ξ.
    pub(super) fn stretch_back(&self, lambda: &[f64], kept: &mut Kept, by_lambda: &mut [f64]) {
        let q = self.q;
        let root_levels = (self.n_levels as f64).sqrt();
        let mean = &mut kept.mean;
        let mut by_x: Vec<f64> = mean.by_y.iter().map(|y| -y / root_levels).collect();
        solve_lower(&mean.root, q, &mut by_x);
        let mut by_root = vec![0.0; q * q];
        for i in 0..q {
            mean.by_sum[i] = mean.by_y[i] / root_levels + by_x[i];
        }
        solve_lower_transposed(&mean.root, q, &mut mean.by_sum);
        for i in 0..q {
            for j in 0..=i {
                by_root[i * q + j] = -mean.x[i] * by_x[j] - mean.by_sum[i] * mean.z[j];
            }
            by_root[i * q + i] += 1.0 / mean.root[i * q + i];
        }
        let (mut inner, mut by_s) = (vec![0.0; q * q], vec![0.0; q * q]);
        cholesky_slope(&mean.root, &by_root, q, &mut inner, &mut by_s);
        for i in 0..q {
            for j in 0..q {
                for a in 0..q {
                    for b in 0..q {
                        by_lambda[i * q + j] +=
                            2.0 * mean.information[i * q + a] * lambda[a * q + b] * by_s[b * q + j];
                    }
                }
            }
        }
        let levels = self.n_levels as f64;
        for i in 0..q {
            for j in 0..q {
                let pairs = (0..q).flat_map(|a| (0..q).map(move |b| (a, b)));
                let through =
                    pairs.map(|(a, b)| lambda[i * q + a] * by_s[a * q + b] * lambda[j * q + b]);
                mean.by_information[i * q + j] = through.sum::<f64>() / levels;
            }
        }
        mean.by_sum.iter_mut().for_each(|s| *s /= root_levels);
    }
}
