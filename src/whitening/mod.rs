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
//! Responses of few rows are far from normal: a mother of one child whom the data say to have y = 1
//! may have any coefficient above some value, and H falls as the sd grows. With J such levels and a
//! constant H the volume of ξ, and so the energy, would change by a multiple of J with the sd. So H
//! and h follow Λ ([`Drift`]): with τ² = tr(Σ₀⁻¹ΛΛᵀ)/q at the pilot's Σ₀, H, G and X of each level are
//! multiplied by a function of τ, and h gains another, both splines.
//!
//! Where several factors could each take up a shift of all levels (their means and b are then hardly
//! told apart), b stands for the sum of b and those means, and the mean of r is left to its prior:
//! ξ is stretched along the q directions that shift all levels alike, from the width that the rows
//! give to Λ/√J. With `RRᵀ = I + ΛᵀH̄Λ`, `z = R⁻¹ Σ K ξ/√J` and `y = (z − R⁻ᵀz)/√J`, that adds y to
//! every v, and `log|R|` to the Jacobian.
//!
//! The slopes are those of reverse-mode differentiation, Cholesky included (Murray 2016, §3).

mod drift;
mod matrix;
mod mean;
mod scalar;

use drift::DriftKept;
pub use drift::{Drift, place};
use matrix::Scratch;
use mean::MeanKept;

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
    /// How H and h follow the sds; `None` where they hardly do.
    pub drift: Option<Drift>,
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
    small: Scratch,
    mean: MeanKept,
    drift: DriftKept,
}

impl Kept {
    /// Slopes by h, once slopes have been pulled back.
    pub fn by_target(&self) -> &[f64] {
        &self.h
    }
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
            drift: None,
        }
    }

    pub fn storage(&self) -> Kept {
        let (j, q) = (self.n_levels, self.q);
        Kept {
            k: vec![0.0; j * q * q],
            h: vec![0.0; j * q],
            e: vec![0.0; j * q],
            v: vec![0.0; j * q],
            small: Scratch::new(q),
            mean: MeanKept::new(self),
            drift: DriftKept::new(self),
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::{cholesky, solve_lower};
    use crate::spline::Spline;

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
        let mut reference = vec![0.0; q * q];
        for i in 0..q {
            for j in 0..q {
                reference[i * q + j] = if i == j { 0.6 + 0.1 * i as f64 } else { 0.2 };
            }
        }
        let spline = Spline::new(vec![-0.7, 0.0, 0.3, 0.9]);
        let log_factor = (0..4 * n_levels).map(|i| -0.3 - 0.4 * wave(i)).collect();
        let shift = (0..4 * n_levels * q).map(|i| wave(5 * i + 2)).collect();
        whitening.drift = Some(Drift { reference, spline, log_factor, shift, slide: Vec::new() });
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
        let kinds = [(false, false), (true, false), (false, true), (true, true)];
        for ((q, p), (loose_mean, drifts)) in sizes.into_iter().flat_map(|s| kinds.map(|k| (s, k)))
        {
            let (mut w, lambda, xi) = example(q, p);
            w.loose_mean = loose_mean;
            if !drifts {
                w.drift = None;
            }
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
