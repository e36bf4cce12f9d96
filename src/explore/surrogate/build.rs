//! Where the mass is, and a polynomial good enough there: rounds of evaluations where the last
//! polynomial expects the mass, until it foretells them.

use super::super::monomials::n_monomials;
use super::polynomial::{Polynomial, Sample};
use super::{State, Surrogate, Walker};
use crate::linalg::{cholesky, inverse_from_factor, solve_lower, solve_lower_transposed};
use crate::sampler::{Density, generator};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Monomials that are worth their evaluations.
const MAX_MONOMIALS: usize = 330;

/// Degrees of the polynomials tried, in this order.
const DEGREES: [usize; 6] = [2, 3, 4, 5, 6, 8];

/// Share of refused draws at which more evaluations gain nothing.
const GOOD: f64 = 0.02;

/// And at which more evaluations gain little, where no higher degree is worth it.
const FAIR: f64 = 0.07;

/// And at which the stand-in is of use.
const USABLE: f64 = 0.14;

/// Moves over the stand-in of which a round learns where its mass is, and more for each dimension.
const MOVES: (usize, usize) = (300, 75);

/// Evaluations of a round, and one more for each few monomials.
const FRESH: usize = 12;

/// How far beyond the mass evaluations are made.
const WIDER: f64 = 1.7;

/// Rounds with the last degree and ever more evaluations.
const EXTRA_ROUNDS: usize = 2;

/// Climbs from elsewhere, which have to end in the same region.
const OTHERS: usize = 2;

/// How far below the top of the density another mode does not matter.
const NOTHING: f64 = 20.0;

/// Steps of a climb, and tries of a step.
const MAX_STEPS: usize = 40;

/// What the next step of a climb would gain when it has arrived.
const CLIMBED: f64 = 1e-3;

/// Step of differences of slopes.
const DIFFERENCE: f64 = 1e-4;

/// A mode, and the factor of the covariance that the curvature there suggests.
struct Peak {
    mode: Vec<f64>,
    logp: f64,
    spread: Vec<f64>,
}

impl Peak {
    /// Whether a point lies close to the mode: some two sds away in each direction.
    fn has(&self, u: &[f64]) -> bool {
        let d = u.len();
        let mut z: Vec<f64> = u.iter().zip(&self.mode).map(|(u, mode)| u - mode).collect();
        solve_lower(&self.spread, d, &mut z);
        z.iter().map(|z| z * z).sum::<f64>() < 4.0 * d as f64
    }
}

/// A point where the density was evaluated.
#[derive(Clone)]
struct Known {
    u: Vec<f64>,
    logp: f64,
    slopes: Vec<f64>,
}

/// Build a stand-in; `None` where none of use was found, or when told to stop.
pub fn build<D: Density>(density: &D, stop: &AtomicBool) -> Option<Surrogate> {
    let mut density = density.clone();
    let d = density.dim();
    let mut rng = generator(0, 0, 2);
    let mut known = Vec::new();
    let peaks = find_peaks(&mut density, &mut rng, &mut known);
    let highest = peaks.first()?;
    let (mut centre, mut spread) = (highest.mode.clone(), highest.spread.clone());
    for _ in 0..2 * d + 4 {
        let z: Vec<f64> = (0..d).map(|_| WIDER * normal(&mut rng)).collect();
        evaluate(&mut density, &shifted(&centre, &spread, &z), &mut known);
    }
    let degrees = DEGREES.iter().filter(|&&k| k == 2 || n_monomials(d, k) <= MAX_MONOMIALS);
    let degrees: Vec<usize> = degrees.copied().collect();
    let mut best: Option<(f64, usize, Surrogate)> = None;
    for round in 0..degrees.len() + EXTRA_ROUNDS {
        if stop.load(Relaxed) {
            return None;
        }
        let degree = degrees[round.min(degrees.len() - 1)];
        let mut surrogate = fitted(degree, &known, &centre, &spread)?;
        let Some(draws) = explore(&mut surrogate, &mut density, &mut rng) else { continue };
        let (mean, covariance) = moments(&surrogate, &draws)?;
        let next = degrees[(round + 1).min(degrees.len() - 1)];
        let fresh = FRESH + n_monomials(d, next) / (d + 1);
        let error = examine(&surrogate, &mut density, &draws, &mean, fresh, &mut known);
        if best.as_ref().is_some_and(|(least, ..)| error > *least) {
            continue;
        }
        (centre, spread) = (mean, covariance);
        best = Some((error, degree, surrogate));
        let last = degree == degrees[degrees.len() - 1];
        if error < GOOD || last && error < FAIR {
            break;
        }
    }
    let (_, degree, _) = best.filter(|(error, ..)| *error < USABLE)?;
    // The same degree with all that is known now, in coordinates and with a step that suit it.
    let mut surrogate = fitted(degree, &known, &centre, &spread)?;
    explore(&mut surrogate, &mut density, &mut rng)?;
    let beyond = |peak: &Peak| {
        let mut z = vec![0.0; d];
        surrogate.to_white(&peak.mode, &mut z);
        let outside = z.iter().map(|z| z * z).sum::<f64>() > surrogate.radius.powi(2);
        outside && peak.logp > highest.logp - NOTHING
    };
    if peaks.iter().any(beyond) {
        return None;
    }
    Some(surrogate)
}

