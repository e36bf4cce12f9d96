//! Where the mass is, and a polynomial good enough there: rounds of evaluations where the last
//! polynomial expects the mass, until it foretells them.

use super::polynomial::{Polynomial, Sample, n_monomials};
use super::{State, Surrogate, Walker};
use crate::linalg::cholesky;
use crate::sampler::{Density, generator};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Monomials that are worth their evaluations.
const MAX_MONOMIALS: usize = 330;

/// Degrees of the polynomials tried, in this order.
const DEGREES: [usize; 5] = [2, 3, 4, 6, 8];

/// Sd of the errors foretold at which more evaluations gain nothing: of 100 draws one is refused.
const GOOD: f64 = 0.03;

/// And at which the stand-in is of use: of 100 draws some 15 are refused.
const USABLE: f64 = 0.25;

/// Moves over the stand-in of which a round learns where its mass is.
const MOVES: usize = 1500;

/// How far beyond the mass evaluations are made.
const WIDER: f64 = 1.7;

/// Climbs from elsewhere, which have to end in the same region.
const OTHERS: usize = 2;

/// How far below the top of the density another mode does not matter.
const NOTHING: f64 = 20.0;

/// A point where the density was evaluated.
struct Known {
    u: Vec<f64>,
    logp: f64,
    slopes: Vec<f64>,
}

/// Build a stand-in; `None` where none of use was found.
pub fn build<D: Density>(density: &D) -> Option<Surrogate> {
    let mut density = density.clone();
    let d = density.dim();
    let mut rng = generator(0, 0, 2);
    let start = density.start();
    let (mut known, mut centre, inverse) = climb(&mut density, &start)?;
    let mut spread = curved(&mut density, &centre, &inverse, &mut known)?;
    for _ in 0..2 * d + 4 {
        let z: Vec<f64> = (0..d).map(|_| WIDER * normal(&mut rng)).collect();
        evaluate(&mut density, &shifted(&centre, &spread, &z), &mut known);
    }
    let degrees = DEGREES.iter().filter(|&&k| k == 2 || n_monomials(d, k) <= MAX_MONOMIALS);
    let degrees: Vec<usize> = degrees.copied().collect();
    let mut best: Option<(f64, Surrogate)> = None;
    for round in 0..=degrees.len() {
        let degree = degrees[round.min(degrees.len() - 1)];
        let mut surrogate = fitted(degree, &known, &centre, &spread)?;
        let Some(draws) = explore(&mut surrogate, &mut density, &mut rng) else { continue };
        (centre, spread) = moments(&surrogate, &draws)?;
        // Fresh points show how good it is, and those further out keep the next one good there.
        let next = degrees[(round + 1).min(degrees.len() - 1)];
        let fresh = 12 + 2 * n_monomials(d, next) / (d + 1);
        let mut errors = Vec::new();
        for k in 0..fresh {
            let draw = &draws[(k * draws.len()) / fresh];
            let u = position(&surrogate, draw);
            let (value, first) = (draw.logp, known.len());
            evaluate(&mut density, &u, &mut known);
            let found = known.get(first).map_or(f64::NEG_INFINITY, |point| point.logp);
            errors.push(found - value);
            let wide: Vec<f64> = centre.iter().zip(&u).map(|(c, u)| c + WIDER * (u - c)).collect();
            evaluate(&mut density, &wide, &mut known);
        }
        let error = sd(&errors);
        if best.as_ref().is_none_or(|(least, _)| error < *least) && error < USABLE {
            // The same degree, with all that is known now.
            let mut better = fitted(degree, &known, &centre, &spread)?;
            explore(&mut better, &mut density, &mut rng)?;
            best = Some((error, better));
        }
        if error < GOOD {
            break;
        }
    }
    let (_, surrogate) = best?;
    for _ in 0..OTHERS {
        let other: Vec<f64> = start.iter().map(|u| u + 3.0 * rng.random::<f64>() - 1.5).collect();
        let Some((path, mode, _)) = climb(&mut density, &other) else { continue };
        let mut z = vec![0.0; d];
        surrogate.to_white(&mode, &mut z);
        let outside = z.iter().map(|z| z * z).sum::<f64>() > surrogate.radius.powi(2);
        let highest = path.iter().map(|point| point.logp).fold(f64::NEG_INFINITY, f64::max);
        if outside && highest > surrogate.top - NOTHING {
            return None;
        }
    }
    Some(surrogate)
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    rand_distr::Distribution::sample(&rand_distr::StandardNormal, rng)
}

