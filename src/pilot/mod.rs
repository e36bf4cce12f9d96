//! A quick approximate fit before sampling: it sets the coordinates in which NUTS walks, and where
//! it starts. The posterior does not depend on it, only the speed.
//!
//! Penalised iteratively reweighted least squares: weights and working residuals from the
//! likelihood's slopes, population coefficients and one factor at a time solved jointly (an arrow
//! matrix), variances of the group coefficients by EM, dispersion parameters by Newton steps
//! (Breslow & Clayton 1993, §2). Slopes and curvatures are averages over what the coefficients may
//! be rather than those at their mode (a Gaussian variational approximation: Ormerod & Wand 2012).

mod follow;
mod nesting;
mod products;
mod rows;
mod settle;
mod variances;

use crate::general::{Coordinates, General, GroupPrior, Part};
use crate::linalg::inverse_ridged;
use crate::prior::Support;
use products::Products;
use rows::{averaged, predictors, spread, working_rows};
use settle::{settle, stay};
use variances::{Stride, covariances, follow_variances, improve_variances};

const ITERATIONS: usize = 50;
/// Change of log sds at which they are good enough.
const NARROW: f64 = 0.02;
/// Change of the objective at which the fit is good enough.
const CLOSE: f64 = 0.05;
const DEPENDENT: &str = "the columns of the model are linearly dependent";

/// The state of the fit of one linear predictor.
#[derive(Clone)]
struct Estimate {
    c: Vec<f64>,
    r: Vec<Vec<f64>>,
    /// Prior precision of each factor's coefficients, and what they are drawn to.
    precision: Vec<Vec<f64>>,
    mean: Vec<Vec<f64>>,
    /// Sd of each row's predictor, given c.
    spread: Vec<f64>,
    /// Of each factor's sds.
    strides: Vec<Vec<Stride>>,
}

/// Fit, and find the model's start, and its coordinates if it will be walked in. `c` holds a first
/// guess for each part.
pub fn calibrate(model: &General, c: Vec<Vec<f64>>, walked: bool) -> Result<Coordinates, String> {
    let mut estimates: Vec<Estimate> =
        model.parts.iter().zip(c).map(|(part, c)| first_guess(part, c)).collect();
    let mut u = model.dispersion.start();
    let mut best = objective(model, &estimates, &u, 0);
    for _ in 0..ITERATIONS {
        for which in 0..model.parts.len() {
            improve(model, &mut estimates, &u, which, None)?;
        }
        improve_dispersion(model, &estimates, &mut u);
        let now = objective(model, &estimates, &u, 0);
        let strides = estimates.iter().flat_map(|at| at.strides.iter().flatten());
        let settled = strides.map(|stride| stride.last.abs()).fold(0.0, f64::max) < NARROW;
        if (now - best).abs() < CLOSE && (settled || !walked) {
            break;
        }
        best = now;
    }
    if walked { settle(model, estimates, u) } else { Ok(stay(model, estimates, u)) }
}

fn first_guess(part: &Part, c: Vec<f64>) -> Estimate {
    let whitenings = part.factors.iter().map(|factor| &factor.whitening);
    let r = whitenings.map(|w| vec![0.0; w.n_levels * w.q]).collect();
    let priors = part.factors.iter().map(|f| first_prior(&f.prior, f.whitening.q));
    let (precision, mean) = priors.unzip();
    let spread = vec![0.0; part.columns.n];
    let strides = part.factors.iter().map(|f| vec![Stride::default(); f.whitening.q]).collect();
    Estimate { c, r, precision, mean, spread, strides }
}

/// Precision and mean of a level's coefficients, from a prior or its start.
fn first_prior(prior: &GroupPrior, q: usize) -> (Vec<f64>, Vec<f64>) {
    let (mut precision, mut mean) = (vec![0.0; q * q], vec![0.0; q]);
    match prior {
        GroupPrior::Hierarchical { sd, .. } => {
            for (k, sd) in sd.iter().enumerate() {
                precision[k * q + k] = sd.start.powi(-2);
            }
        }
        GroupPrior::Normal { lambda, mean: fixed } => {
            mean.clone_from(fixed);
            let mut sigma = vec![0.0; q * q];
            for i in 0..q {
                for j in 0..q {
                    sigma[i * q + j] = (0..q).map(|k| lambda[i * q + k] * lambda[j * q + k]).sum();
                }
            }
            precision = inverse_ridged(&sigma, q).unwrap_or(precision);
        }
        GroupPrior::Separate(scalars) => {
            for k in 0..q {
                mean[k] = scalars[k].start;
                let unit = match scalars[k].support {
                    Support::Real { unit, .. } | Support::Above { unit, .. } => unit,
                    Support::Below { unit, .. } | Support::Signed { unit, .. } => unit,
                    Support::Between { low, high } => high - low,
                };
                precision[k * q + k] = unit.powi(-2);
            }
        }
    }
    (precision, mean)
}

