//! The likelihood of a model of any family, group coefficients integrated out by Laplace's formula.
//!
//! With `η = offset + X c + Z r`, `r = Λu` and u standard normal, let û be the mode of
//! `ℓ(η) − ½‖u‖²`, `s = ∂ℓ/∂η` and `H = −∂²ℓ/∂η²` there (both diagonal in rows). Then
//!
//! `log p(y) ≈ ℓ(η̂) − ½‖û‖² − ½ log|V₀|`, `V₀ = I + √H Z G Zᵀ √H`, `G = ΛΛᵀ`.
//!
//! Slopes: with v the variances of the rows' predictors given all, `w = −½ v ∂H/∂η`, `A⁻¹Zᵀw` what
//! coefficients these pulls would give (how the mode moves with the parameters), z its predictors and
//! `m = w − Hz`,
//!
//! * by c: `Xᵀ(s + m)`;
//! * by G: `½ t tᵀ − ½ P + sym(Zᵀm tᵀ)`, summed over levels, `t = Zᵀs`, `P = ZᵀHZ − …` of V₀;
//! * by a dispersion parameter a: `∂ℓ/∂a − ½ v·∂H/∂a + z·∂s/∂a`.
//!
//! All are smooth where G is singular. Second and third derivatives by η are differences of slopes.
//! Exact for Gaussian rows. Tierney & Kadane (1986); Kristensen et al. (2016).

mod climb;
mod mode;
mod point;
pub mod posterior;
mod quadrature;
mod rows;
mod slopes;

use crate::blocks::{Products, Weighing};
use crate::family::Likelihood;
use crate::predictor::Columns;
use mode::Room;
use std::sync::{Arc, Mutex};

pub use climb::{Climb, Top};
pub use mode::Mode;
pub use point::Point;
pub use slopes::{Conditionals, Slopes};

/// Λ of all factors and the values of dispersion parameters, or thresholds.
#[derive(Clone, Debug, Default)]
pub struct Scales {
    pub lambda: Vec<Vec<f64>>,
    pub values: Vec<f64>,
}

/// A model whose parameters have no priors.
pub struct Laplace {
    pub likelihood: Likelihood,
    pub columns: Columns,
    weighing: Weighing,
    products: Option<Arc<Products>>,
    room: Mutex<Room>,
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
        let (weighing, products) = rows::weighing(&columns, 0);
        let products = products.map(Arc::new);
        Self { likelihood, columns, weighing, products, room: Mutex::default() }
    }
}
