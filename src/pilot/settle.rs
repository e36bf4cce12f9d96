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
use crate::general::{
    Coefficients, Coordinates, Factor, FactorCoordinates, General, GroupPrior, Part,
    PartCoordinates,
};
use crate::linalg::{cholesky_ridged, inverse_ridged, solve_lower_transposed};
use crate::parallel::{all_threads, one_by_one};
use crate::predictor::dot;
use crate::prior::{Scalar, Support};
use crate::whitening::Whitening;

pub(super) fn settle(
    model: &General,
    mut estimates: Vec<Estimate>,
    u: Vec<f64>,
) -> Result<Coordinates, String> {
    for (part, at) in model.parts.iter().zip(&mut estimates) {
        move_means(part, at);
    }
    let (mut start, mut effects, mut parts) = (Vec::new(), Vec::new(), Vec::new());
    for (which, (part, at)) in model.parts.iter().zip(&estimates).enumerate() {
        let rows = working_rows(model, &estimates, &u, which);
        let mut products = Products::new(part, &rows.weights);
        for g in 0..part.factors.len() {
            products.set_scores(&rows.residuals, g);
        }
        let Products { population: mut base, mut levels, .. } = products;
        share_information(part, &rows.weights, &mut levels);
        let drifts = one_by_one(levels.len(), all_threads(), |g| {
            drift(model, &estimates, &u, which, g, &levels[g])
        });
        add_prior_curvature(part, at, &mut base, &mut vec![0.0; at.c.len()]);
        let precision = integrate(part, at, &base, &mut levels).unwrap_or_else(|| base.clone());
        let coefficients = &part.coefficients;
        let v = coefficients.from_c(&at.c);
        let basis = basis(coefficients, &precision)
            .or_else(|| basis(coefficients, &base))
            .ok_or(DEPENDENT)?;
        for (v, bounded) in v.iter().zip(&coefficients.bounded) {
            start.push(bounded.as_ref().map_or(0.0, |scalar| scalar.support.unconstrain(*v)));
        }
        let mut factors = Vec::new();
        for (g, (mut own, drift)) in levels.into_iter().zip(drifts).enumerate() {
            own.drift = drift;
            set_targets(&mut own, at, g);
            factors.push(settle_factor(&part.factors[g], at, g, own, &mut start, &mut effects));
        }
        let centre = coefficients.free().iter().map(|&k| v[k]).collect();
        parts.push(PartCoordinates { centre, basis, factors });
    }
    start.extend(u);
    start.extend(effects);
    Ok(Coordinates { parts, start })
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

/// The coordinates that the model has, around the estimate: where nobody walks in them.
pub(super) fn stay(model: &General, mut estimates: Vec<Estimate>, u: Vec<f64>) -> Coordinates {
    let of_part = |(part, at): (&Part, &mut Estimate)| {
        move_means(part, at);
        let coefficients = &part.coefficients;
        let v = coefficients.from_c(&at.c);
        let factors = part.factors.iter().map(|factor| FactorCoordinates {
            whitening: factor.whitening.clone(),
            supports: Vec::new(),
        });
        PartCoordinates {
            centre: coefficients.free().iter().map(|&k| v[k]).collect(),
            basis: coefficients.basis.clone(),
            factors: factors.collect(),
        }
    };
    let parts = model.parts.iter().zip(&mut estimates).map(of_part).collect();
    let mut start = vec![0.0; model.n_hyper() - u.len()];
    start.extend(u);
    Coordinates { parts, start }
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

/// Steps of the free coefficients in which a posterior of c with this precision is standard normal.
fn basis(coefficients: &Coefficients, precision: &[f64]) -> Option<Vec<f64>> {
    let (p, free) = (coefficients.len(), coefficients.free());
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
    Some(basis)
}

/// Coordinates of a factor whose levels have `own` information; adds where its sds and correlations
/// start, and its effects.
fn settle_factor(
    factor: &Factor,
    at: &Estimate,
    g: usize,
    mut own: Whitening,
    start: &mut Vec<f64>,
    effects: &mut Vec<f64>,
) -> FactorCoordinates {
    let q = own.q;
    let supports = match &factor.prior {
        GroupPrior::Separate(scalars) => {
            let supports = separate_supports(scalars, &at.r[g], &own);
            effects.extend(supports.iter().zip(&at.r[g]).map(|(s, r)| s.unconstrain(*r)));
            return FactorCoordinates { whitening: factor.whitening.clone(), supports };
        }
        GroupPrior::Normal { .. } => Vec::new(),
        GroupPrior::Hierarchical { sd, covariance } => {
            let sigma = inverse_ridged(&at.precision[g], q);
            let sd_of = |k: usize, s: &Vec<f64>| s[k * q + k].sqrt();
            let found: Vec<f64> = (0..q)
                .map(|k| sigma.as_ref().map_or(sd[k].start, |sigma| sd_of(k, sigma)))
                .collect();
            let supports = sd_supports(sd, &found, &own);
            start.extend(supports.iter().zip(&found).map(|(s, sd)| s.unconstrain(*sd)));
            start.extend(std::iter::repeat_n(0.0, covariance.n_correlations()));
            supports
        }
    };
    effects.extend(std::iter::repeat_n(0.0, at.r[g].len()));
    own.loose_mean = !factor.twin.is_empty();
    FactorCoordinates { whitening: own, supports }
}

/// Coefficients that have one prior each: around what was found, no wider than the rows say.
fn separate_supports(scalars: &[Scalar], r: &[f64], own: &Whitening) -> Vec<Support> {
    let q = own.q;
    let each = scalars.iter().zip(r).enumerate().map(|(k, (scalar, r))| {
        let information = own.information[k / q * q * q + (k % q) * (q + 1)];
        let mut support = scalar.support;
        if let Support::Real { centre, unit } = &mut support {
            *centre = *r;
            if information > 0.0 {
                *unit = unit.min(1.0 / information.sqrt());
            }
        }
        support
    });
    each.collect()
}

/// Sds that may have a sign: their unit is a size below which one can hardly be told from 0.
fn sd_supports(sd: &[Scalar], found: &[f64], own: &Whitening) -> Vec<Support> {
    let (q, n_levels) = (own.q, own.n_levels as f64);
    let typical = |k: usize| {
        let each = own.information.iter().skip(k * (q + 1)).step_by(q * q);
        (each.sum::<f64>().max(0.0) / n_levels).sqrt()
    };
    let each = sd.iter().zip(found).enumerate().map(|(k, (scalar, found))| {
        let mut support = scalar.support;
        if let Support::Signed { unit, .. } = &mut support {
            let resolution = 1.0 / (typical(k) * n_levels.powf(0.25));
            if resolution.is_finite() && resolution > 0.0 {
                *unit = resolution.min(10.0 * scalar.start.max(*found));
            }
        }
        support
    });
    each.collect()
}
