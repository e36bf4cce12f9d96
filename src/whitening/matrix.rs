//! Several coefficients a level: small matrices.

use super::{Kept, Whitening};
use crate::linalg::{cholesky, cholesky_slope, solve_lower, solve_lower_transposed};

/// Working storage for one level.
#[derive(Clone, Debug, Default)]
pub(super) struct Scratch {
    /// HΛ, H with its factor.
    product: Vec<f64>,
    by_k: Vec<f64>,
    inner: Vec<f64>,
    /// Slope by ΛᵀHΛ.
    by_s: Vec<f64>,
    by_v: Vec<f64>,
    by_e: Vec<f64>,
}

impl Scratch {
    pub fn new(q: usize) -> Self {
        let square = || vec![0.0; q * q];
        Self {
            product: square(),
            by_k: square(),
            inner: square(),
            by_s: square(),
            by_v: vec![0.0; q],
            by_e: vec![0.0; q],
        }
    }
}

impl Whitening {
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(super) fn forward_of(
        &self,
        q: usize,
        lambda: &[f64],
        mean: &[f64],
        c: &[f64],
        outer: &[f64],
        xi: &[f64],
        kept: &mut Kept,
        r: &mut [f64],
    ) -> Option<f64> {
        self.drift_to(lambda, kept);
        let (lambda, mean) = (&lambda[..q * q], &mean[..q]);
        let (mut squares, mut log_det) = (0.0, 0.0);
        for level in 0..self.n_levels {
            self.set_h(q, level, mean, c, outer, kept);
            log_det += self.condition(q, level, lambda, kept)?;
        }
        if self.loose_mean {
            log_det -= self.stretch(lambda, xi, kept)?;
        }
        for level in 0..self.n_levels {
            let at = level * q..(level + 1) * q;
            let (k, e, v) = (&kept.k[level * q * q..][..q * q], &kept.e, &mut kept.v[at.clone()]);
            for i in 0..q {
                v[i] = e[at.start + i] + xi[at.start + i];
            }
            solve_lower_transposed(k, q, v);
            for (v, y) in v.iter_mut().zip(&kept.mean.y) {
                *v += y;
            }
            squares += v.iter().map(|v| v * v).sum::<f64>();
            for i in 0..q {
                let deviation: f64 = (0..q).map(|a| lambda[i * q + a] * v[a]).sum();
                r[at.start + i] = mean[i] + deviation;
            }
        }
        Some(-0.5 * squares - log_det)
    }

    /// h of a level, as it follows the sds.
    #[inline(always)]
    fn set_h(
        &self,
        q: usize,
        level: usize,
        mean: &[f64],
        c: &[f64],
        outer: &[f64],
        kept: &mut Kept,
    ) {
        let p = self.p;
        let information = &self.information[level * q * q..][..q * q];
        let cross = &self.cross[level * q * p..][..q * p];
        let at = level * q..(level + 1) * q;
        let h = &mut kept.h[at.clone()];
        h.copy_from_slice(&self.target[at.clone()]);
        for i in 0..q {
            h[i] -= outer.get(level * q + i).unwrap_or(&0.0);
            for j in 0..q {
                h[i] -= information[i * q + j] * mean[j];
            }
            for j in 0..p {
                h[i] -= cross[i * p + j] * c[j];
            }
        }
        if self.drift.is_some() {
            let factor = kept.drift.factor[level];
            for (h, shift) in h.iter_mut().zip(&kept.drift.shift[at]) {
                *h = *h * factor + shift;
            }
        }
    }

    /// HΛ of a level, H with its `factor`.
    #[inline(always)]
    fn times_lambda(
        &self,
        q: usize,
        level: usize,
        lambda: &[f64],
        factor: f64,
        product: &mut [f64],
    ) {
        let information = &self.information[level * q * q..][..q * q];
        for i in 0..q {
            for j in 0..q {
                let own: f64 = (0..q).map(|a| information[i * q + a] * lambda[a * q + j]).sum();
                product[i * q + j] = factor * own;
            }
        }
    }

