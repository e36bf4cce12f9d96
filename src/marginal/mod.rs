//! The marginal density of a Gaussian model with one grouping factor, and the exact conditionals.
//!
//! Sampled: φ = (sd, correlations, sigma), and those coefficients whose prior is neither normal nor
//! flat. Integrated: every group coefficient and every other population coefficient. With
//! Λ' = Λ/σ and, for each level, `K = I + (RΛ')(RΛ')ᵀ` (see [`crossproducts`]):
//!
//! * `F = (W + Σ BᵀK⁻¹B)/σ² + P`, where P holds the normal priors as rows `[x y]` of unit variance;
//! * `log p = −N log σ − ½ Σ log|K| − ½ uᵀFu − ½ log|F_II|` with `u = (−ĉ_I, −c_S, 1)`, where I are
//!   the integrated coefficients, S the sampled ones, and ĉ_I minimises `uᵀFu`.
//!
//! The gradient needs `Ω = uuᵀ + F_II⁻¹` (embedded), which is known only after all levels were
//! seen: hence two passes over the levels ([`sums`]), the first keeping RᵀK⁻¹B. ARCHITECTURE.md;
//! Bates et al. (2015) §3; the profile over b is theirs, the prior rows and gradient are standard
//! calculus.

pub mod averaged;
pub mod conditional;
pub mod crossproducts;
mod density;
pub mod held_out;
mod narrow;
pub mod nodes;
mod point;
mod population;
pub mod predictors;
mod side_by_side;
mod staged;
mod sums;
mod wide;

pub use density::MarginalDensity;
pub use narrow::Narrow;
pub use point::Constrained;
pub use population::Population;
pub use staged::Scales;
pub use sums::{Sizes, Sums};
pub use wide::Wide;

use crate::covariance::Covariance;
use crate::prior::Scalar;
use crossproducts::CrossProducts;
use std::sync::Arc;

/// Rows reduced to what a Gaussian likelihood needs.
pub trait Reduced: Clone + Send + Sync + 'static {
    /// Columns of Z, of all factors.
    fn q(&self) -> usize;
    /// Columns of `[X y]`.
    fn width(&self) -> usize;
    fn n_rows(&self) -> usize;
    /// For each column of Z its sum of squares in the rows of a level, on the average.
    fn information(&self) -> Vec<f64>;
}

impl<D: Reduced> Reduced for Arc<D> {
    fn q(&self) -> usize {
        self.as_ref().q()
    }

    fn width(&self) -> usize {
        self.as_ref().width()
    }

    fn n_rows(&self) -> usize {
        self.as_ref().n_rows()
    }

    fn information(&self) -> Vec<f64> {
        self.as_ref().information()
    }
}

/// A scale that is either sampled or known.
#[derive(Clone, Copy, Debug)]
pub enum Scale {
    Sampled(Scalar),
    Known(f64),
}

/// What is sampled: the shape and priors of scales, correlations, and coefficients whose prior is
/// neither normal nor flat.
#[derive(Clone, Debug)]
pub struct Parameters {
    pub covariance: Covariance,
    pub sd: Vec<Scale>,
    pub sigma: Scale,
    /// Coefficients sampled on the scale of their prior; they are the last columns of X.
    pub sampled: Vec<Scalar>,
    /// `c_S = sampled_map · v + sampled_shift` brings them to working columns.
    pub sampled_map: Vec<f64>,
    pub sampled_shift: Vec<f64>,
}

/// Everything fixed before sampling starts.
#[derive(Clone, Debug)]
pub struct Marginal<D = CrossProducts> {
    pub data: D,
    pub parameters: Parameters,
    /// P, `width` × `width`.
    pub prior_rows: Vec<f64>,
    /// What does not depend on the parameters.
    pub constant: f64,
}

impl<D: Reduced> Marginal<D> {
    fn n_coefficients(&self) -> usize {
        self.data.width() - 1
    }

    /// Coefficients that are integrated out.
    pub fn n_integrated(&self) -> usize {
        self.n_coefficients() - self.parameters.sampled.len()
    }

    /// Whether there are so many columns that [`Wide`] is faster than [`Narrow`].
    pub fn is_wide(&self) -> bool {
        self.data.width() >= wide::WIDE
    }

    /// Numbers in one row of output: sd, correlations, sigma, coefficients (working columns).
    pub fn n_outputs(&self) -> usize {
        let covariance = &self.parameters.covariance;
        covariance.q + covariance.n_correlations() + 1 + self.n_coefficients()
    }
}

impl Parameters {
    pub fn dim(&self) -> usize {
        let scales = self.sd.iter().chain([&self.sigma]);
        scales.filter(|s| matches!(s, Scale::Sampled(_))).count()
            + self.covariance.n_correlations()
            + self.sampled.len()
    }

    /// Sampled coefficients in working columns from their unconstrained `u`; returns their log prior.
    fn coefficients(&self, u: &[f64], c: &mut [f64]) -> f64 {
        let (n_s, mut logp) = (c.len(), 0.0);
        c.copy_from_slice(&self.sampled_shift);
        for (k, (scalar, &u)) in self.sampled.iter().zip(u).enumerate() {
            let at = scalar.at(u);
            logp += at.logp;
            for (i, c) in c.iter_mut().enumerate() {
                *c += self.sampled_map[i * n_s + k] * at.x;
            }
        }
        logp
    }

    /// Where chains start from.
    pub fn start(&self) -> Vec<f64> {
        let unconstrained = |s: &Scalar| s.support.unconstrain(s.start);
        let scale = |s: &Scale| match s {
            Scale::Sampled(s) => Some(unconstrained(s)),
            Scale::Known(_) => None,
        };
        let mut u: Vec<f64> = self.sd.iter().filter_map(scale).collect();
        u.extend(std::iter::repeat_n(0.0, self.covariance.n_correlations()));
        u.extend(scale(&self.sigma));
        u.extend(self.sampled.iter().map(unconstrained));
        u
    }
}