/// Modes to which climbs from the start and from elsewhere lead, the highest first.
fn find_peaks<D: Density>(
    density: &mut D,
    rng: &mut ChaCha8Rng,
    known: &mut Vec<Known>,
) -> Vec<Peak> {
    let start = density.start();
    let mut peaks: Vec<Peak> = climb(density, &start, None, known).into_iter().collect();
    for _ in 0..OTHERS {
        let other: Vec<f64> = start.iter().map(|u| u + 3.0 * rng.random::<f64>() - 1.5).collect();
        let peak = climb(density, &other, peaks.first(), known);
        peaks.extend(peak);
    }
    peaks.sort_by(|a, b| b.logp.total_cmp(&a.logp));
    peaks
}

/// Evaluate at `fresh` of the draws, which shows how good the stand-in is: the share of draws that
/// the density would refuse. Points further out keep the next one good there.
fn examine<D: Density>(
    surrogate: &Surrogate,
    density: &mut D,
    draws: &[State],
    mean: &[f64],
    fresh: usize,
    known: &mut Vec<Known>,
) -> f64 {
    let mut errors = Vec::new();
    for k in 0..fresh {
        let draw = &draws[(k * draws.len()) / fresh];
        let u = position(surrogate, draw);
        let (value, first) = (draw.logp, known.len());
        evaluate(density, &u, known);
        let found = known.get(first).map_or(f64::NEG_INFINITY, |point| point.logp);
        errors.push(found - value);
        if k % 2 == 0 {
            let wide: Vec<f64> = mean.iter().zip(&u).map(|(c, u)| c + WIDER * (u - c)).collect();
            evaluate(density, &wide, known);
        }
    }
    refused(&errors)
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    rand_distr::Distribution::sample(&rand_distr::StandardNormal, rng)
}

/// Share of draws that are refused where log densities differ from the stand-in's by `errors` at
/// points drawn from it: with w = exp(error), a draw that moves from one to another is refused with
/// probability 1 − w'/w, if it is less. In the mean over both that is the Gini coefficient of w.
fn refused(errors: &[f64]) -> f64 {
    let largest = errors.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut weights: Vec<f64> = errors.iter().map(|error| (error - largest).exp()).collect();
    weights.sort_unstable_by(f64::total_cmp);
    let n = weights.len() as f64;
    let spread = weights.iter().enumerate().map(|(k, w)| (2.0 * k as f64 + 1.0 - n) * w);
    spread.sum::<f64>() / (n * weights.iter().sum::<f64>())
}

fn shifted(centre: &[f64], spread: &[f64], z: &[f64]) -> Vec<f64> {
    let d = centre.len();
    (0..d).map(|i| centre[i] + (0..=i).map(|j| spread[i * d + j] * z[j]).sum::<f64>()).collect()
}

fn position(surrogate: &Surrogate, state: &State) -> Vec<f64> {
    let mut u = vec![0.0; state.z.len()];
    surrogate.to_position(&state.z, &mut u);
    u
}