    /// K of a level and `e = K⁻¹Λᵀh`; returns log|K|.
    #[inline(always)]
    fn condition(&self, q: usize, level: usize, lambda: &[f64], kept: &mut Kept) -> Option<f64> {
        let at = level * q..(level + 1) * q;
        let product = &mut kept.small.product[..q * q];
        self.times_lambda(q, level, lambda, kept.drift.factor[level], product);
        let k = &mut kept.k[level * q * q..][..q * q];
        for i in 0..q {
            for j in 0..=i {
                let s: f64 = (0..q).map(|a| lambda[a * q + i] * product[a * q + j]).sum();
                k[i * q + j] = s + f64::from(u8::from(i == j));
            }
        }
        let log_det = 0.5 * cholesky(k, q)?;
        let (h, e) = (&kept.h[at.clone()], &mut kept.e[at]);
        for i in 0..q {
            e[i] = (0..q).map(|a| lambda[a * q + i] * h[a]).sum();
        }
        solve_lower(k, q, e);
        Some(log_det)
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(super) fn backward_of(
        &self,
        q: usize,
        lambda: &[f64],
        xi: &[f64],
        by_r: &[f64],
        kept: &mut Kept,
        by_lambda: &mut [f64],
        by_c: &mut [f64],
        by_xi: &mut [f64],
    ) {
        let p = self.p;
        let (lambda, by_lambda) = (&lambda[..q * q], &mut by_lambda[..q * q]);
        // Slopes by v, kept where those by ξ will be.
        kept.mean.by_y.fill(0.0);
        for (level, (a, by_v)) in by_r.chunks_exact(q).zip(by_xi.chunks_exact_mut(q)).enumerate() {
            for i in 0..q {
                let through: f64 = (0..q).map(|j| lambda[j * q + i] * a[j]).sum();
                by_v[i] = through - kept.v[level * q + i];
                kept.mean.by_y[i] += by_v[i];
            }
        }
        if self.loose_mean {
            self.stretch_back(lambda, kept, by_lambda);
        }
        for level in 0..self.n_levels {
            let at = level * q..(level + 1) * q;
            condition_back(q, level, &xi[at.clone()], kept, &mut by_xi[at.clone()]);
            self.lambda_back(q, level, lambda, &by_r[at.clone()], kept, by_lambda);
            if self.drift.is_some() {
                self.level_drift_back(q, level, lambda, kept);
            }
            // From here on h makes room for its slopes.
            let (factor, by_e) = (kept.drift.factor[level], &kept.small.by_e[..q]);
            let h = &mut kept.h[at];
            for i in 0..q {
                h[i] = factor * (0..q).map(|b| lambda[i * q + b] * by_e[b]).sum::<f64>();
            }
            let by_h = &*h;
            let cross = &self.cross[level * q * p..][..q * p];
            for i in 0..q {
                for j in 0..p {
                    by_c[j] -= cross[i * p + j] * by_h[i];
                }
            }
        }
        self.drift_back(lambda, &kept.drift, by_lambda);
    }

    /// Slopes by Λ, which enters through r = Λv, s = Λᵀh and ΛᵀHΛ; `a` is the slope by r.
    #[inline(always)]
    fn lambda_back(
        &self,
        q: usize,
        level: usize,
        lambda: &[f64],
        a: &[f64],
        kept: &mut Kept,
        by_lambda: &mut [f64],
    ) {
        let at = level * q..(level + 1) * q;
        let (h, v) = (&kept.h[at.clone()], &kept.v[at]);
        let Scratch { product, by_s, by_e, .. } = &mut kept.small;
        self.times_lambda(q, level, lambda, kept.drift.factor[level], product);
        for i in 0..q {
            for j in 0..q {
                let through: f64 = (0..q).map(|b| product[i * q + b] * by_s[b * q + j]).sum();
                by_lambda[i * q + j] += a[i] * v[j] + h[i] * by_e[j] + 2.0 * through;
            }
        }
    }

    /// The slope by the place of Λ that comes through the factor of H and the shift of h.
    #[inline(always)]
    fn level_drift_back(&self, q: usize, level: usize, lambda: &[f64], kept: &mut Kept) {
        let Kept { h, mean, drift: here, small, .. } = kept;
        let Scratch { product, by_s, by_e, .. } = small;
        let information = &self.information[level * q * q..][..q * q];
        let (factor, h) = (here.factor[level], &h[level * q..][..q]);
        let mut by_log = 0.0;
        for i in 0..q {
            for j in 0..q {
                // tr(by_S ΛᵀHΛ), H with its factor.
                let inner: f64 = (0..q).map(|a| lambda[a * q + i] * product[a * q + j]).sum();
                let through = mean.by_information[i * q + j] * factor;
                by_log += by_s[i * q + j] * inner + through * information[i * q + j];
            }
        }
        for i in 0..q {
            let by_h: f64 = (0..q).map(|b| lambda[i * q + b] * by_e[b]).sum();
            by_log += by_h * (h[i] - here.shift[level * q + i]);
            here.by_place += by_h * here.shift_slope[level * q + i];
        }
        here.by_place += by_log * here.log_factor_slope[level];
    }
}

/// Slopes by what K and e of a level are made of, and by ξ; `by_xi` holds those by v before.
#[inline(always)]
fn condition_back(q: usize, level: usize, xi: &[f64], kept: &mut Kept, by_xi: &mut [f64]) {
    let at = level * q..(level + 1) * q;
    let (k, e) = (&kept.k[level * q * q..][..q * q], &kept.e[at.clone()]);
    let (v, mean) = (&kept.v[at], &kept.mean);
    let Scratch { by_k, inner, by_s, by_v, by_e, .. } = &mut kept.small;
    by_v.copy_from_slice(by_xi);
    solve_lower(k, q, by_v);
    for j in 0..q {
        let shifted: f64 = (j..q).map(|i| k[i * q + j] * mean.by_sum[i]).sum();
        by_xi[j] = by_v[j] + shifted;
    }
    let by_t = &*by_v;
    by_e.copy_from_slice(by_t);
    solve_lower_transposed(k, q, by_e);
    for i in 0..q {
        for j in 0..=i {
            by_k[i * q + j] =
                -(v[i] - mean.y[i]) * by_t[j] - by_e[i] * e[j] + mean.by_sum[i] * xi[j];
        }
        by_k[i * q + i] -= 1.0 / k[i * q + i];
    }
    cholesky_slope(k, by_k, q, inner, by_s);
}
