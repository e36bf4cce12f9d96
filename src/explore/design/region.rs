//! Where a polynomial stands for the density: a ball in whitened coordinates of θ.

use crate::linalg::cholesky;

/// Weighted share at each end of an axis that measures how far the mass reaches, and how far a
/// normal distribution does there.
const END: (f64, f64) = (5e-4, 3.29);

/// How far the region grows where the mass reaches its end.
const GROWTH: f64 = 1.25;

/// `θ = centre + spread · z` with |z| at most `radius`.
#[derive(Clone, Debug)]
pub struct Region {
    pub centre: Vec<f64>,
    /// d × d, lower triangular.
    pub spread: Vec<f64>,
    pub radius: f64,
}

/// Points z with weights that sum to 1.
pub type Weighted<'a> = &'a [(&'a [f64], f64)];

impl Region {
    /// With |z| up to where a normal distribution has 1 in 20,000 beyond.
    pub fn new(centre: Vec<f64>, spread: Vec<f64>) -> Self {
        let radius = (centre.len() as f64).sqrt() + 3.1;
        Self { centre, spread, radius }
    }

    pub fn dim(&self) -> usize {
        self.centre.len()
    }

    pub fn theta(&self, z: &[f64]) -> Vec<f64> {
        let d = self.dim();
        let along = |i: usize| (0..=i).map(|j| self.spread[i * d + j] * z[j]).sum::<f64>();
        (0..d).map(|i| self.centre[i] + along(i)).collect()
    }

    /// Around another centre, with this covariance; both in whitened coordinates.
    pub fn moved(&self, z: &[f64], mut covariance: Vec<f64>) -> Option<Self> {
        let d = self.dim();
        cholesky(&mut covariance, d)?;
        let mut spread = vec![0.0; d * d];
        for i in 0..d {
            for j in 0..=i {
                let along = (j..=i).map(|k| self.spread[i * d + k] * covariance[k * d + j]);
                spread[i * d + j] = along.sum();
            }
        }
        Some(Self::new(self.theta(z), spread))
    }

    pub fn white(&self, theta: &[f64]) -> Vec<f64> {
        let mut z: Vec<f64> = theta.iter().zip(&self.centre).map(|(t, c)| t - c).collect();
        crate::linalg::solve_lower(&self.spread, self.dim(), &mut z);
        z
    }

    /// Length of the whitened z over the radius.
    pub fn reach(&self, z: &[f64]) -> f64 {
        z.iter().map(|z| z * z).sum::<f64>().sqrt() / self.radius
    }

    /// Share of the mass beyond the radius, about: what two shells within it have goes on falling at
    /// the same rate.
    pub fn outside(&self, points: Weighted) -> f64 {
        let shell = |low: f64, high: f64| {
            let within = points.iter().filter(|(z, _)| (low..high).contains(&self.reach(z)));
            within.map(|(_, weight)| weight).sum::<f64>()
        };
        let (inner, outer) = (shell(0.8, 0.9), shell(0.9, 1.0));
        if outer >= 0.8 * inner { 5.0 * outer } else { outer * outer / (inner - outer) }
    }

    /// The region that mass with these weights needs: whitened by its covariance, each axis as long
    /// and in the middle of where its ends are.
    pub fn around(&self, points: Weighted) -> Option<Self> {
        let d = self.dim();
        let mean: Vec<f64> = (0..d).map(|i| points.iter().map(|(z, w)| w * z[i]).sum()).collect();
        let mut factor = vec![0.0; d * d];
        for (z, w) in points {
            for i in 0..d {
                for j in 0..d {
                    factor[i * d + j] += w * (z[i] - mean[i]) * (z[j] - mean[j]);
                }
            }
        }
        cholesky(&mut factor, d)?;
        let white: Vec<Vec<f64>> = points
            .iter()
            .map(|(z, _)| {
                let mut x: Vec<f64> = z.iter().zip(&mean).map(|(z, m)| z - m).collect();
                crate::linalg::solve_lower(&factor, d, &mut x);
                x
            })
            .collect();
        let mut middle = mean.clone();
        let mut scaled = vec![0.0; d * d];
        let cut = self.outside(points) > 1e-3;
        for j in 0..d {
            let mut axis: Vec<(f64, f64)> =
                white.iter().zip(points).map(|(x, (_, w))| (x[j], *w)).collect();
            axis.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            let low = end(axis.iter());
            let high = end(axis.iter().rev());
            let half = (0.5 * (high - low) / END.1).max(0.5) * if cut { GROWTH } else { 1.0 };
            for i in j..d {
                middle[i] += factor[i * d + j] * 0.5 * (low + high);
                scaled[i * d + j] = factor[i * d + j] * half;
            }
        }
        let centre = self.theta(&middle);
        let mut spread = vec![0.0; d * d];
        for i in 0..d {
            for j in 0..=i {
                spread[i * d + j] =
                    (j..=i).map(|k| self.spread[i * d + k] * scaled[k * d + j]).sum();
            }
        }
        let found = Self { centre, spread, radius: self.radius };
        (0..d).all(|i| found.spread[i * d + i] > 0.0).then_some(found)
    }
}

/// Where a small share of the weight is passed.
fn end<'a>(axis: impl Iterator<Item = &'a (f64, f64)>) -> f64 {
    let (mut passed, mut at) = (0.0, 0.0);
    for (x, weight) in axis {
        (passed, at) = (passed + weight, *x);
        if passed > END.0 {
            break;
        }
    }
    at
}
