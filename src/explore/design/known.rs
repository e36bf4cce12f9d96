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
    /// |u₀| and |u₁|: no polynomial is like it.
    Edge,
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
            Known::Edge => -3.0 * (a.abs() + b.abs()),
        };
        true
    }
    fn profile(&mut self, _theta: &[f64], features: &[f64]) -> f64 {
        features[0]
    }
    fn rest(&self) -> Vec<(f64, f64)> {
        Vec::new()
    }
    fn logp(&mut self, _theta: &[f64], _rest: &[f64], features: &[f64]) -> f64 {
        features[0]
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
