//! The rows at some linear predictors: log likelihood, slopes, curvatures, and what least squares see.

use super::Laplace;
use crate::blocks::Rows;
use crate::predictor::CHUNK;

/// Distance of the predictors from whose slopes third derivatives are found.
const FAR: f64 = 1e-3;

/// Share of the mean curvature below which a row's counts as this share.
const LEAST: f64 = 1e-12;

/// The same on the way, where rows curve upwards.
const LITTLE: f64 = 1e-3;

/// The log likelihood at some linear predictors.
pub struct AtRows {
    pub logp: f64,
    /// By the predictors.
    pub slopes: Vec<f64>,
    pub by_aux: Vec<f64>,
}

impl Laplace {
    pub fn predictors(&self, c: &[f64], r: &[Vec<f64>]) -> Vec<f64> {
        let mut eta = vec![0.0; self.columns.n];
        self.columns.fill(0..eta.len(), c, r, &mut eta);
        eta
    }

    pub fn at_rows(&self, eta: &[f64], shift: f64, aux: &[f64]) -> AtRows {
        let mut slopes: Vec<f64> = eta.iter().map(|eta| eta + shift).collect();
        let mut by_aux = vec![0.0; aux.len()];
        let mut logp = self.likelihood.shared(aux, &mut by_aux);
        for (part, first) in slopes.chunks_mut(CHUNK).zip((0..).step_by(CHUNK)) {
            let range = first..first + part.len();
            let (likelihood, none) = (&self.likelihood, &mut []);
            logp += likelihood.rows_in_vectors(range, aux, part, none, &mut by_aux, &mut []);
        }
        AtRows { logp, slopes, by_aux }
    }

    /// −∂²ℓ/∂η² of every row.
    pub fn curvatures(&self, eta: &[f64], aux: &[f64]) -> Vec<f64> {
        let mut curvatures = vec![0.0; eta.len()];
        self.likelihood.curvatures(aux, eta, &mut curvatures);
        curvatures
    }

    /// −∂³ℓ/∂η³ of every row, whose slopes are `here`.
    pub fn changes(&self, eta: &[f64], here: &[f64], aux: &[f64]) -> Vec<f64> {
        let [above, below] = [FAR, -FAR].map(|shift| self.at_rows(eta, shift, aux).slopes);
        let ends = above.iter().zip(&below).zip(here);
        ends.map(|((a, b), here)| (2.0 * here - a - b) / (FAR * FAR)).collect()
    }

    /// Rows of Z, each multiplied by its root.
    pub fn weighted(&self, weights: &Weights) -> Vec<Rows> {
        let groupings = self.columns.groupings.iter().zip(&self.shapes);
        let of = |(grouping, shape): (&crate::predictor::Grouping, &crate::blocks::Shape)| {
            let (n, q) = (weights.root.len(), grouping.q);
            let mut z = Vec::with_capacity(n * q);
            for (i, root) in weights.root.iter().enumerate() {
                z.extend((0..q).map(|k| grouping.z[k * n + i] * root));
            }
            let (codes, signs) = (grouping.codes.clone(), weights.signs.clone());
            Rows { shape: shape.clone(), z, codes, signs }
        };
        groupings.map(of).collect()
    }

    /// `Zᵀx` of each factor, level by level.
    pub fn gathered(&self, x: &[f64]) -> Vec<Vec<f64>> {
        let groupings = self.columns.groupings.iter();
        groupings
            .map(|grouping| {
                let mut sums = vec![0.0; grouping.n_levels * grouping.q];
                grouping.gather(0..x.len(), x, &mut sums);
                sums
            })
            .collect()
    }
}

/// What rows count in least squares: `sign · root²`.
#[derive(Clone)]
pub struct Weights {
    pub root: Vec<f64>,
    /// Empty where all are 1.
    pub signs: Vec<f64>,
}

impl Weights {
    /// Curvatures as they are; those of (nearly) nothing count as a little.
    pub fn of(curvatures: &[f64]) -> Self {
        let least = least(curvatures);
        let root = curvatures.iter().map(|h| h.abs().max(least).sqrt()).collect();
        // Differences of slopes have rounding errors of their own.
        let down = |h: &f64| *h > -1e5 * least;
        let signs = if curvatures.iter().all(down) {
            Vec::new()
        } else {
            curvatures.iter().map(|h| if down(h) { 1.0 } else { -1.0 }).collect()
        };
        Self { root, signs }
    }

    /// The same where rows that curve upwards count as next to nothing.
    pub fn downwards(curvatures: &[f64]) -> Self {
        let least = LITTLE / LEAST * least(curvatures);
        Self { root: curvatures.iter().map(|h| h.max(least).sqrt()).collect(), signs: Vec::new() }
    }

    pub fn at(&self, row: usize) -> f64 {
        self.signs.get(row).copied().unwrap_or(1.0) * self.root[row] * self.root[row]
    }
}

fn least(curvatures: &[f64]) -> f64 {
    let mean = curvatures.iter().map(|h| h.abs()).sum::<f64>() / curvatures.len().max(1) as f64;
    (LEAST * mean).max(f64::MIN_POSITIVE)
}
