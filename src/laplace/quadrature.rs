//! Adaptive Gauss–Hermite quadrature, for one factor with one coefficient a level: Laplace's formula
//! is that with one node. Pinheiro & Bates (1995) §2.4.

use super::rows::Integrand;
use super::{Laplace, Mode, Parameters};

impl Laplace {
    /// Log likelihood with these nodes x and weights w, for which `∫ f(x) exp(−x²) dx ≈ Σ w f(x)`.
    pub fn quadrature(
        &self,
        at: Parameters<'_>,
        mode: &Mode,
        nodes: &[f64],
        weights: &[f64],
    ) -> Option<f64> {
        let ([grouping], [lambda]) = (&self.columns.groupings[..], at.lambda) else { return None };
        let [lambda] = lambda[..] else { return None };
        let (given, _) = self.given(at);
        let z = &grouping.z;
        let mut precision = vec![1.0; grouping.n_levels];
        for (i, (&code, z)) in grouping.codes.iter().zip(z).enumerate() {
            precision[code as usize] += (lambda * z).powi(2) * mode.weights[i];
        }
        let spread: Vec<f64> = precision.iter().map(|p| (2.0 / p).sqrt()).collect();
        // Of each level: log density at its nodes, the penalty of u and exp(x²) in it.
        let mut terms: Vec<Vec<f64>> = Vec::new();
        for (x, w) in nodes.iter().zip(weights) {
            let mut eta: Vec<f64> = (mode.point.eta.iter().zip(&grouping.codes).zip(z))
                .map(|((eta, &code), z)| eta + z * lambda * spread[code as usize] * x)
                .collect();
            let mut each = vec![0.0; eta.len()];
            given.each_row(0..eta.len(), &mut eta, at.aux, &mut each);
            let mut own: Vec<f64> = (mode.point.u[0].iter().zip(&spread))
                .map(|(u, s)| w.ln() + x * x - 0.5 * (u + s * x).powi(2))
                .collect();
            for (&code, logp) in grouping.codes.iter().zip(each) {
                own[code as usize] += logp;
            }
            terms.push(own);
        }
        let mut total = given.apart(at.aux);
        for level in 0..grouping.n_levels {
            let largest = terms.iter().map(|own| own[level]).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = terms.iter().map(|own| (own[level] - largest).exp()).sum();
            // du = √(2/A) dx, and the density of u has 1/√(2π).
            let scale = spread[level].ln() - 0.5 * std::f64::consts::TAU.ln();
            total += largest + sum.ln() + scale;
        }
        total.is_finite().then_some(total)
    }
}
