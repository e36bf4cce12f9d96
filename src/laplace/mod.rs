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
//! All are smooth where G is singular. Exact for Gaussian rows of one sigma, or of sigmas that only
//! parameters have a part in. Tierney & Kadane (1986); Kristensen et al. (2016).

mod climb;
mod mode;
mod observed;
mod point;
pub mod posterior;
mod quadrature;
mod rows;
mod slopes;

use crate::blocks::{Products, Weighing};
use crate::family::Likelihood;
use crate::predictor::Columns;
use mode::Room;
use observed::Observed;
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
    /// Of both predictors side by side, where there are two (see [`observed`]).
    pub columns: Columns,
    tie: Option<f64>,
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
    /// The columns of the mean, and those of log sigma, if these have a predictor, with what
    /// sigma is like.
    pub fn new(likelihood: Likelihood, mean: Columns, of_sigma: Option<(&Columns, f64)>) -> Self {
        let columns = match of_sigma {
            Some((of_sigma, t)) => observed::tied(&mean, of_sigma, t),
            None => mean,
        };
        let (weighing, products) = rows::weighing(&columns, 0);
        let products = products.map(Arc::new);
        let tie = of_sigma.map(|(_, t)| t);
        Self { likelihood, columns, tie, weighing, products, room: Mutex::default() }
    }

    /// Dispersion parameters that it takes, or thresholds up to the highest category.
    pub fn n_aux(&self) -> usize {
        self.likelihood.n_aux() - usize::from(self.tie.is_some())
    }

    fn observed(&self) -> Observed<'_> {
        Observed { likelihood: &self.likelihood, tie: self.tie, constant: 0.0 }
    }
}
