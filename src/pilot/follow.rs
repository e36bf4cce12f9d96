//! How the information and targets of a factor's levels follow its sds: the fit with these sds held
//! at a few sizes below and above those that were found.
//!
//! Population coefficients and other factors are fitted again too: with the sd of levels of few
//! yes/no rows all else grows in proportion, and what those rows then say is another thing.

use super::products::Products;
use super::rows::working_rows;
use super::settle::move_means;
use super::{Estimate, improve};
use crate::general::{Factor, General, GroupPrior};
use crate::linalg::inverse_ridged;
use crate::parallel::{all_threads, one_by_one};
use crate::predictor::dot;
use crate::spline::Spline;
use crate::whitening::{Drift, Whitening, place};

/// Logs of the sizes at which there are fits, 0 being where the pilot ended; beyond the last of
/// them every `LONG`, to `BEYOND` what the prior expects, as sds of levels of one row may be anything.
const NEAR: [f64; 5] = [-0.9, -0.45, 0.0, 0.45, 0.9];
const HOME: usize = 2;
const LONG: f64 = 0.9;
const BEYOND: f64 = 1.8;
const FARTHEST: f64 = 5.4;
/// The first fit, which shows whether there is anything to follow, is at least that far.
const LEAST: f64 = 0.45;
/// Steps of a fit at most, and of the first, which shows whether there is anything to follow.
const ITERATIONS: usize = 15;
const GLANCE: usize = 4;
/// Share by which coefficients still move, root mean square, at which a fit is good enough.
const CLOSE: f64 = 0.01;
/// H as a power of the sds: no steeper than that, either way.
const STEEPEST: f64 = 2.5;
/// Change of log volume within an sd of the log sd, in those of the energy, that is worth the work.
const SHARE: f64 = 0.05;

/// What the levels of one factor say at a size of its sds.
struct Levels {
    /// Log of their information over that where the pilot ended.
    log_factor: Vec<f64>,
    /// What h has beside that factor.
    shift: Vec<f64>,
    /// Population coefficients, beside those where the pilot ended.
    slide: Vec<f64>,
}

/// The drift of a factor whose levels have `own` information and scores.
pub(super) fn drift(
    model: &General,
    estimates: &[Estimate],
    u: &[f64],
    which: usize,
    g: usize,
    own: &Whitening,
) -> Option<Drift> {
    let (part, at) = (&model.parts[which], &estimates[which]);
    let nests = |factor: &Factor| factor.whitening.ancestors.iter().any(|a| a.factor == g);
    // What is left of the outer information hangs on the inner sds instead.
    if part.factors.iter().any(nests) {
        return None;
    }
    let GroupPrior::Hierarchical { sd, .. } = &part.factors[g].prior else { return None };
    let sigma = inverse_ridged(&at.precision[g], own.q)?;
    let fit = |state: &mut Vec<Estimate>, log_size: f64, iterations: usize| {
        let scale = (-2.0 * log_size).exp();
        state[which].precision[g] = at.precision[g].iter().map(|p| p * scale).collect();
        for _ in 0..iterations {
            let before = state[which].r[g].clone();
            improve(model, state, u, which, Some(g)).ok()?;
            if is_close(&before, &state[which].r[g]) {
                break;
            }
        }
        let bound = STEEPEST * log_size.abs();
        levels_at(model, estimates, state, u, which, g, own, &sigma, bound)
    };
    let expected = sd.iter().enumerate().map(|(k, sd)| sd.start / sigma[k * own.q + k].sqrt());
    let expected = expected.fold(0.0, f64::max).ln().clamp(LEAST, FARTHEST);
    let glance = fit(&mut estimates.to_vec(), expected, GLANCE)?;
    if !matters(own, &sigma, &glance, expected) {
        return None;
    }
    let log_sizes = log_sizes(expected);
    let count = log_sizes.len();
    let mut log_factor = vec![0.0; count * own.n_levels];
    let mut shift = vec![0.0; count * own.n_levels * own.q];
    let mut slide = vec![0.0; count * own.p];
    for (knot, levels) in both_ways(estimates, &log_sizes, fit)? {
        log_factor[knot * own.n_levels..][..own.n_levels].copy_from_slice(&levels.log_factor);
        let size = own.n_levels * own.q;
        shift[knot * size..][..size].copy_from_slice(&levels.shift);
        slide[knot * own.p..][..own.p].copy_from_slice(&levels.slide);
    }
    // Coefficients with bounds have coordinates that a slide would leave.
    if part.coefficients.bounded.iter().any(Option::is_some) {
        slide.clear();
    }
    let finite = log_factor.iter().chain(&shift).chain(&slide).all(|x| x.is_finite());
    let places = log_sizes.iter().map(|log_size| place((2.0 * log_size).exp()).0);
    finite.then(|| Drift {
        reference: at.precision[g].iter().map(|p| p / own.q as f64).collect(),
        spline: Spline::new(places.collect()),
        log_factor,
        shift,
        slide,
    })
}

