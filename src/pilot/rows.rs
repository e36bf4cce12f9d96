//! The likelihood of all rows at an estimate: weights and working residuals.
//!
//! They are averages over what the levels' coefficients may be, by Gauss–Hermite quadrature. At
//! their mode alone, a level with one or two yes/no rows would have no information at all where its
//! rows are all alike, and its sd would come out far too small.

use super::Estimate;
use super::products::level_precision;
use crate::general::{General, Part};
use crate::linalg::inverse_ridged;
use crate::predictor::{CHUNK, Grouping};
use crate::whitening::Whitening;

/// Nodes and weights of Gauss–Hermite quadrature for a standard normal variable.
const NODES: [(f64, f64); 7] = [
    (-3.750_439_717_725_742, 5.482_688_559_722_179e-4),
    (-2.366_759_410_734_541, 3.075_712_396_758_651e-2),
    (-1.154_405_394_739_968, 2.401_231_786_050_127e-1),
    (0.0, 4.571_428_571_428_571e-1),
    (1.154_405_394_739_968, 2.401_231_786_050_127e-1),
    (2.366_759_410_734_541, 3.075_712_396_758_651e-2),
    (3.750_439_717_725_742, 5.482_688_559_722_179e-4),
];
/// Curvature is found from slopes this far apart at least: of a mean that has the unit of the response,
/// in residual sds.
const LEAST_SPREAD: f64 = 1e-3;

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

/// The log likelihood and its slopes by one predictor and the dispersion, averaged over the spread
/// of that predictor; and its curvature by the predictor, negative.
pub(super) struct Averaged {
    pub logp: f64,
    pub slopes: Vec<f64>,
    pub curvature: Vec<f64>,
    pub by_u: Vec<f64>,
}

pub(super) fn averaged(
    model: &General,
    eta: &[Vec<f64>],
    spread: &[f64],
    u: &[f64],
    which: usize,
) -> Averaged {
    let n = eta[which].len();
    let mut mean = Averaged {
        logp: 0.0,
        slopes: vec![0.0; n],
        curvature: vec![0.0; n],
        by_u: vec![0.0; u.len()],
    };
    let least = least_spread(model, eta, u, which);
    let spread: Vec<f64> = spread.iter().zip(least).map(|(s, least)| s.max(least)).collect();
    for (node, weight) in NODES {
        let mut eta = eta.to_vec();
        eta[which].iter_mut().zip(&spread).for_each(|(eta, s)| *eta += s * node);
        let at = likelihood(model, eta, u);
        mean.logp += weight * at.logp;
        for (by_u, own) in mean.by_u.iter_mut().zip(at.by_u) {
            *by_u += weight * own;
        }
        // E f″(η + s x) = E x f′(η + s x) / s (Stein).
        for (i, slope) in at.slopes[which].iter().enumerate() {
            mean.slopes[i] += weight * slope;
            mean.curvature[i] -= weight * node * slope / spread[i];
        }
    }
    mean
}

fn least_spread(model: &General, eta: &[Vec<f64>], u: &[f64], which: usize) -> Vec<f64> {
    let n = eta[which].len();
    if which > 0 || !model.likelihood.has_sigma() {
        return vec![LEAST_SPREAD; n];
    }
    if let Some(log_sigma) = eta.get(1) {
        return log_sigma.iter().map(|own| LEAST_SPREAD * own.exp()).collect();
    }
    let mut values = vec![0.0; model.n_values()];
    model.dispersion.at(u, &mut values, &mut vec![0.0; u.len()], &mut vec![0.0; u.len()]);
    vec![LEAST_SPREAD * values[0]; n]
}

/// How far the levels' coefficients let each row's predictor vary: its sd, factors independent.
pub(super) fn spread(part: &Part, levels: &[Whitening], precision: &[Vec<f64>]) -> Vec<f64> {
    let n = part.columns.n;
    let mut variance = vec![0.0; n];
    for ((grouping, own), precision) in part.columns.groupings.iter().zip(levels).zip(precision) {
        add_variance(grouping, own, precision, &mut variance);
    }
    variance.iter().map(|v| v.max(0.0).sqrt()).collect()
}

/// Add the variances of the rows' predictors that one factor makes.
pub(super) fn add_variance(
    grouping: &Grouping,
    own: &Whitening,
    precision: &[f64],
    variance: &mut [f64],
) {
    let (q, all) = (own.q, 0..variance.len());
    let each: Vec<Vec<f64>> = (0..own.n_levels)
        .map(|level| {
            let m = level_precision(own, precision, level);
            inverse_ridged(&m, q).unwrap_or_else(|| vec![0.0; q * q])
        })
        .collect();
    for i in 0..q {
        for j in 0..q {
            let (a, b) = (grouping.column(i, &all), grouping.column(j, &all));
            for (row, variance) in variance.iter_mut().enumerate() {
                let level = grouping.codes[row] as usize;
                *variance += a[row] * b[row] * each[level][i * q + j];
            }
        }
    }
}

/// Weights are the curvature of the log likelihood.
pub(super) fn working_rows(
    model: &General,
    estimates: &[Estimate],
    u: &[f64],
    which: usize,
) -> WorkingRows {
    let mut eta = predictors(model, estimates);
    let at = averaged(model, &eta, &estimates[which].spread, u, which);
    let weights = usable_weights(at.curvature);
    let residual = |(slope, w): (&f64, &f64)| if slope.is_finite() { slope / w } else { 0.0 };
    let residuals = at.slopes.iter().zip(&weights).map(residual).collect();
    WorkingRows { logp: at.logp, eta: eta.swap_remove(which), weights, residuals }
}

pub(super) fn usable_weights(mut weights: Vec<f64>) -> Vec<f64> {
    let usable = weights.iter().filter(|w| **w > 0.0 && w.is_finite());
    let mean = usable.sum::<f64>() / weights.len().max(1) as f64;
    let least = if mean > 0.0 { LEAST_WEIGHT * mean } else { 1.0 };
    for w in &mut weights {
        *w = if w.is_finite() { w.max(least) } else { least };
    }
    weights
}
