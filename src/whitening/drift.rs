//! How what the pilot knows of the levels follows the sds.

use super::{Kept, Whitening};
use crate::vmath::exp;

/// Changes of each level's H and h with the size τ of Λ, which is 1 where the pilot ended.
#[derive(Clone, Debug, Default)]
pub struct Drift {
    /// Σ₀⁻¹/q, such that τ² = tr(reference ΛΛᵀ).
    pub reference: Vec<f64>,
    /// d log H / d log τ of each level, at τ = 1.
    pub exponent: Vec<f64>,
    /// d h / d log τ of each level's coefficients at τ = 1, beside what the exponent makes of h.
    pub shift: Vec<f64>,
}

/// What one evaluation keeps of the drift.
#[derive(Clone, Debug, Default)]
pub(super) struct DriftKept {
    /// Factor of each level's H.
    pub factor: Vec<f64>,
    /// H with its factor, for one coefficient a level.
    pub information: Vec<f64>,
    /// Of the shifts.
    pub weight: f64,
    size: f64,
    /// Slopes by the levels' exponents times log((1 + τ²)/2), and by the weight.
    pub by_log: f64,
    pub by_weight: f64,
}

impl DriftKept {
    pub fn new(whitening: &Whitening) -> Self {
        let scalar = if whitening.q == 1 { whitening.n_levels } else { 0 };
        Self {
            factor: vec![1.0; whitening.n_levels],
            information: whitening.information[..scalar].to_vec(),
            ..Self::default()
        }
    }
}

impl Whitening {
    /// Factors of H and the weight of shifts at Λ.
    #[inline(always)]
    pub(super) fn drift_to(&self, lambda: &[f64], kept: &mut Kept) {
        let Some(drift) = &self.drift else { return };
        let q = self.q;
        let mut size = 0.0;
        for i in 0..q {
            for j in 0..q {
                for k in 0..q {
                    size += drift.reference[i * q + j] * lambda[i * q + k] * lambda[j * q + k];
                }
            }
        }
        let here = &mut kept.drift;
        here.size = size;
        here.weight = (size - 1.0) / (size + 1.0);
        let log = (0.5 * (1.0 + size)).ln();
        for (factor, exponent) in here.factor.iter_mut().zip(&drift.exponent) {
            *factor = exp(exponent * log);
        }
        (here.by_log, here.by_weight) = (0.0, 0.0);
    }

    /// Slopes by Λ from those by what the drift gave.
    #[inline(always)]
    pub(super) fn drift_back(&self, lambda: &[f64], kept: &DriftKept, by_lambda: &mut [f64]) {
        let Some(drift) = &self.drift else { return };
        let (q, above) = (self.q, 1.0 + kept.size);
        let by_size = kept.by_log / above + kept.by_weight * 2.0 / (above * above);
        for i in 0..q {
            for j in 0..q {
                let own: f64 = (0..q).map(|k| drift.reference[i * q + k] * lambda[k * q + j]).sum();
                by_lambda[i * q + j] += 2.0 * by_size * own;
            }
        }
    }
}
