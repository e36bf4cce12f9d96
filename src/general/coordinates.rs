//! The coordinates in which a sampler walks, and where it starts. The posterior does not depend on
//! them, only the speed; [`crate::pilot`] finds good ones.

use super::{General, GroupPrior};
use crate::prior::{Scalar, Support};
use crate::whitening::Whitening;

pub struct Coordinates {
    pub parts: Vec<PartCoordinates>,
    /// An unconstrained vector.
    pub start: Vec<f64>,
}

/// Of a linear predictor.
pub struct PartCoordinates {
    /// Of the free population coefficients, `centre + basis · γ`.
    pub centre: Vec<f64>,
    pub basis: Vec<f64>,
    pub factors: Vec<FactorCoordinates>,
}

pub struct FactorCoordinates {
    pub whitening: Whitening,
    /// Of the sds, or of coefficients that have one each; none where all is fixed.
    pub supports: Vec<Support>,
}

impl General {
    /// The same model in other coordinates.
    pub fn in_coordinates(mut self, coordinates: Coordinates) -> Self {
        self.start = coordinates.start;
        for (part, found) in self.parts.iter_mut().zip(coordinates.parts) {
            part.coefficients.centre = found.centre;
            part.coefficients.basis = found.basis;
            for (factor, found) in part.factors.iter_mut().zip(found.factors) {
                factor.whitening = found.whitening;
                let scalars: &mut [Scalar] = match &mut factor.prior {
                    GroupPrior::Hierarchical { sd, .. } => sd,
                    GroupPrior::Separate(scalars) => scalars,
                    GroupPrior::Normal { .. } => &mut [],
                };
                for (scalar, support) in scalars.iter_mut().zip(found.supports) {
                    scalar.support = support;
                }
            }
        }
        self
    }
}
