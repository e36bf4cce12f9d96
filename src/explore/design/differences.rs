//! Slopes and curvature of the profile around a point, from which both ways to the mode make models.

use super::points::Points;

/// How far off the axes points for mixed derivatives are.
const DIAGONAL: f64 = 0.7;

/// How far the profile falls in a model to where the density is 0.
const FALL: f64 = 1e3;

/// Derivatives of the profile in coordinates z, at 0, by differences over as much as 1.
pub struct Differences {
    pub slope: Vec<f64>,
    /// Minus the second derivatives, d × d.
    pub bend: Vec<f64>,
    /// The profile at 0.
    middle: f64,
}

impl Differences {
    /// From the point itself and both sides along each of d axes, `at` of which are evaluated;
    /// `None` where the density is 0 at the point itself.
    pub fn along(points: &mut Points, d: usize, at: impl Fn(&[f64]) -> Vec<f64>) -> Option<Self> {
        let (centre, mut thetas) = (at(&vec![0.0; d]), Vec::new());
        for i in 0..d {
            let mut z = vec![0.0; d];
            for side in [1.0, -1.0] {
                z[i] = side;
                thetas.push(at(&z));
            }
        }
        let seen = points.known.iter().position(|known| known.theta == centre);
        if seen.is_none() {
            thetas.push(centre);
        }
        let first = points.evaluate(thetas);
        let middle = points.known.get(seen.unwrap_or(first + 2 * d))?.profile;
        let mut found = Self { slope: vec![0.0; d], bend: vec![0.0; d * d], middle };
        for i in 0..d {
            let [up, down] = [2 * i, 2 * i + 1].map(|k| found.height(points, first + k));
            found.slope[i] = 0.5 * (up - down);
            found.bend[i * d + i] = -up - down;
        }
        middle.is_finite().then_some(found)
    }

    /// And mixed derivatives, from one point for each pair of axes.
    pub fn across(mut self, points: &mut Points, at: impl Fn(&[f64]) -> Vec<f64>) -> Self {
        let d = self.slope.len();
        let pairs: Vec<(usize, usize)> = (0..d).flat_map(|i| (0..i).map(move |j| (i, j))).collect();
        let thetas = pairs.iter().map(|&(i, j)| {
            let mut z = vec![0.0; d];
            (z[i], z[j]) = (DIAGONAL, DIAGONAL);
            at(&z)
        });
        let first = points.evaluate(thetas.collect());
        for (k, &(i, j)) in pairs.iter().enumerate() {
            let straight = DIAGONAL * (self.slope[i] + self.slope[j]);
            let both = (self.height(points, first + k) - straight) / (DIAGONAL * DIAGONAL);
            let mixed = -both - 0.5 * (self.bend[i * d + i] + self.bend[j * d + j]);
            (self.bend[i * d + j], self.bend[j * d + i]) = (mixed, mixed);
        }
        self
    }

    fn height(&self, points: &Points, k: usize) -> f64 {
        let height = points.known[k].profile - self.middle;
        if height.is_finite() { height } else { -FALL }
    }
}
