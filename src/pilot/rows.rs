//! The likelihood of all rows at an estimate: weights and working residuals.

use super::Estimate;
use crate::general::General;
use crate::predictor::CHUNK;

/// Weights below this share of their mean are raised to it: steps stay within reason.
const LEAST_WEIGHT: f64 = 1e-2;

/// The linear predictors of all rows, part by part.
pub(super) fn predictors(model: &General, estimates: &[Estimate]) -> Vec<Vec<f64>> {
    let n = model.likelihood.n_rows();
    let parts = model.parts.iter().zip(estimates);
    parts
        .map(|(part, at)| {
            let mut eta = vec![0.0; n];
            part.columns.fill(0..n, &at.c, &at.r, &mut eta);
            eta
        })
        .collect()
}

/// The log likelihood with its slopes.
pub(super) struct AtRows {
    pub logp: f64,
    /// By the linear predictors, part by part.
    pub slopes: Vec<Vec<f64>>,
    /// By the coordinates of the dispersion, their prior included.
    pub by_u: Vec<f64>,
}

/// `eta` as from [`predictors`]; the dispersion parameters are at `u`.
pub(super) fn likelihood(model: &General, mut eta: Vec<Vec<f64>>, u: &[f64]) -> AtRows {
    let n = model.likelihood.n_rows();
    let mut values = vec![0.0; model.n_values()];
    let (mut value_slopes, mut by_u) = (vec![0.0; u.len()], vec![0.0; u.len()]);
    model.dispersion.at(u, &mut values, &mut value_slopes, &mut by_u);
    let mut by_values = vec![0.0; values.len()];
    let mut logp = model.likelihood.shared(&values, &mut by_values);
    let (first, second) = eta.split_at_mut(1);
    for start in (0..n).step_by(CHUNK) {
        let range = start..(start + CHUNK).min(n);
        let eta = &mut first[0][range.clone()];
        let log_sigma = match second.first_mut() {
            Some(log_sigma) => &mut log_sigma[range.clone()],
            None => &mut [],
        };
        logp += model.likelihood.rows_in_vectors(
            range,
            &values,
            eta,
            log_sigma,
            &mut by_values,
            &mut [],
        );
    }
    model.dispersion.pull_back(&value_slopes, &by_values, &mut by_u);
    AtRows { logp, slopes: eta, by_u }
}

/// The rows as one predictor's least squares see them.
pub(super) struct WorkingRows {
    pub logp: f64,
    pub eta: Vec<f64>,
    pub weights: Vec<f64>,
    /// Slopes over weights.
    pub residuals: Vec<f64>,
}

/// Weights are the curvature of the log likelihood by a central difference of its slopes.
pub(super) fn working_rows(
    model: &General,
    estimates: &[Estimate],
    u: &[f64],
    which: usize,
) -> WorkingRows {
    let mut eta = predictors(model, estimates);
    let at = |shift: f64| {
        let mut eta = eta.clone();
        eta[which].iter_mut().for_each(|eta| *eta += shift);
        let AtRows { logp, mut slopes, .. } = likelihood(model, eta, u);
        (logp, slopes.swap_remove(which))
    };
    let step = 1e-4;
    let (up, down) = (at(step).1, at(-step).1);
    let (logp, slope) = at(0.0);
    let mut weights: Vec<f64> = up.iter().zip(&down).map(|(a, b)| (b - a) / (2.0 * step)).collect();
    let usable = weights.iter().filter(|w| **w > 0.0 && w.is_finite());
    let mean = usable.sum::<f64>() / weights.len().max(1) as f64;
    let least = if mean > 0.0 { LEAST_WEIGHT * mean } else { 1.0 };
    for w in &mut weights {
        *w = if w.is_finite() { w.max(least) } else { least };
    }
    let residual = |(slope, w): (&f64, &f64)| if slope.is_finite() { slope / w } else { 0.0 };
    let residuals = slope.iter().zip(&weights).map(residual).collect();
    WorkingRows { logp, eta: eta.swap_remove(which), weights, residuals }
}
