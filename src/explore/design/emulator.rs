//! The features as polynomials of θ.

use super::points::Points;
use super::polynomials::Polynomials;
use super::region::Region;
use crate::sampler::Staged;

/// Points this far beyond the radius still bear on the polynomials.
pub const MARGIN: f64 = 1.1;

/// Below the top by so much errors count half.
const BELOW: f64 = 8.0;

#[derive(Clone)]
pub struct Emulator {
    pub region: Region,
    pub polynomials: Polynomials,
    scaled: Vec<f64>,
}

impl Emulator {
    /// Fit to what is known in the region, and to its mirror images.
    pub fn fit(points: &Points, region: &Region, degree: usize) -> Option<Self> {
        let staged = points.staged();
        let mut polynomials = Polynomials::new(region.dim(), degree, staged.n_features());
        let top = points.best()?.profile;
        let mut rows = Vec::new();
        for known in &points.known {
            let Some(features) = &known.features else { continue };
            let below = (top - known.profile).max(0.0);
            let weight = 1.0 / (1.0 + (below / BELOW).powi(2));
            if !weight.is_finite() {
                continue;
            }
            for theta in images(staged, &known.theta) {
                let z = region.white(&theta);
                if region.reach(&z) < MARGIN {
                    let x = z.iter().map(|z| z / region.radius).collect();
                    rows.push((x, features.as_slice(), weight));
                }
            }
        }
        polynomials.fit(&rows)?;
        Some(Self { region: region.clone(), polynomials, scaled: vec![0.0; region.dim()] })
    }

    /// Features at the whitened z.
    pub fn at(&mut self, z: &[f64], features: &mut [f64]) {
        for (x, z) in self.scaled.iter_mut().zip(z) {
            *x = z / self.region.radius;
        }
        self.polynomials.at(&self.scaled, features);
    }
}

/// A point and its mirror images.
fn images(staged: &dyn Staged, theta: &[f64]) -> Vec<Vec<f64>> {
    let mut images = vec![theta.to_vec()];
    for wall in staged.walls() {
        for k in 0..images.len() {
            let mut other = images[k].clone();
            staged.mirror(wall, &mut other);
            images.push(other);
        }
    }
    images
}
