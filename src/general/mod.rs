//! The joint density of all parameters of a model of any family, with its gradient.
//!
//! One or two linear predictors (the mean's, and perhaps that of log sigma), each with population
//! coefficients and any number of grouping factors. One pass over the rows fills eta chunk by chunk,
//! turns it into its own slope in place, and gathers that into slopes by c and r; the rest is
//! bookkeeping through [`crate::whitening`], [`crate::covariance`] and the maps of
//! [`crate::prior`]. Densities are up to an additive constant.
//!
//! The unconstrained vector: for each predictor its coefficients, then sds and correlations of each
//! factor; then dispersion parameters or thresholds; then ξ of every factor.

mod coefficients;
mod coordinates;
mod density;
mod dispersion;
mod factor;
mod nesting;

pub use coefficients::{Coefficients, PriorRow};
pub use coordinates::{Coordinates, FactorCoordinates, PartCoordinates};
pub use density::GeneralDensity;
pub use dispersion::Dispersion;
pub use factor::{Factor, GroupPrior, n_scales};

use crate::family::Likelihood;
use crate::predictor::Columns;

/// A linear predictor with its priors.
#[derive(Clone, Debug)]
pub struct Part {
    pub columns: Columns,
    pub coefficients: Coefficients,
    pub factors: Vec<Factor>,
    /// Factors such that those which others are nested in come first.
    pub order: Vec<usize>,
}

impl Part {
    pub fn new(columns: Columns, coefficients: Coefficients, factors: Vec<Factor>) -> Self {
        let order = (0..factors.len()).collect();
        let mut part = Self { columns, coefficients, factors, order };
        nesting::nest(&mut part);
        part
    }

    /// Where the coordinates ξ of each factor begin, from the first one's.
    pub fn effects(&self) -> Vec<usize> {
        let mut next = 0;
        let size = |f: &Factor| f.whitening.n_levels * f.whitening.q;
        let starts = self.factors.iter().map(|f| {
            next += size(f);
            next - size(f)
        });
        starts.collect()
    }
}

/// Everything fixed before sampling starts.
pub struct General {
    pub likelihood: Likelihood,
    pub parts: Vec<Part>,
    pub dispersion: Dispersion,
    /// What the log likelihood lacks where rows stand for several that were merged.
    pub constant: f64,
    start: Vec<f64>,
}

impl General {
    /// Without coordinates: see [`General::in_coordinates`].
    pub fn new(likelihood: Likelihood, parts: Vec<Part>, dispersion: Dispersion) -> Self {
        Self { likelihood, parts, dispersion, constant: 0.0, start: Vec::new() }
    }

    pub fn n_values(&self) -> usize {
        match &self.dispersion {
            Dispersion::Scalars(scalars) => scalars.len(),
            Dispersion::Thresholds { increments, .. } => increments.len() + 1,
        }
    }

    /// Where the coordinates of dispersion parameters, or increments, begin.
    pub fn start_of_dispersion(&self) -> &[f64] {
        let last = self.n_hyper();
        self.start.get(last - self.dispersion.dim()..last).unwrap_or(&[])
    }

    /// Coordinates of coefficients, sds, correlations and dispersion: those before ξ.
    pub fn n_hyper(&self) -> usize {
        let parts: usize = self
            .parts
            .iter()
            .map(|part| part.coefficients.len() + part.factors.iter().map(n_scales).sum::<usize>())
            .sum();
        parts + self.dispersion.dim()
    }

    pub fn dim(&self) -> usize {
        self.n_hyper() + self.n_effects()
    }

    pub fn n_effects(&self) -> usize {
        let factors = self.parts.iter().flat_map(|part| &part.factors);
        factors.map(|f| f.whitening.n_levels * f.whitening.q).sum()
    }

    /// Numbers of one row of output: per part c, and sd and cor of each factor; dispersion values;
    /// then r of every factor.
    pub fn n_outputs(&self) -> usize {
        let scales: usize = self
            .parts
            .iter()
            .map(|part| part.coefficients.len() + part.factors.iter().map(n_scales).sum::<usize>())
            .sum();
        scales + self.n_values() + self.n_effects()
    }
}