/// Evaluate at `u`, or its mirror image on the inner side of the walls, and remember what is finite.
fn evaluate<D: Density>(density: &mut D, u: &[f64], known: &mut Vec<Known>) {
    let mut u = u.to_vec();
    for wall in density.walls() {
        u[wall] = u[wall].abs();
    }
    let mut slopes = vec![0.0; u.len()];
    if let Some(logp) = density.logp_and_grad(&u, &mut slopes) {
        known.push(Known { u, logp, slopes });
    }
}

/// Climb to a mode: Newton's method, damped until it climbs (Nocedal & Wright 2006, §10.3), so that
/// saddles do not hold it, until it comes close to the first peak. Returns the mode and the factor of
/// the covariance that the curvature there suggests.
fn climb<D: Density>(
    density: &mut D,
    start: &[f64],
    first_peak: Option<&Peak>,
    known: &mut Vec<Known>,
) -> Option<Peak> {
    let first = known.len();
    evaluate(density, start, known);
    let mut here = known.get(first)?.clone();
    let mut damping = 1e-3;
    for _ in 0..MAX_STEPS {
        if first_peak.is_some_and(|peak| peak.has(&here.u)) {
            return None;
        }
        let bend = curvature(density, &here.u, &here.slopes)?;
        match step_up(density, &here, &bend, &mut damping, known)? {
            Step::Up(higher) => here = higher,
            Step::Top(spread) => return Some(Peak { mode: here.u, logp: here.logp, spread }),
        }
        damping = (damping / 20.0).max(1e-9);
    }
    None
}

/// Where a step of a climb leads: to a higher point, or nowhere, with the factor of the covariance
/// that the curvature suggests.
enum Step {
    Up(Known),
    Top(Vec<f64>),
}

/// One step from `here`, where minus the second derivatives are `bend`, damped until it climbs.
fn step_up<D: Density>(
    density: &mut D,
    here: &Known,
    bend: &[f64],
    damping: &mut f64,
    known: &mut Vec<Known>,
) -> Option<Step> {
    let (d, walls) = (density.dim(), density.walls());
    let size: Vec<f64> = (0..d).map(|i| bend[i * d + i].abs().max(1e-6)).collect();
    for _ in 0..MAX_STEPS {
        let mut damped = bend.to_vec();
        for i in 0..d {
            damped[i * d + i] += *damping * size[i];
        }
        if cholesky(&mut damped, d).is_some() {
            let mut along = here.slopes.clone();
            solve_lower(&damped, d, &mut along);
            let gain = along.iter().map(|x| x * x).sum::<f64>();
            solve_lower_transposed(&damped, d, &mut along);
            // No step of more than one unit: coordinates are made such that this is far.
            let longest = along.iter().fold(1.0, |m: f64, a| m.max(a.abs()));
            let mut share = 1.0 / longest;
            // Where a wall is, slopes vanish: it is approached, but not crossed.
            for &wall in walls.iter().filter(|&&wall| along[wall] < 0.0) {
                share = share.min(-0.7 * here.u[wall] / along[wall]);
            }
            // At a wall nothing is to be gained where it ends.
            if gain * share < CLIMBED {
                return factor(inverse_from_factor(&damped, d), d).map(Step::Top);
            }
            let trial: Vec<f64> = here.u.iter().zip(&along).map(|(u, a)| u + share * a).collect();
            let count = known.len();
            evaluate(density, &trial, known);
            if let Some(found) = known.get(count).filter(|found| found.logp > here.logp) {
                return Some(Step::Up(found.clone()));
            }
        }
        *damping = (*damping * 6.0).min(1e12);
    }
    None
}

/// Minus the second derivatives at `u`, from differences of slopes.
fn curvature<D: Density>(density: &mut D, u: &[f64], slopes: &[f64]) -> Option<Vec<f64>> {
    let d = u.len();
    let mut bend = vec![0.0; d * d];
    let (mut near, mut other) = (u.to_vec(), vec![0.0; d]);
    for k in 0..d {
        near[k] = u[k] + DIFFERENCE;
        density.logp_and_grad(&near, &mut other)?;
        near[k] = u[k];
        for i in 0..d {
            bend[i * d + k] = (slopes[i] - other[i]) / DIFFERENCE;
        }
    }
    Some((0..d * d).map(|e| 0.5 * (bend[e] + bend[(e % d) * d + e / d])).collect())
}

