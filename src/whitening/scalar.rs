//! One coefficient a level: the same in plain numbers.

use super::mean::MeanKept;
use super::{Kept, Whitening};

impl Whitening {
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(super) fn forward_scalar(
        &self,
        lambda: f64,
        mean: f64,
        c: &[f64],
        outer: &[f64],
        xi: &[f64],
        kept: &mut Kept,
        r: &mut [f64],
    ) -> f64 {
        let n = self.n_levels;
        self.drift_to(&[lambda], kept);
        self.set_h_scalar(mean, c, outer, kept);
        let Kept { h, k, e, v, mean: shared, drift: here, .. } = kept;
        let information = &here.information[..n];
        let (h, k) = (&h[..n], &mut k[..n]);
        let (e, v) = (&mut e[..n], &mut v[..n]);
        let (xi, r) = (&xi[..n], &mut r[..n]);
        let mut squares = 0.0;
        let mut sum = 0.0;
        for i in 0..n {
            k[i] = (1.0 + lambda * lambda * information[i]).sqrt();
            e[i] = lambda * h[i] / k[i];
            sum += k[i] * xi[i];
        }
        let (mut y, mut log_root) = (0.0, 0.0);
        if self.loose_mean {
            log_root = stretch_scalar(lambda, information, sum, shared);
            y = shared.y[0];
        }
        for i in 0..n {
            v[i] = (e[i] + xi[i]) / k[i] + y;
            squares += v[i] * v[i];
            r[i] = mean + lambda * v[i];
        }
        // One logarithm for many levels.
        let mut log_det = -log_root;
        for part in k.chunks(32) {
            let product: f64 = part.iter().product();
            log_det +=
                if product < f64::MAX { product.ln() } else { part.iter().map(|k| k.ln()).sum() };
        }
        -0.5 * squares - log_det
    }

    /// h of every level, and its information, as they follow the sd.
    #[inline(always)]
    fn set_h_scalar(&self, mean: f64, c: &[f64], outer: &[f64], kept: &mut Kept) {
        let n = self.n_levels;
        let (information, target) = (&self.information[..n], &self.target[..n]);
        let h = &mut kept.h[..n];
        for i in 0..n {
            h[i] = target[i] - information[i] * mean;
        }
        for (h, outer) in h.iter_mut().zip(outer) {
            *h -= outer;
        }
        // G is stored level by level; p is small.
        let p = self.p;
        if p > 0 {
            for (h, cross) in h.iter_mut().zip(self.cross.chunks_exact(p)) {
                *h -= cross.iter().zip(c).map(|(g, c)| g * c).sum::<f64>();
            }
        }
        if self.drift.is_some() {
            let here = &mut kept.drift;
            let (shift, factor) = (&here.shift[..n], &here.factor[..n]);
            let drifted = &mut here.information[..n];
            for i in 0..n {
                drifted[i] = information[i] * factor[i];
                h[i] = h[i] * factor[i] + shift[i];
            }
        }
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(super) fn backward_scalar(
        &self,
        lambda: f64,
        xi: &[f64],
        by_r: &[f64],
        kept: &mut Kept,
        by_lambda: &mut [f64],
        by_c: &mut [f64],
        by_xi: &mut [f64],
    ) {
        let (n, p) = (self.n_levels, self.p);
        let (by_r, by_xi, xi) = (&by_r[..n], &mut by_xi[..n], &xi[..n]);
        if self.loose_mean {
            let v = &kept.v[..n];
            kept.mean.by_y[0] = (0..n).map(|i| lambda * by_r[i] - v[i]).sum();
            self.stretch_back(&[lambda], kept, by_lambda);
        }
        let Kept { k, h, e, v, mean, drift: here, .. } = kept;
        let information = &here.information[..n];
        let by_mean = mean.by_information[0];
        let (k, h, e, v) = (&k[..n], &mut h[..n], &e[..n], &v[..n]);
        let (y, by_sum) = (mean.y[0], mean.by_sum[0]);
        let mut total = 0.0;
        for i in 0..n {
            let by_t = (lambda * by_r[i] - v[i]) / k[i];
            let by_s = by_t / k[i];
            let by_k = -(v[i] - y) * by_t - by_s * e[i] - 1.0 / k[i] + by_sum * xi[i];
            total += by_r[i] * v[i] + h[i] * by_s + by_k * lambda * information[i] / k[i];
            by_xi[i] = by_t + k[i] * by_sum;
            if self.drift.is_some() {
                let by_information = by_k * lambda * lambda / (2.0 * k[i]) + by_mean;
                let by_h = lambda * by_s;
                let by_log_factor = by_information * information[i] + by_h * (h[i] - here.shift[i]);
                here.by_place +=
                    by_log_factor * here.log_factor_slope[i] + by_h * here.shift_slope[i];
                h[i] = by_h * here.factor[i];
            } else {
                h[i] = lambda * by_s;
            }
        }
        by_lambda[0] += total;
        self.drift_back(&[lambda], here, by_lambda);
        if p > 0 {
            for (by_h, cross) in h.iter().zip(self.cross.chunks_exact(p)) {
                for (by_c, g) in by_c.iter_mut().zip(cross) {
                    *by_c -= g * by_h;
                }
            }
        }
    }
}

/// y from `sum`, Σ K ξ; returns log|R|.
#[inline(always)]
fn stretch_scalar(lambda: f64, information: &[f64], sum: f64, kept: &mut MeanKept) -> f64 {
    let n = information.len() as f64;
    kept.information[0] = information.iter().sum::<f64>() / n;
    let root_levels = n.sqrt();
    let root = (1.0 + lambda * lambda * kept.information[0]).sqrt();
    let z = sum / (root_levels * root);
    let y = (z - z / root) / root_levels;
    (kept.root[0], kept.z[0], kept.x[0], kept.y[0]) = (root, z, z / root, y);
    root.ln()
}
