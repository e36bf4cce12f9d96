//! What the pilot found → the coordinates in which NUTS walks, and where it starts.
//!
//! For each factor: the information of its levels, with the coefficients of factors nested in it
//! integrated out at the pilot's variances, and a target such that the conditional mean at the
//! pilot's estimate is the estimate. For the population coefficients: a basis in which their
//! posterior is roughly standard normal.

use super::follow::drift;
use super::nesting::{integrate, share_information};
use super::products::{Products, add_prior_curvature};
use super::rows::working_rows;
use super::{DEPENDENT, Estimate};
use crate::general::{General, GroupPrior, Part};
use crate::linalg::{cholesky_ridged, inverse_ridged, solve_lower_transposed};
use crate::predictor::dot;
use crate::prior::Support;
use crate::whitening::Whitening;

pub(super) fn settle(
    model: &mut General,
    mut estimates: Vec<Estimate>,
    u: &[f64],
) -> Result<(), String> {
    for (part, at) in model.parts.iter().zip(&mut estimates) {
        move_means(part, at);
    }
    let (mut start, mut effects) = (Vec::new(), Vec::new());
    for which in 0..model.parts.len() {
        let rows = working_rows(model, &estimates, u, which);
        let part = &model.parts[which];
        let mut products = Products::new(part, &rows.weights);
        for g in 0..part.factors.len() {
            products.set_scores(&rows.residuals, g);
        }
        let Products { population: mut base, mut levels, .. } = products;
        share_information(part, &rows.weights, &mut levels);
        let drifts: Vec<_> =
            (0..levels.len()).map(|g| drift(model, &estimates, u, which, g, &levels[g])).collect();
        let (part, at) = (&mut model.parts[which], &estimates[which]);
        add_prior_curvature(part, at, &mut base, &mut vec![0.0; at.c.len()]);
        let precision = integrate(part, at, &base, &mut levels).unwrap_or_else(|| base.clone());
        settle_coefficients(part, at, &precision)
            .or_else(|| settle_coefficients(part, at, &base))
            .ok_or(DEPENDENT)?;
        let v = part.coefficients.from_c(&at.c);
        for (v, bounded) in v.iter().zip(&part.coefficients.bounded) {
            start.push(bounded.as_ref().map_or(0.0, |scalar| scalar.support.unconstrain(*v)));
        }
        for (g, (mut own, drift)) in levels.into_iter().zip(drifts).enumerate() {
            own.drift = drift;
            set_targets(&mut own, at, g);
            settle_factor(part, at, g, own, &mut start, &mut effects);
        }
    }
    start.extend(u);
    start.extend(effects);
    model.start = start;
    Ok(())
}

/// Where c stands for the sum of b and the factors' means, bring the estimate to that form.
pub(super) fn move_means(part: &Part, at: &mut Estimate) {
    for (factor, r) in part.factors.iter().zip(&mut at.r) {
        if factor.twin.is_empty() {
            continue;
        }
        let minus: Vec<f64> = r.iter().map(|r| -r).collect();
        factor.take_mean(&minus, &mut at.c);
        let (q, levels) = (factor.whitening.q, factor.whitening.n_levels as f64);
        for k in 0..q {
            let mean = r.iter().skip(k).step_by(q).sum::<f64>() / levels;
            r.iter_mut().skip(k).step_by(q).for_each(|r| *r -= mean);
        }
    }
}

/// Turn scores (ZᵀWe) into targets: at the estimate, h is the score and what H makes of r.
fn set_targets(own: &mut Whitening, at: &Estimate, g: usize) {
    let (q, p) = (own.q, own.p);
    for level in 0..own.n_levels {
        for a in 0..q {
            let row = level * q + a;
            let mut target = dot(&own.cross[row * p..][..p], &at.c);
            target += dot(&own.information[row * q..][..q], &at.r[g][level * q..][..q]);
            for ancestor in &own.ancestors {
                let there = &at.r[ancestor.factor][ancestor.levels[level] as usize * ancestor.q..];
                target +=
                    dot(&ancestor.cross[row * ancestor.q..][..ancestor.q], &there[..ancestor.q]);
            }
            own.target[row] += target;
        }
    }
}

fn settle_coefficients(part: &mut Part, at: &Estimate, precision: &[f64]) -> Option<()> {
    let coefficients = &mut part.coefficients;
    let (p, free) = (coefficients.len(), coefficients.free());
    let v = coefficients.from_c(&at.c);
    let n = free.len();
    // Precision of the free v: mapᵀ P map.
    let mut own = vec![0.0; n * n];
    for (a, &i) in free.iter().enumerate() {
        for (b, &j) in free.iter().enumerate() {
            own[a * n + b] = (0..p)
                .flat_map(|k| (0..p).map(move |l| (k, l)))
                .map(|(k, l)| {
                    let map = &coefficients.map;
                    map[k * p + i] * precision[k * p + l] * map[l * p + j]
                })
                .sum();
        }
    }
    cholesky_ridged(&mut own, n)?;
    let mut basis = vec![0.0; n * n];
    for k in 0..n {
        let mut column = vec![0.0; n];
        column[k] = 1.0;
        solve_lower_transposed(&own, n, &mut column);
        for i in 0..n {
            basis[i * n + k] = column[i];
        }
    }
    coefficients.basis = basis;
    coefficients.centre = free.iter().map(|&k| v[k]).collect();
    Some(())
}

fn settle_factor(
    part: &mut Part,
    at: &Estimate,
    g: usize,
    own: Whitening,
    start: &mut Vec<f64>,
    effects: &mut Vec<f64>,
) {
    let factor = &mut part.factors[g];
    let (q, n_levels) = (own.q, own.n_levels as f64);
    let typical = |k: usize| {
        let each = own.information.iter().skip(k * (q + 1)).step_by(q * q);
        (each.sum::<f64>().max(0.0) / n_levels).sqrt()
    };
    match &mut factor.prior {
        GroupPrior::Separate(scalars) => {
            for (k, (scalar, r)) in scalars.iter_mut().zip(&at.r[g]).enumerate() {
                let information = own.information[k / q * q * q + (k % q) * (q + 1)];
                if let Support::Real { centre, unit } = &mut scalar.support {
                    *centre = *r;
                    if information > 0.0 {
                        *unit = unit.min(1.0 / information.sqrt());
                    }
                }
                effects.push(scalar.support.unconstrain(*r));
            }
            return;
        }
        GroupPrior::Normal { .. } => {}
        GroupPrior::Hierarchical { sd, covariance } => {
            let sigma = inverse_ridged(&at.precision[g], q);
            for (k, scalar) in sd.iter_mut().enumerate() {
                let found = sigma.as_ref().map_or(scalar.start, |s| s[k * q + k].sqrt());
                if let Support::Signed { unit, .. } = &mut scalar.support {
                    // A size below which an sd can hardly be told from 0.
                    let resolution = 1.0 / (typical(k) * n_levels.powf(0.25));
                    if resolution.is_finite() && resolution > 0.0 {
                        *unit = resolution.min(10.0 * scalar.start.max(found));
                    }
                }
                start.push(scalar.support.unconstrain(found));
            }
            start.extend(std::iter::repeat_n(0.0, covariance.n_correlations()));
        }
    }
    effects.extend(std::iter::repeat_n(0.0, at.r[g].len()));
    factor.whitening = own;
    factor.whitening.loose_mean = !factor.twin.is_empty();
}
