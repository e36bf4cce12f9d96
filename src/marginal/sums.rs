//! What the density needs of the levels, and the coefficients integrated out: by level where there
//! are few columns ([`super::Narrow`]), by products of matrices where there are many
//! ([`super::Wide`]).

use super::{Marginal, Reduced};
use crate::lanes::{Lane, sum, triangular};

/// Stands for a size that is known only at run time.
pub const ANY: usize = usize::MAX;

/// Sizes of a model: q, w, and how many coefficients are sampled and integrated.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub q: usize,
    pub w: usize,
    pub n_s: usize,
    pub n_i: usize,
    /// Are they known at compile time?
    pub known: bool,
}

/// Working storage for one density: the two passes over the levels, and what lies between them.
pub trait Sums: Clone + Send + Sync + 'static {
    type Data: Reduced;

    fn new(data: &Self::Data, n_integrated: usize) -> Self;

    /// Operations of the first pass, about.
    fn operations(model: &Marginal<Self::Data>) -> f64;

    /// First pass: returns log|V₀| and fills the lower triangle of `k` with `[X y]ᵀV₀⁻¹[X y]`, where
    /// σ²V₀ is the covariance of the rows given the coefficients; `None` where rounding leaves no
    /// positive definite matrix. By levels these are Σ log|K| and `W + Σ BᵀK⁻¹B`. What the second
    /// pass needs is kept where one is to follow.
    fn forward(
        &mut self,
        data: &Self::Data,
        sizes: Sizes,
        lambda: &[f64],
        k: &mut [f64],
        keep: bool,
    ) -> Option<f64>;

    /// Integrate the coefficients out: fills the factor of F_II and u, of which `c` are the sampled
    /// entries. Returns log|F_II|, or `None` where F_II is not positive definite.
    fn integrate(&mut self, f: &[f64], sizes: Sizes, c: &[f64]) -> Option<f64>;

    /// `u = (−ĉ_I, −c_S, 1)`.
    fn u(&self) -> &[f64];

    /// Second pass: fills the symmetric `by_covariance` with
    /// dℓ/dΣ' = ½ (Σ RᵀK⁻¹BΩBᵀK⁻¹R/σ² − Σ RᵀK⁻¹R), Σ' = Σ/σ².
    fn backward(&mut self, sizes: Sizes, precision: f64, by_covariance: &mut [f64]);

    /// `from − tr(P F_II⁻¹)`.
    fn less_trace(&mut self, from: f64, prior_rows: &[f64], sizes: Sizes) -> f64;

    /// Solve `L x = z` in place, where `F_II = LᵀL`: what turns independent normal numbers into
    /// deviations with the covariance F_II⁻¹.
    fn scatter(&self, z: &mut [f64]);
}

/// Turn the lower triangle of K in `f` into the symmetric `F = K/σ² + P`.
#[inline(always)]
pub fn assemble(f: &mut [f64], (w, precision): (usize, f64), prior_rows: &[f64]) {
    for i in 0..w {
        for j in 0..=i {
            let sum = f[i * w + j] * precision + prior_rows[i * w + j];
            f[i * w + j] = sum;
            f[j * w + i] = sum;
        }
    }
}

/// Fill the symmetric `by_covariance` with ½ (outer/σ² − rr), given by lower triangles.
#[inline(always)]
pub fn halve_difference(
    outer: &[Lane],
    rr: &[Lane],
    (q, precision): (usize, f64),
    by_covariance: &mut [f64],
) {
    for i in 0..q {
        for j in 0..=i {
            let (outer, rr) = (&outer[triangular(i, j)], &rr[triangular(i, j)]);
            let total = 0.5 * (sum(outer) * precision - sum(rr));
            by_covariance[i * q + j] = total;
            by_covariance[j * q + i] = total;
        }
    }
}

/// Set the entries of u that are known, those after the `n_i` integrated ones.
#[inline(always)]
pub fn set_known(u: &mut [f64], n_i: usize, c: &[f64]) {
    u[n_i + c.len()] = 1.0;
    for (u, c) in u[n_i..].iter_mut().zip(c) {
        *u = -c;
    }
}

/// `xᵀAx` for the leading block of the symmetric `a` (`n` × `n`), from its lower triangle.
#[inline(always)]
pub fn quadratic_form(a: &[f64], n: usize, x: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (i, (row, &xi)) in a.chunks_exact(n).zip(x).enumerate() {
        let left: f64 = row[..i].iter().zip(x).map(|(a, x)| a * x).sum();
        sum += xi * (2.0 * left + row[i] * xi);
    }
    sum
}
