//! Coordinates in which group coefficients are nearly standard normal, whatever the sds.
//!
//! Centred coefficients make a funnel where data are few, non-centred ones where they are many. Here
//! neither is chosen: a pilot fit gives, for each level, the information H of its rows, a target g
//! and its dependence G on the population coefficients c, such that the likelihood of the level is
//! roughly `exp(rᵀ(g − G c) − ½ rᵀH r)`. Under that approximation the conditional of r given the rest
//! is normal, and ξ are its standardised coordinates:
//!
//! `KKᵀ = I + ΛᵀHΛ`, `h = g − G c − H m`, `Kᵀv = K⁻¹Λᵀh + ξ`, `r = m + Λ v`.
//!
//! The map is exact for any H, g, G (they only decide how well it works). Few rows: K ≈ I, so
//! `r = Λξ` is non-centred. Many rows: `Λv ≈ H⁻¹h + H^{−½}ξ` is centred, b included. The prior and the
//! Jacobian together are `−½‖v‖² − log|K|`: nothing is divided by Λ, so an sd may be 0.
//!
//! Where levels are nested in those of another factor (classes in schools), h also loses `X r′`, the
//! part that the outer level explains; the outer factor's H and G are then those that remain once
//! the inner coefficients are integrated out.
//!
//! Where several factors could each take up a shift of all levels (their means and b are then hardly
//! told apart), b stands for the sum of b and those means, and the mean of r is left to its prior:
//! ξ is stretched along the q directions that shift all levels alike, from the width that the rows
//! give to Λ/√J. With `RRᵀ = I + ΛᵀH̄Λ`, `z = R⁻¹ Σ K ξ/√J` and `y = (z − R⁻ᵀz)/√J`, that adds y to
//! every v, and `log|R|` to the Jacobian.
//!
//! The slopes are those of reverse-mode differentiation, Cholesky included (Murray 2016, §3).

use crate::linalg::{cholesky, solve_lower, solve_lower_transposed};

/// What the pilot knows of each level.
#[derive(Clone, Debug, Default)]
pub struct Whitening {
    pub q: usize,
    /// Population coefficients.
    pub p: usize,
    pub n_levels: usize,
    /// Per level, by rows: H (q × q), g (q), G (q × p).
    pub information: Vec<f64>,
    pub target: Vec<f64>,
    pub cross: Vec<f64>,
    /// Factors that each level lies in, the nearest first.
    pub ancestors: Vec<Ancestor>,
    /// Whether the mean of r is left to its prior.
    pub loose_mean: bool,
}

/// How a factor's levels depend on the coefficients of a factor that they are nested in.
#[derive(Clone, Debug)]
pub struct Ancestor {
    /// Which factor of the same linear predictor.
    pub factor: usize,
    /// Its number of coefficients.
    pub q: usize,
    /// The level of it that each level lies in.
    pub levels: Vec<u32>,
    /// Per level, by rows: the shared information X (own q × its q).
    pub cross: Vec<f64>,
}

/// What one evaluation keeps of each level for its slopes.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    k: Vec<f64>,
    h: Vec<f64>,
    e: Vec<f64>,
    v: Vec<f64>,
    small: Vec<f64>,
    mean: MeanKept,
}

impl Kept {
    /// Slopes by h, once slopes have been pulled back.
    pub fn by_target(&self) -> &[f64] {
        &self.h
    }
}

/// What the stretching along the mean keeps.
#[derive(Clone, Debug, Default)]
struct MeanKept {
    /// Mean information, H̄.
    information: Vec<f64>,
    root: Vec<f64>,
    z: Vec<f64>,
    /// R⁻ᵀz
    x: Vec<f64>,
    y: Vec<f64>,
    by_y: Vec<f64>,
    by_sum: Vec<f64>,
}

impl Whitening {
    /// Without information: plainly non-centred.
    pub fn none(q: usize, p: usize, n_levels: usize) -> Self {
        Self {
            q,
            p,
            n_levels,
            information: vec![0.0; n_levels * q * q],
            target: vec![0.0; n_levels * q],
            cross: vec![0.0; n_levels * q * p],
            ancestors: Vec::new(),
            loose_mean: false,
        }
    }

