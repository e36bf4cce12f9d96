//! Several coefficients a level: small matrices.

use super::{Kept, Whitening};
use crate::linalg::{cholesky, cholesky_slope, solve_lower, solve_lower_transposed};

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
        let p = self.p;
        self.drift_to(lambda, kept);
        let (lambda, mean) = (&lambda[..q * q], &mean[..q]);
        let (mut squares, mut log_det) = (0.0, 0.0);
        let product = &mut kept.small[..q * q];
        for level in 0..self.n_levels {
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
            let factor = kept.drift.factor[level];
            if self.drift.is_some() {
                for (h, shift) in h.iter_mut().zip(&kept.drift.shift[at.clone()]) {
                    *h = *h * factor + shift;
                }
            }
            let k = &mut kept.k[level * q * q..][..q * q];
            for i in 0..q {
                for j in 0..q {
                    let own: f64 = (0..q).map(|a| information[i * q + a] * lambda[a * q + j]).sum();
                    product[i * q + j] = factor * own;
                }
            }
            for i in 0..q {
                for j in 0..=i {
                    let s: f64 = (0..q).map(|a| lambda[a * q + i] * product[a * q + j]).sum();
                    k[i * q + j] = s + f64::from(u8::from(i == j));
                }
            }
            log_det += 0.5 * cholesky(k, q)?;
            let e = &mut kept.e[at.clone()];
            for i in 0..q {
                e[i] = (0..q).map(|a| lambda[a * q + i] * h[a]).sum();
            }
            solve_lower(k, q, e);
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
        let Kept { k, h, e, v, small, mean, drift: here } = kept;
        // From here on h makes room for its slopes, level by level.
        let (product, small) = small.split_at_mut(q * q);
        let (by_k, small) = small.split_at_mut(q * q);
        let (inner, small) = small.split_at_mut(q * q);
        let (by_s, small) = small.split_at_mut(q * q);
        let (by_v, small) = small.split_at_mut(q);
        let (by_e, _) = small.split_at_mut(q);
        for level in 0..self.n_levels {
            let at = level * q..(level + 1) * q;
            let (h, e, v) = (&mut h[at.clone()], &e[at.clone()], &v[at.clone()]);
            let (k, a) = (&k[level * q * q..][..q * q], &by_r[at.clone()]);
            let (xi, by_xi) = (&xi[at.clone()], &mut by_xi[at.clone()]);
            by_v.copy_from_slice(by_xi);
            solve_lower(k, q, by_v);
            for j in 0..q {
                let shifted: f64 = (j..q).map(|i| k[i * q + j] * mean.by_sum[i]).sum();
                by_xi[j] = by_v[j] + shifted;
            }
            let by_t = &*by_v;
            by_e[..q].copy_from_slice(by_t);
            solve_lower_transposed(k, q, &mut by_e[..q]);
            for i in 0..q {
                for j in 0..=i {
                    by_k[i * q + j] =
                        -(v[i] - mean.y[i]) * by_t[j] - by_e[i] * e[j] + mean.by_sum[i] * xi[j];
                }
                by_k[i * q + i] -= 1.0 / k[i * q + i];
            }
            cholesky_slope(k, by_k, q, inner, by_s);
            // Λ enters through r = Λv, s = Λᵀh and ΛᵀHΛ.
            let information = &self.information[level * q * q..][..q * q];
            let factor = here.factor[level];
            for i in 0..q {
                for j in 0..q {
                    let own: f64 = (0..q).map(|a| information[i * q + a] * lambda[a * q + j]).sum();
                    product[i * q + j] = factor * own;
                }
            }
            for i in 0..q {
                for j in 0..q {
                    let through: f64 = (0..q).map(|b| product[i * q + b] * by_s[b * q + j]).sum();
                    by_lambda[i * q + j] += a[i] * v[j] + h[i] * by_e[j] + 2.0 * through;
                }
            }
            if self.drift.is_some() {
                let mut by_log = 0.0;
                for i in 0..q {
                    for j in 0..q {
                        // tr(by_S ΛᵀHΛ), H with its factor.
                        let inner: f64 =
                            (0..q).map(|a| lambda[a * q + i] * product[a * q + j]).sum();
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
        self.drift_back(lambda, here, by_lambda);
    }
}
