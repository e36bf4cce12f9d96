//! How what the pilot knows of the levels follows the sds.

use super::{Kept, Whitening};
use crate::predictor::dot;
use crate::spline::Spline;
use crate::vmath::exp;

/// Below this τ² sds count as small: H and h stop to follow.
const FLOOR: f64 = 0.1;

/// Changes of each level's H and h with the size τ of Λ, which is 1 where the pilot ended.
///
/// Both are splines through what was found at a few sizes.
#[derive(Clone, Debug, Default)]
pub struct Drift {
    /// Σ₀⁻¹/q, such that τ² = tr(reference ΛΛᵀ).
    pub reference: Vec<f64>,
    /// In the [`place`] of a size.
    pub spline: Spline,
    /// Knot by knot, log of the factor of each level's H.
    pub log_factor: Vec<f64>,
    /// Knot by knot, what is added to h of each level's coefficients, beside what the factor makes
    /// of h.
    pub shift: Vec<f64>,
    /// Knot by knot, what is added to the population coefficients, or nothing.
    pub slide: Vec<f64>,
}

/// log τ, but smooth and bounded where τ comes to 0; and its slope by τ².
pub fn place(squared: f64) -> (f64, f64) {
    (0.5 * ((squared + FLOOR) / (1.0 + FLOOR)).ln(), 0.5 / (squared + FLOOR))
}

/// What one evaluation keeps of the drift.
#[derive(Clone, Debug, Default)]
pub(super) struct DriftKept {
    /// Factor of each level's H, and the slope of its logarithm by the place of Λ.
    pub factor: Vec<f64>,
    pub log_factor_slope: Vec<f64>,
    /// Shifts of h, and their slopes.
    pub shift: Vec<f64>,
    pub shift_slope: Vec<f64>,
    slide: Vec<f64>,
    slide_slope: Vec<f64>,
    /// H with its factor, for one coefficient a level.
    pub information: Vec<f64>,
    place_slope: f64,
    /// Slope by the place of Λ.
    pub by_place: f64,
}

impl DriftKept {
    pub fn new(whitening: &Whitening) -> Self {
        let scalar = if whitening.q == 1 { whitening.n_levels } else { 0 };
        let drifting = if whitening.drift.is_some() { whitening.n_levels } else { 0 };
        Self {
            factor: vec![1.0; whitening.n_levels],
            log_factor_slope: vec![0.0; drifting],
            shift: vec![0.0; drifting * whitening.q],
            shift_slope: vec![0.0; drifting * whitening.q],
            slide: vec![0.0; whitening.p],
            slide_slope: vec![0.0; whitening.p],
            information: whitening.information[..scalar].to_vec(),
            ..Self::default()
        }
    }
}

impl Whitening {
    /// Factors of H and shifts of h at Λ.
    #[inline(always)]
    pub(super) fn drift_to(&self, lambda: &[f64], kept: &mut Kept) {
        let Some(drift) = &self.drift else { return };
        let here = &mut kept.drift;
        let (x, slope) = place(drift.squared(lambda, self.q));
        (here.place_slope, here.by_place) = (slope, 0.0);
        drift.spline.at(x, &drift.log_factor, &mut here.factor, &mut here.log_factor_slope);
        drift.spline.at(x, &drift.shift, &mut here.shift, &mut here.shift_slope);
        for factor in &mut here.factor {
            *factor = exp(*factor);
        }
    }

    /// Slopes by Λ from those by what the drift gave.
    #[inline(always)]
    pub(super) fn drift_back(&self, lambda: &[f64], kept: &DriftKept, by_lambda: &mut [f64]) {
        let Some(drift) = &self.drift else { return };
        drift.squared_back(lambda, self.q, kept.by_place * kept.place_slope, by_lambda);
    }

    /// Move population coefficients to where they are likely at Λ.
    pub fn slide(&self, lambda: &[f64], kept: &mut Kept, c: &mut [f64]) {
        let Some(drift) = self.drift.as_ref().filter(|drift| !drift.slide.is_empty()) else {
            return;
        };
        let here = &mut kept.drift;
        let (x, _) = place(drift.squared(lambda, self.q));
        drift.spline.at(x, &drift.slide, &mut here.slide, &mut here.slide_slope);
        c.iter_mut().zip(&here.slide).for_each(|(c, slide)| *c += slide);
    }

    /// Slopes by Λ that come through [`Self::slide`].
    pub fn slide_back(&self, lambda: &[f64], kept: &Kept, by_c: &[f64], by_lambda: &mut [f64]) {
        let Some(drift) = self.drift.as_ref().filter(|drift| !drift.slide.is_empty()) else {
            return;
        };
        let by_place = dot(by_c, &kept.drift.slide_slope);
        drift.squared_back(lambda, self.q, by_place * kept.drift.place_slope, by_lambda);
    }
}

impl Drift {
    /// τ²
    fn squared(&self, lambda: &[f64], q: usize) -> f64 {
        let mut squared = 0.0;
        for i in 0..q {
            for j in 0..q {
                for k in 0..q {
                    squared += self.reference[i * q + j] * lambda[i * q + k] * lambda[j * q + k];
                }
            }
        }
        squared
    }

    fn squared_back(&self, lambda: &[f64], q: usize, by_squared: f64, by_lambda: &mut [f64]) {
        for i in 0..q {
            for j in 0..q {
                let own: f64 = (0..q).map(|k| self.reference[i * q + k] * lambda[k * q + j]).sum();
                by_lambda[i * q + j] += 2.0 * by_squared * own;
            }
        }
    }
}
