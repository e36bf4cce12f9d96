//! Densities of two variables whose moments are known, for tests.

use crate::sampler::Staged;
use rand_chacha::ChaCha8Rng;

#[derive(Clone)]
pub enum Known {
    /// u₀ = the logarithm of a Gamma(3) variable, u₁ given u₀ normal around u₀²/4 with sd 0.5.
    Bent,
    /// A standard normal distribution by |u₀|.
    Wall,
    /// Two hills of equal height, 8 apart.
    Peaks,
    /// A hill, and far from it the needle that a prior makes, with 4% of the mass.
    Needle,
    /// A standard normal distribution of u₀ + u₁²/2 and u₁, of which polynomials are.
    Bowl,
    /// |u₀| and |u₁|: no polynomial is like it.
    Edge,
}

impl Known {
    /// What is not left to polynomials.
    fn prior(&self, u: &[f64]) -> f64 {
        if !matches!(self, Known::Needle) {
            return 0.0;
        }
        let (width, away) = (0.01, u[0] - 4.5);
        // Relative to the hill there, which is 1e-4 of the top of the other.
        (0.04 / width * (0.5 * u[0] * u[0] - 0.5 * (away / width).powi(2)).exp()).ln_1p()
    }
}

impl Staged for Known {
    fn fresh(&self) -> Box<dyn Staged> {
        Box::new(self.clone())
    }
    fn dims(&self) -> (usize, usize) {
        (2, 0)
    }
    fn n_features(&self) -> usize {
        1
    }
    fn n_outputs(&self) -> usize {
        2
    }
    fn operations(&self) -> f64 {
        1e9
    }
    fn box_of_theta(&self) -> Vec<(f64, f64)> {
        vec![(-5.0, 5.0), (-1.0, 1.0)]
    }
    fn start(&self) -> Vec<f64> {
        vec![0.5, 0.2]
    }
    fn walls(&self) -> Vec<usize> {
        if matches!(self, Known::Wall) { vec![0] } else { Vec::new() }
    }
    fn mirror(&self, wall: usize, theta: &mut [f64]) {
        theta[wall] = -theta[wall];
    }
    fn chart(&mut self, u: &[f64]) -> Option<Vec<f64>> {
        matches!(self, Known::Bowl).then(|| vec![u[0] + 0.5 * u[1] * u[1], u[1]])
    }
    fn features(&mut self, u: &[f64], out: &mut [f64]) -> bool {
        let (a, b) = (u[0], u[1]);
        out[0] = match self {
            Known::Bent => 3.0 * a - a.exp() - 2.0 * (b - 0.25 * a * a).powi(2),
            Known::Wall => -0.5 * (a * a + b * b),
            Known::Peaks => {
                let (left, right) = (-0.5 * (a + 4.0).powi(2), -0.5 * (a - 4.0).powi(2));
                let top = left.max(right);
                top + ((left - top).exp() + (right - top).exp()).ln() - 0.5 * b * b
            }
            Known::Bowl => -0.5 * ((a + 0.5 * b * b).powi(2) + b * b),
            Known::Edge => -3.0 * (a.abs() + b.abs()),
            Known::Needle => -0.5 * (a * a + b * b),
        };
        true
    }
    fn peaks(&mut self, theta: &[f64], _features: &[f64]) -> Vec<Vec<f64>> {
        let needle = matches!(self, Known::Needle);
        if needle { vec![vec![4.5, theta[1]]] } else { Vec::new() }
    }
    fn profile(&mut self, theta: &[f64], features: &[f64]) -> f64 {
        features[0] + self.prior(theta)
    }
    fn rest(&self) -> Vec<(f64, f64)> {
        Vec::new()
    }
    fn logp(&mut self, theta: &[f64], _rest: &[f64], features: &[f64]) -> f64 {
        features[0] + self.prior(theta)
    }
    fn moved(&self, _found: &[f64], _truth: &[f64]) -> f64 {
        0.0
    }
    fn output(
        &mut self,
        theta: &[f64],
        _rest: &[f64],
        _features: &[f64],
        _rng: &mut ChaCha8Rng,
        out: &mut [f64],
    ) -> bool {
        out.copy_from_slice(theta);
        true
    }
}