/// Fits at all sizes but the one where the pilot ended, from there on both ways.
fn both_ways(
    estimates: &[Estimate],
    log_sizes: &[f64],
    fit: impl Fn(&mut Vec<Estimate>, f64, usize) -> Option<Levels> + Sync,
) -> Option<Vec<(usize, Levels)>> {
    let ways: [Vec<usize>; 2] = [(0..HOME).rev().collect(), (HOME + 1..log_sizes.len()).collect()];
    let found = one_by_one(ways.len(), all_threads(), |k| -> Option<Vec<_>> {
        let mut state = estimates.to_vec();
        let at = |&knot: &usize| Some((knot, fit(&mut state, log_sizes[knot], ITERATIONS)?));
        ways[k].iter().map(at).collect()
    });
    let found: Option<Vec<Vec<_>>> = found.into_iter().collect();
    Some(found?.into_iter().flatten().collect())
}

/// Whether coefficients have hardly moved.
fn is_close(before: &[f64], now: &[f64]) -> bool {
    let moved: f64 = before.iter().zip(now).map(|(before, now)| (now - before).powi(2)).sum();
    moved <= CLOSE * CLOSE * dot(now, now)
}

/// Logs of the sizes at which there are fits, where the prior expects sds of this log size.
fn log_sizes(expected: f64) -> Vec<f64> {
    let mut log_sizes = NEAR.to_vec();
    let mut last = NEAR[NEAR.len() - 1];
    while last < (expected + BEYOND).min(FARTHEST) {
        last += LONG;
        log_sizes.push(last);
    }
    log_sizes
}

/// Whether the energy would hang on the sds, beside all that it hangs on.
fn matters(own: &Whitening, sigma: &[f64], glance: &Levels, log_size: f64) -> bool {
    let (q, mut volume, mut known) = (own.q as f64, 0.0, 0.0);
    for (level, log_factor) in glance.log_factor.iter().enumerate() {
        let information = size(own, sigma, level);
        let share = information / (1.0 + information);
        let there = information * (2.0 * log_size).exp();
        let change = ((1.0 + there * log_factor.exp()) / (1.0 + there)).ln();
        volume += (0.5 * q * change / log_size).abs();
        known += 2.0 * q * share * share;
    }
    volume / known.max(1.0).sqrt() > SHARE * (0.5 * q * own.n_levels as f64).sqrt()
}

/// tr(HΣ)/q of a level.
fn size(own: &Whitening, sigma: &[f64], level: usize) -> f64 {
    dot(&own.information[level * sigma.len()..][..sigma.len()], sigma) / own.q as f64
}

/// What the levels say at `state`, beside what `own` says at `estimates`.
#[allow(clippy::too_many_arguments)]
fn levels_at(
    model: &General,
    estimates: &[Estimate],
    state: &[Estimate],
    u: &[f64],
    which: usize,
    g: usize,
    own: &Whitening,
    sigma: &[f64],
    bound: f64,
) -> Option<Levels> {
    let part = &model.parts[which];
    let mut state = state.to_vec();
    move_means(part, &mut state[which]);
    let (home, at) = (&estimates[which], &state[which]);
    let rows = working_rows(model, &state, u, which);
    let mut products = Products::new(part, &rows.weights);
    products.set_scores(&rows.residuals, g);
    let levels = products.levels.swap_remove(g);
    let (q, p) = (own.q, own.p);
    let difference = |new: &[f64], old: &[f64]| -> Vec<f64> {
        new.iter().zip(old).map(|(new, old)| new - old).collect()
    };
    let of_c = difference(&at.c, &home.c);
    let of_r: Vec<_> = at.r.iter().zip(&home.r).map(|(new, old)| difference(new, old)).collect();
    let mut found = Levels {
        log_factor: vec![0.0; own.n_levels],
        shift: vec![0.0; own.n_levels * q],
        slide: of_c,
    };
    for level in 0..own.n_levels {
        let (before, now) = (size(own, sigma, level), size(&levels, sigma, level));
        let log_factor = if before > 0.0 && now > 0.0 { (now / before).ln() } else { 0.0 };
        let log_factor = log_factor.clamp(-bound, bound);
        found.log_factor[level] = log_factor;
        let r = level * q..(level + 1) * q;
        for a in 0..q {
            let row = level * q + a;
            let of_levels = |levels: &Whitening, at: &Estimate| {
                levels.target[row] + dot(&levels.information[row * q..][..q], &at.r[g][r.clone()])
            };
            let mut h = of_levels(own, home) - dot(&own.cross[row * p..][..p], &found.slide);
            for ancestor in &own.ancestors {
                let there = &of_r[ancestor.factor][ancestor.levels[level] as usize * ancestor.q..];
                let cross = &ancestor.cross[row * ancestor.q..][..ancestor.q];
                h -= dot(cross, &there[..ancestor.q]);
            }
            found.shift[row] = of_levels(&levels, at) - log_factor.exp() * h;
        }
    }
    Some(found)
}
