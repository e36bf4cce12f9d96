//! Rounds of evaluations until polynomials of the features give the density at fresh draws.

use super::super::monomials::n_monomials;
use super::emulator::Emulator;
use super::locate::{has_others, look_around, mode};
use super::points::Points;
use super::proposal::{Cheap, Pool, Proposal};
use crate::sampler::{Certificate, Staged, generator};
use rand_chacha::ChaCha8Rng;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Monomials that are worth their evaluations.
const MAX_MONOMIALS: usize = 330;

/// Degrees that are tried, in this order, from the first with few monomials on.
const DEGREES: [usize; 5] = [3, 4, 6, 8, 10];
const FEW: usize = 36;

/// Rounds, and evaluations after which walks are cheaper.
const ROUNDS: usize = 12;
const MOST: usize = 1500;

/// Fresh draws at which density and polynomials are compared, and those that steer a region.
const CHECKED: usize = 20;
const STEERED: usize = 6;

/// Sd of the differences of log densities at these draws, and the largest: a difference of sd s moves
/// a mean by at most s posterior sds, and probabilities by a factor of at most exp(largest). So draws
/// are as good as exact ones whose means have the Monte Carlo error of 1/0.02² = 2500.
const SD: f64 = 0.02;
const LARGEST: f64 = 0.1;

/// And how far what is drawn given θ may be moved, in its sds.
const MOVED: f64 = 0.05;

/// Share of the mass that may lie outside the region.
const OUTSIDE: f64 = 2e-4;

/// Beyond, few proposals have most of the weight (Vehtari et al. 2024).
const PARETO_K: f64 = 0.7;

/// What can be drawn from, with what was found when it was checked.
pub struct Built {
    pub cheap: Cheap,
    pub proposal: Proposal,
    pub certificate: Certificate,
}

/// `None` where the certificate fails, or when told to stop.
pub fn build(staged: &dyn Staged, seed: u64, threads: usize, stop: &AtomicBool) -> Option<Built> {
    let mut rng = generator(seed, 0, 2);
    let mut points = Points::new(staged, threads);
    let looked = look_around(&mut points);
    let from = points.best()?.theta.clone();
    let mut region = mode(&mut points, from)?;
    let d = region.dim();
    let worth = |k: &&usize| d == 0 || n_monomials(d, **k) <= MAX_MONOMIALS;
    let degrees: Vec<usize> = DEGREES.iter().filter(worth).copied().collect();
    let mut at = degrees.iter().rposition(|&k| n_monomials(d, k) <= FEW).unwrap_or(0);
    at = at.min(1); // in one dimension too, begin with few
    for _ in 0..ROUNDS {
        if stop.load(Relaxed) || points.known.len() > MOST {
            return None;
        }
        let degree = if d == 0 { 0 } else { *degrees.get(at)? };
        let monomials = n_monomials(d, degree);
        let needed = (monomials + monomials / 3 + 4) * usize::from(d > 0);
        points.spread_out(&region, needed.saturating_sub(points.within(&region)));
        let emulator = Emulator::fit(&points, &region, degree)?;
        let mut cheap = Cheap::new(emulator, staged);
        let Some((proposal, pool)) = Proposal::fit(&mut cheap, &mut rng) else {
            at += 1;
            continue;
        };
        let weighted = pool.weighted(d);
        let outside = region.outside(&weighted);
        let certificate = Certificate { outside, pareto_k: pool.pareto_k, ..Default::default() };
        let wide_enough = outside < OUTSIDE;
        let count = if wide_enough { CHECKED } else { STEERED };
        let certificate =
            compare(&mut points, &mut cheap, (&proposal, &pool), count, certificate, &mut rng)?;
        if wide_enough && passes(&certificate) {
            if has_others(&mut points, looked, &region) {
                return None;
            }
            let evaluations = points.known.len();
            let certificate = Certificate { evaluations, ..certificate };
            return Some(Built { cheap, proposal, certificate });
        }
        if wide_enough || certificate.sd > 1.0 {
            at += 1;
        }
        region = region.around(&weighted)?;
    }
    None
}

fn passes(found: &Certificate) -> bool {
    found.checked == CHECKED
        && found.sd < SD
        && found.largest < LARGEST
        && found.moved < MOVED
        && found.pareto_k < PARETO_K
}

/// Hold the polynomials against the density at fresh draws.
fn compare(
    points: &mut Points,
    cheap: &mut Cheap,
    (proposal, pool): (&Proposal, &Pool),
    count: usize,
    certificate: Certificate,
    rng: &mut ChaCha8Rng,
) -> Option<Certificate> {
    let d = cheap.emulator.region.dim();
    let taken = pool.taken(proposal.bound, rng);
    let draws = &taken[..count.min(taken.len())];
    let thetas = draws.iter().map(|y| cheap.emulator.region.theta(&y[..d])).collect();
    let first = points.evaluate(thetas);
    let (mut differences, mut moved) = (Vec::new(), 0.0_f64);
    for (k, y) in draws.iter().enumerate() {
        let own = cheap.logp(y);
        let truth = &points.known[first + k];
        let Some(features) = &truth.features else { continue };
        differences.push(cheap.staged.logp(&truth.theta, &y[d..], features) - own);
        let (_, found) = cheap.features(y);
        let found = found.to_vec();
        moved = moved.max(cheap.staged.moved(&found, features));
    }
    let n = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / n;
    let variance = differences.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let largest = differences.iter().fold(0.0, |most: f64, x| most.max((x - mean).abs()));
    let checked = differences.len();
    Some(Certificate { checked, sd: variance.sqrt(), largest, moved, ..certificate })
}