    pub fn storage(&self) -> Kept {
        let (j, q) = (self.n_levels, self.q);
        Kept {
            k: vec![0.0; j * q * q],
            h: vec![0.0; j * q],
            e: vec![0.0; j * q],
            v: vec![0.0; j * q],
            small: vec![0.0; 5 * q * q + 4 * q],
            mean: MeanKept {
                information: (0..q * q)
                    .map(|k| {
                        let each = self.information.iter().skip(k).step_by(q * q);
                        each.sum::<f64>() / j as f64
                    })
                    .collect(),
                root: vec![0.0; q * q],
                z: vec![0.0; q],
                x: vec![0.0; q],
                y: vec![0.0; q],
                by_y: vec![0.0; q],
                by_sum: vec![0.0; q],
            },
        }
    }

    /// Coefficients r of every level from ξ; returns prior and Jacobian, or `None` where K fails.
    ///
    /// `outer` is what nesting factors take from h: `X r′` level by level, or nothing.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub fn forward(
        &self,
        lambda: &[f64],
        mean: &[f64],
        c: &[f64],
        outer: &[f64],
        xi: &[f64],
        kept: &mut Kept,
        r: &mut [f64],
    ) -> Option<f64> {
        match self.q {
            1 => Some(self.forward_scalar(lambda[0], mean[0], c, outer, xi, kept, r)),
            // A number that the compiler knows lets it unroll the loops.
            2 => self.forward_of(2, lambda, mean, c, outer, xi, kept, r),
            3 => self.forward_of(3, lambda, mean, c, outer, xi, kept, r),
            q => self.forward_of(q, lambda, mean, c, outer, xi, kept, r),
        }
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn forward_of(
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
            let k = &mut kept.k[level * q * q..][..q * q];
            for i in 0..q {
                for j in 0..q {
                    product[i * q + j] =
                        (0..q).map(|a| information[i * q + a] * lambda[a * q + j]).sum();
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

    /// Find y; returns log|R|.
    fn stretch(&self, lambda: &[f64], xi: &[f64], kept: &mut Kept) -> Option<f64> {
        let q = self.q;
        let (mean, k) = (&mut kept.mean, &kept.k);
        let root_levels = (self.n_levels as f64).sqrt();
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
    fn stretch_back(&self, lambda: &[f64], kept: &mut Kept, by_lambda: &mut [f64]) {
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
        mean.by_sum.iter_mut().for_each(|s| *s /= root_levels);
    }

    /// Pull slopes by r back to slopes by Λ, c and ξ. All but `by_xi` are added to.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub fn backward(
        &self,
        lambda: &[f64],
        xi: &[f64],
        by_r: &[f64],
        kept: &mut Kept,
        by_lambda: &mut [f64],
        by_c: &mut [f64],
        by_xi: &mut [f64],
    ) {
        match self.q {
            1 => self.backward_scalar(lambda[0], xi, by_r, kept, by_lambda, by_c, by_xi),
            2 => self.backward_of(2, lambda, xi, by_r, kept, by_lambda, by_c, by_xi),
            3 => self.backward_of(3, lambda, xi, by_r, kept, by_lambda, by_c, by_xi),
            q => self.backward_of(q, lambda, xi, by_r, kept, by_lambda, by_c, by_xi),
        }
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn backward_of(
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
        let Kept { k, h, e, v, small, mean } = kept;
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
            for i in 0..q {
                for j in 0..q {
                    product[i * q + j] =
                        (0..q).map(|a| information[i * q + a] * lambda[a * q + j]).sum();
                }
            }
            for i in 0..q {
                for j in 0..q {
                    let through: f64 = (0..q).map(|b| product[i * q + b] * by_s[b * q + j]).sum();
                    by_lambda[i * q + j] += a[i] * v[j] + h[i] * by_e[j] + 2.0 * through;
                }
            }
            for i in 0..q {
                h[i] = (0..q).map(|b| lambda[i * q + b] * by_e[b]).sum();
            }
            let by_h = &*h;
            let cross = &self.cross[level * q * p..][..q * p];
            for i in 0..q {
                for j in 0..p {
                    by_c[j] -= cross[i * p + j] * by_h[i];
                }
            }
        }
    }

    /// One coefficient a level: the same in plain numbers.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn forward_scalar(
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
        let (information, target) = (&self.information[..n], &self.target[..n]);
        let (h, k) = (&mut kept.h[..n], &mut kept.k[..n]);
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
        let (e, v) = (&mut kept.e[..n], &mut kept.v[..n]);
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
            let kept = &mut kept.mean;
            let root_levels = (n as f64).sqrt();
            let root = (1.0 + lambda * lambda * kept.information[0]).sqrt();
            let z = sum / (root_levels * root);
            y = (z - z / root) / root_levels;
            log_root = root.ln();
            (kept.root[0], kept.z[0], kept.x[0], kept.y[0]) = (root, z, z / root, y);
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

    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn backward_scalar(
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
        let (information, by_r, by_xi) = (&self.information[..n], &by_r[..n], &mut by_xi[..n]);
        let xi = &xi[..n];
        if self.loose_mean {
            let v = &kept.v[..n];
            kept.mean.by_y[0] = (0..n).map(|i| lambda * by_r[i] - v[i]).sum();
            self.stretch_back(&[lambda], kept, by_lambda);
        }
        let Kept { k, h, e, v, mean, .. } = kept;
        let (k, h, e, v) = (&k[..n], &mut h[..n], &e[..n], &v[..n]);
        let (y, by_sum) = (mean.y[0], mean.by_sum[0]);
        let mut total = 0.0;
        for i in 0..n {
            let by_t = (lambda * by_r[i] - v[i]) / k[i];
            let by_s = by_t / k[i];
            let by_k = -(v[i] - y) * by_t - by_s * e[i] - 1.0 / k[i] + by_sum * xi[i];
            total += by_r[i] * v[i] + h[i] * by_s + by_k * lambda * information[i] / k[i];
            by_xi[i] = by_t + k[i] * by_sum;
            h[i] = lambda * by_s;
        }
        by_lambda[0] += total;
        if p > 0 {
            for (by_h, cross) in h.iter().zip(self.cross.chunks_exact(p)) {
                for (by_c, g) in by_c.iter_mut().zip(cross) {
                    *by_c -= g * by_h;
                }
            }
        }
    }
}

/// Slope by S of a function of K, the Cholesky factor of S: symmetric, so that `dℓ = tr(by_s dS)`.
#[inline(always)]
fn cholesky_slope(k: &[f64], by_k: &[f64], q: usize, inner: &mut [f64], by_s: &mut [f64]) {
    // With P the lower triangle of KᵀK̄, its diagonal halved: ½ K⁻ᵀ(P + Pᵀ)K⁻¹.
    for i in 0..q {
        for j in 0..=i {
            let s: f64 = (i..q).map(|a| k[a * q + i] * by_k[a * q + j]).sum();
            inner[i * q + j] = 0.5 * s;
            inner[j * q + i] = 0.5 * s;
        }
    }
    // The middle is symmetric: solve Kᵀ from the left, column by column, twice.
    for _ in 0..2 {
        for column in 0..q {
            for i in (0..q).rev() {
                let mut s = inner[i * q + column];
                for a in i + 1..q {
                    s -= k[a * q + i] * by_s[a * q + column];
                }
                by_s[i * q + column] = s / k[i * q + i];
            }
        }
        for i in 0..q {
            for j in 0..q {
                inner[i * q + j] = by_s[j * q + i];
            }
        }
    }
    by_s.copy_from_slice(inner);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(q: usize, p: usize) -> (Whitening, Vec<f64>, Vec<f64>) {
        let n_levels = 3;
        let wave = |i: usize| (1.3 * i as f64 + 0.2).sin();
        let mut whitening = Whitening::none(q, p, n_levels);
        for level in 0..n_levels {
            for i in 0..q {
                for j in 0..q {
                    // A Gram matrix of two vectors and a diagonal.
                    let gram = wave(level + i) * wave(level + j) + wave(i) * wave(j);
                    let diagonal = if i == j { 0.5 * level as f64 } else { 0.0 };
                    whitening.information[(level * q + i) * q + j] = gram + diagonal;
                }
                whitening.target[level * q + i] = wave(7 * level + i);
            }
            for k in 0..q * p {
                whitening.cross[level * q * p + k] = wave(11 * level + k);
            }
        }
        let mut lambda = vec![0.0; q * q];
        for i in 0..q {
            for j in 0..=i {
                lambda[i * q + j] = if i == j { 0.7 + 0.2 * i as f64 } else { -0.3 };
            }
        }
        let xi = (0..n_levels * q).map(|i| wave(3 * i + 1)).collect();
        (whitening, lambda, xi)
    }

    /// Prior, Jacobian, and a smooth function of r.
    fn value(w: &Whitening, lambda: &[f64], c: &[f64], xi: &[f64]) -> f64 {
        let (mut kept, mut r) = (w.storage(), vec![0.0; xi.len()]);
        let mean: Vec<f64> = (0..w.q).map(|i| 0.4 - i as f64).collect();
        let logp = w.forward(lambda, &mean, c, &[], xi, &mut kept, &mut r).unwrap();
        logp + r.iter().enumerate().map(|(i, r)| (r + i as f64).sin()).sum::<f64>()
    }

    #[test]
    fn slopes_agree_with_finite_differences() {
        let sizes = [(1, 0), (1, 2), (2, 3), (3, 1)];
        for ((q, p), loose_mean) in sizes.into_iter().flat_map(|s| [(s, false), (s, true)]) {
            let (mut w, lambda, xi) = example(q, p);
            w.loose_mean = loose_mean;
            let c: Vec<f64> = (0..p).map(|k| 0.3 - 0.4 * k as f64).collect();
            let (mut kept, mut r) = (w.storage(), vec![0.0; xi.len()]);
            let mean: Vec<f64> = (0..q).map(|i| 0.4 - i as f64).collect();
            w.forward(&lambda, &mean, &c, &[], &xi, &mut kept, &mut r).unwrap();
            let by_r: Vec<f64> = r.iter().enumerate().map(|(i, r)| (r + i as f64).cos()).collect();
            let (mut by_lambda, mut by_c) = (vec![0.0; q * q], vec![0.0; p]);
            let mut by_xi = vec![0.0; xi.len()];
            w.backward(&lambda, &xi, &by_r, &mut kept, &mut by_lambda, &mut by_c, &mut by_xi);
            let step = 1e-5;
            let slope = |f: &dyn Fn(f64) -> f64| (f(step) - f(-step)) / (2.0 * step);
            let bump = |x: &[f64], k: usize, by: f64| {
                let mut x = x.to_vec();
                x[k] += by;
                x
            };
            for k in 0..q * q {
                if k % q > k / q {
                    continue; // above the diagonal
                }
                let found = slope(&|by| value(&w, &bump(&lambda, k, by), &c, &xi));
                assert!((found - by_lambda[k]).abs() < 1e-8, "Λ {q} {k}: {found} {by_lambda:?}");
            }
            for k in 0..p {
                let found = slope(&|by| value(&w, &lambda, &bump(&c, k, by), &xi));
                assert!((found - by_c[k]).abs() < 1e-8, "c {q} {k}: {found} {by_c:?}");
            }
            for k in 0..xi.len() {
                let found = slope(&|by| value(&w, &lambda, &c, &bump(&xi, k, by)));
                assert!((found - by_xi[k]).abs() < 1e-8, "ξ {q} {k}: {found} {by_xi:?}");
            }
        }
    }

    #[test]
    fn the_jacobian_is_that_of_the_map() {
        // log p(r) + log |dr/dξ| for r ~ N(m, ΛΛᵀ), all levels at once, by finite differences.
        for loose_mean in [false, true] {
            let (mut w, lambda, xi) = example(2, 1);
            w.loose_mean = loose_mean;
            let (mean, c, step) = ([0.4, -0.6], [0.3], 1e-6);
            let at = |xi: &[f64]| {
                let (mut kept, mut r) = (w.storage(), vec![0.0; xi.len()]);
                let logp = w.forward(&lambda, &mean, &c, &[], xi, &mut kept, &mut r).unwrap();
                (logp, r)
            };
            let (logp, r) = at(&xi);
            let n = xi.len();
            let mut jacobian = vec![0.0; n * n];
            for k in 0..n {
                let (mut up, mut down) = (xi.clone(), xi.clone());
                up[k] += step;
                down[k] -= step;
                let (up, down) = (at(&up).1, at(&down).1);
                for i in 0..n {
                    jacobian[i * n + k] = (up[i] - down[i]) / (2.0 * step);
                }
            }
            // log |J| = ½ log |JJᵀ|
            let mut square = vec![0.0; n * n];
            for i in 0..n {
                for j in 0..n {
                    square[i * n + j] =
                        (0..n).map(|k| jacobian[i * n + k] * jacobian[j * n + k]).sum();
                }
            }
            let mut expected = 0.5 * cholesky(&mut square, n).unwrap();
            for level in 0..w.n_levels {
                let mut z = [r[level * 2] - mean[0], r[level * 2 + 1] - mean[1]];
                solve_lower(&lambda, 2, &mut z);
                expected -= (lambda[0] * lambda[3]).ln() + 0.5 * (z[0] * z[0] + z[1] * z[1]);
            }
            assert!((logp - expected).abs() < 1e-7, "{logp} {expected}");
        }
    }
}