fn sd(x: &[f64]) -> f64 {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt()
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

/// Climb to a mode (quasi-Newton: BFGS). Returns all points on the way, the mode, and what the
/// climb learnt of the inverse of the curvature there.
fn climb<D: Density>(density: &mut D, start: &[f64]) -> Option<(Vec<Known>, Vec<f64>, Vec<f64>)> {
    let d = density.dim();
    let mut known = Vec::new();
    evaluate(density, start, &mut known);
    let mut at = known.len().checked_sub(1)?;
    let mut inverse = vec![0.0; d * d];
    for i in 0..d {
        inverse[i * d + i] = 0.1 / (1.0 + known[at].slopes[i].abs());
    }
    for _ in 0..60 {
        let here = &known[at];
        let (u, slopes, logp) = (here.u.clone(), here.slopes.clone(), here.logp);
        let along: Vec<f64> =
            (0..d).map(|i| (0..d).map(|j| inverse[i * d + j] * slopes[j]).sum()).collect();
        let gain: f64 = along.iter().zip(&slopes).map(|(a, s)| a * s).sum();
        if gain < 1e-4 {
            break;
        }
        // No step of more than one unit: coordinates are made such that this is far.
        let longest = along.iter().fold(0.0, |m: f64, a| m.max(a.abs()));
        let mut share = (1.0 / longest).min(1.0);
        let mut next = None;
        for _ in 0..12 {
            let trial: Vec<f64> = u.iter().zip(&along).map(|(u, a)| u + share * a).collect();
            let count = known.len();
            evaluate(density, &trial, &mut known);
            if known.len() > count && known[count].logp > logp + 1e-4 * share * gain {
                next = Some(count);
                break;
            }
            share *= 0.4;
        }
        let Some(next) = next else { break };
        let moved: Vec<f64> = known[next].u.iter().zip(&u).map(|(a, b)| a - b).collect();
        let bend: Vec<f64> = slopes.iter().zip(&known[next].slopes).map(|(a, b)| a - b).collect();
        update(&mut inverse, &moved, &bend);
        at = next;
    }
    let mode = known[at].u.clone();
    Some((known, mode, inverse))
}

/// The BFGS update of an inverse curvature (Nocedal & Wright 2006, eq. 6.17).
fn update(inverse: &mut [f64], moved: &[f64], bend: &[f64]) {
    let d = moved.len();
    let rho: f64 = moved.iter().zip(bend).map(|(s, y)| s * y).sum();
    if rho <= 1e-12 {
        return;
    }
    let by: Vec<f64> = (0..d).map(|i| (0..d).map(|j| inverse[i * d + j] * bend[j]).sum()).collect();
    let middle: f64 = by.iter().zip(bend).map(|(a, b)| a * b).sum();
    for i in 0..d {
        for j in 0..d {
            inverse[i * d + j] += (1.0 + middle / rho) * moved[i] * moved[j] / rho
                - (by[i] * moved[j] + moved[i] * by[j]) / rho;
        }
    }
}

/// The factor of the covariance that the curvature at the mode suggests, from differences of
/// slopes; where they do not bend down, from the climb, else from nothing.
fn curved<D: Density>(
    density: &mut D,
    mode: &[f64],
    inverse: &[f64],
    known: &mut Vec<Known>,
) -> Option<Vec<f64>> {
    let d = mode.len();
    let mut bend = vec![0.0; d * d];
    for k in 0..d {
        let step = (0.3 * inverse[k * d + k].abs().sqrt()).clamp(1e-3, 0.3);
        let mut ends = Vec::new();
        for sign in [1.0, -1.0] {
            let mut u = mode.to_vec();
            u[k] += sign * step;
            let mut slopes = vec![0.0; d];
            density.logp_and_grad(&u, &mut slopes)?;
            ends.push(slopes);
            evaluate(density, &u, known);
        }
        for i in 0..d {
            bend[i * d + k] = (ends[1][i] - ends[0][i]) / (2.0 * step);
        }
    }
    let mut curvature: Vec<f64> =
        (0..d * d).map(|e| 0.5 * (bend[e] + bend[(e % d) * d + e / d])).collect();
    if cholesky(&mut curvature, d).is_some() {
        let covariance = inverse_of(&curvature, d);
        return factor(covariance, d);
    }
    factor(inverse.to_vec(), d).or_else(|| {
        let mut unit = vec![0.0; d * d];
        for k in 0..d {
            unit[k * d + k] = 0.3;
        }
        Some(unit)
    })
}

/// The inverse of a matrix with the Cholesky factor `l`.
fn inverse_of(l: &[f64], d: usize) -> Vec<f64> {
    let mut out = vec![0.0; d * d];
    for k in 0..d {
        let mut column = vec![0.0; d];
        column[k] = 1.0;
        crate::linalg::solve_lower(l, d, &mut column);
        crate::linalg::solve_lower_transposed(l, d, &mut column);
        for i in 0..d {
            out[i * d + k] = column[i];
        }
    }
    out
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
    let radius = (d as f64).sqrt() + 3.0;
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
    let mut state = walker.state(vec![0.0; d])?;
    let mut draws = Vec::new();
    for k in 0..MOVES {
        let accepted = walker.step(&mut state, rng);
        if k < MOVES / 3 {
            // Towards an acceptance of 0.85.
            let gain = 0.1 / (1.0 + 0.02 * k as f64);
            let change: f64 = if accepted { 0.15 } else { -0.85 };
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