/// Penalised log likelihood, averaged over the spread of one predictor.
fn objective(model: &General, estimates: &[Estimate], u: &[f64], which: usize) -> f64 {
    let eta = predictors(model, estimates);
    let logp = averaged(model, &eta, &estimates[which].spread, u, which).logp;
    penalised(logp, model, estimates)
}

/// A log likelihood with the log priors of all coefficients.
fn penalised(logp: f64, model: &General, estimates: &[Estimate]) -> f64 {
    let mut total = logp;
    for (part, estimate) in model.parts.iter().zip(estimates) {
        let mut unused = vec![0.0; estimate.c.len()];
        for prior in &part.coefficients.priors {
            total += prior.add(&estimate.c, 0.0, &mut unused).0;
        }
        for (g, factor) in part.factors.iter().enumerate() {
            let (q, mean) = (factor.whitening.q, &estimate.mean[g]);
            for r in estimate.r[g].chunks_exact(q.max(1)) {
                for i in 0..q {
                    for j in 0..q {
                        let product = (r[i] - mean[i]) * (r[j] - mean[j]);
                        total -= 0.5 * estimate.precision[g][i * q + j] * product;
                    }
                }
            }
        }
    }
    total
}

/// One reweighted step of one predictor, halved while it does not improve the fit; the variances of
/// the `held` factor stay.
fn improve(
    model: &General,
    estimates: &mut [Estimate],
    u: &[f64],
    which: usize,
    held: Option<usize>,
) -> Result<(), String> {
    let rows = working_rows(model, estimates, u, which);
    let before = penalised(rows.logp, model, estimates);
    let part = &model.parts[which];
    // What c and r should explain: their present part of eta, and the residual.
    let mut explained = rows.eta;
    explained.iter_mut().zip(&part.columns.offset).for_each(|(eta, offset)| *eta -= offset);
    let target: Vec<f64> = rows.residuals.iter().zip(explained).map(|(e, eta)| e + eta).collect();
    let (old_c, old_r) = (estimates[which].c.clone(), estimates[which].r.clone());
    let mut products = Products::new(part, &rows.weights);
    let sweeps = if part.factors.len() > 1 { 3 } else { 1 };
    for _ in 0..sweeps {
        for g in 0..part.factors.len().max(1) {
            products.solve(&mut estimates[which], &target, g).ok_or(DEPENDENT)?;
        }
    }
    for _ in 0..6 {
        if objective(model, estimates, u, which) >= before - CLOSE {
            break;
        }
        let here = &mut estimates[which];
        for (new, old) in here.c.iter_mut().zip(&old_c) {
            *new = 0.5 * (*new + old);
        }
        for (new, old) in here.r.iter_mut().flatten().zip(old_r.iter().flatten()) {
            *new = 0.5 * (*new + old);
        }
    }
    let at = &mut estimates[which];
    let old = at.precision.clone();
    let (narrow, levels) = (spread(part, &products.levels, &old), products.levels.clone());
    improve_variances(part, &covariances(part, at, products, &rows.weights), at, held);
    follow_variances(&levels, &old, at).ok_or(DEPENDENT)?;
    let wide = spread(part, &levels, &at.precision);
    for ((spread, narrow), wide) in at.spread.iter_mut().zip(narrow).zip(wide) {
        // Half a step, as steep responses would go to and fro.
        *spread =
            if *spread > 0.0 && narrow > 0.0 { wide * (*spread / narrow).sqrt() } else { wide };
    }
    Ok(())
}

/// Newton steps on each dispersion coordinate by itself.
fn improve_dispersion(model: &General, estimates: &[Estimate], u: &mut [f64]) {
    let eta = predictors(model, estimates);
    let slope = |u: &[f64], k: usize| averaged(model, &eta, &estimates[0].spread, u, 0).by_u[k];
    for k in 0..u.len() {
        let step = 1e-3;
        let here = slope(u, k);
        let mut there = u.to_vec();
        there[k] += step;
        let curvature = (slope(&there, k) - here) / step;
        let newton = if curvature < 0.0 { -here / curvature } else { here.signum() * 0.5 };
        if newton.is_finite() {
            u[k] += newton.clamp(-1.0, 1.0);
        }
    }
}
