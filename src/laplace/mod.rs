//! The likelihood of a model of any family, group coefficients integrated out by Laplace's formula.
//!
//! With `η = offset + X c + Z r`, `r = Λu` and u standard normal, let û be the mode of
//! `ℓ(η) − ½‖u‖²`, `s = ∂ℓ/∂η` and `H = −∂²ℓ/∂η²` there (both diagonal in rows). Then
//!
//! `log p(y) ≈ ℓ(η̂) − ½‖û‖² − ½ log|V₀|`, `V₀ = I + √H Z G Zᵀ √H`, `G = ΛΛᵀ`.
//!
//! A step of Newton's method is a least-squares problem in rows weighted by √H, which is what
//! [`crate::blocks`] solves; rows that curve upwards count negative. Slopes: with v the variances of the rows' predictors given all,
//! `w = −½ v ∂H/∂η` and `m = √H V₀⁻¹ w/√H` (how the mode moves with the parameters),
//!
//! * by c: `Xᵀ(s + m)`;
//! * by G: `½ t tᵀ − ½ P + sym(Zᵀm tᵀ)`, summed over levels, `t = Zᵀs`, `P = ZᵀHZ − …` of V₀;
//! * by a dispersion parameter a: `∂ℓ/∂a − ½ v·∂H/∂a + (z r₂)·∂s/∂a`, r₂ being the coefficients that
//!   `w/√H` would have as a response.
//!
//! All are smooth where G is singular. Second and third derivatives by η are differences of slopes.
//! Exact for Gaussian rows. Tierney & Kadane (1986); Kristensen et al. (2016).

mod mode;
pub mod posterior;
mod quadrature;
mod rows;
mod slopes;

use crate::blocks::Shape;
use crate::family::Likelihood;
use crate::predictor::Columns;

pub use mode::Mode;
pub use slopes::{Conditionals, Slopes};

/// A model whose parameters have no priors.
pub struct Laplace {
    pub likelihood: Likelihood,
    pub columns: Columns,
    shapes: Vec<Shape>,
}

/// Values of the parameters.
#[derive(Clone, Copy)]
pub struct Parameters<'a> {
    pub c: &'a [f64],
    /// Λ of each factor, q × q by rows, lower triangular.
    pub lambda: &'a [Vec<f64>],
    /// Dispersion parameters, or thresholds.
    pub aux: &'a [f64],
}

impl Laplace {
    pub fn new(likelihood: Likelihood, columns: Columns) -> Self {
        let identity = |q: usize| -> Vec<f64> {
            (0..q * q).map(|k| f64::from(u8::from(k % (q + 1) == 0))).collect()
        };
        let shape = |q, n_levels| Shape { q, n_levels, unscale: identity(q) };
        let shapes = columns.groupings.iter().map(|g| shape(g.q, g.n_levels)).collect();
        Self { likelihood, columns, shapes }
    }
}