/// The Cholesky factor of a covariance, its upper triangle 0.
fn factor(mut covariance: Vec<f64>, d: usize) -> Option<Vec<f64>> {
    cholesky(&mut covariance, d)?;
    for i in 0..d {
        covariance[i * d + i + 1..(i + 1) * d].fill(0.0);
    }
    Some(covariance)
}

/// Fit a polynomial to all that is known within the region.
fn fitted(degree: usize, known: &[Known], centre: &[f64], spread: &[f64]) -> Option<Surrogate> {
    let d = centre.len();
    let radius = (d as f64).sqrt() + 2.5;
    let top = known.iter().map(|point| point.logp).fold(f64::NEG_INFINITY, f64::max);
    let mut surrogate = Surrogate {
        polynomial: Polynomial::new(d, degree),
        centre: centre.to_vec(),
        spread: spread.to_vec(),
        radius,
        top,
        step: 1.2 * (d as f64).powf(-0.25),
        scratch: vec![0.0; d],
    };
    let mut samples = Vec::new();
    for point in known {
        let mut z = vec![0.0; d];
        surrogate.to_white(&point.u, &mut z);
        let size = z.iter().map(|z| z * z).sum::<f64>().sqrt();
        let below = top - point.logp;
        if size > 1.3 * radius || below > 60.0 {
            continue;
        }
        let mut slopes = point.slopes.clone();
        surrogate.pull_back(&mut slopes);
        for (z, slope) in z.iter_mut().zip(&mut slopes) {
            *z /= radius;
            *slope *= radius;
        }
        // Where there is hardly any mass, errors do no harm.
        let weight = 1.0 / (1.0 + (below / 6.0).powi(2));
        samples.push(Sample { at: z, value: point.logp - top, slopes, weight });
    }
    surrogate.polynomial.fit(&samples)?;
    Some(surrogate)
}

/// Walk over the stand-in, within its region: every third point of the walk. Sets the step.
fn explore<D: Density>(
    surrogate: &mut Surrogate,
    density: &mut D,
    rng: &mut ChaCha8Rng,
) -> Option<Vec<State>> {
    let d = surrogate.dim();
    let mut walker = Walker::new(surrogate.clone(), density, false);
    let mut state = walker.state(&vec![0.0; d])?;
    let mut draws = Vec::new();
    let moves = MOVES.0 + MOVES.1 * d;
    for k in 0..moves {
        let made = walker.step(&mut state, rng);
        if k < moves / 3 {
            if made.short {
                continue;
            }
            // Towards an acceptance of 0.85.
            let gain = 0.1 / (1.0 + 0.02 * k as f64);
            let change: f64 = if made.accepted { 0.15 } else { -0.85 };
            let step = walker.surrogate.step * (gain * change).exp();
            walker.surrogate.step = step.clamp(0.05, 1.6);
        } else if k % 3 == 0 {
            draws.push(state.clone());
        }
    }
    surrogate.step = walker.surrogate.step;
    Some(draws)
}

/// Mean and factor of the covariance of draws, in positions.
fn moments(surrogate: &Surrogate, draws: &[State]) -> Option<(Vec<f64>, Vec<f64>)> {
    let (d, n) = (surrogate.dim(), draws.len() as f64);
    let points: Vec<Vec<f64>> = draws.iter().map(|state| position(surrogate, state)).collect();
    let mean: Vec<f64> = (0..d).map(|i| points.iter().map(|u| u[i]).sum::<f64>() / n).collect();
    let mut covariance = vec![0.0; d * d];
    for u in &points {
        for i in 0..d {
            for j in 0..d {
                covariance[i * d + j] += (u[i] - mean[i]) * (u[j] - mean[j]) / n;
            }
        }
    }
    Some((mean, factor(covariance, d)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_refused_is_that_of_all_pairs() {
        let errors = [0.3, -0.2, 0.05, f64::NEG_INFINITY, 1.1];
        let weights = errors.map(f64::exp);
        let total = weights.iter().sum::<f64>() * weights.len() as f64;
        let pairs = weights.iter().flat_map(|w| weights.map(|to| (w - to).max(0.0)));
        assert!((refused(&errors) - pairs.sum::<f64>() / total).abs() < 1e-14);
        assert_eq!(refused(&[0.7; 9]), 0.0);
    }
}
