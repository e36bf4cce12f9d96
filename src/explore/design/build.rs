//! Rounds of evaluations until polynomials of the features give the density at fresh draws.

use super::super::monomials::n_monomials;
use super::emulator::Emulator;
use super::locate::{has_others, look_around};
use super::peaks::has_hills;
use super::points::Points;
use super::proposal::{Cheap, PARETO_K, Proposal};
use super::region::Region;
use crate::sampler::{Certificate, Staged, generator};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Monomials that are worth their evaluations.
const MAX_MONOMIALS: usize = 330;

/// Degrees that are tried, from the last with few monomials on.
const DEGREES: [usize; 7] = [3, 4, 5, 6, 7, 8, 10];
const FEW: usize = 36;

/// And monomials that are tried where features are like polynomials.
const MAX_TAME: usize = 1000;

/// Points for each monomial; of those that are well spread at least; and with the last degree.
const SHARE: f64 = 1.33;
const SPREAD: f64 = 0.75;
const MOST_SHARE: f64 = 2.7;

/// Degrees beyond that for which there are points enough: they may tell more of the same points.
const FINER: usize = 2;

/// How many times as many points there are in the next round.
const GROWTH: f64 = 1.35;

/// Rounds, and evaluations after which walks are cheaper.
const ROUNDS: usize = 16;
const MOST: usize = 1500;

/// Sd of the differences beyond which polynomials do not tell where the mass is.
const ROUGH: f64 = 0.5;

/// Fresh draws at which density and polynomials are compared, and those that steer a region.
const CHECKED: usize = 20;
const STEERED: usize = 6;

/// Sd of the differences of log densities at these draws, and the largest: a difference of sd s moves
/// a mean by at most s posterior sds, and probabilities by a factor of at most exp(largest). So draws
/// are as good as exact ones whose means have the Monte Carlo error of 1/0.02² = 2500.
const SD: f64 = 0.02;
const LARGEST: f64 = 0.1;

/// How many times that much at the first draws is more than chance.
const HOPELESS: f64 = 2.0;

/// And how far what is drawn given θ may be moved, in its sds.
const MOVED: f64 = 0.05;

/// Share of the mass that may lie outside the region.
const OUTSIDE: f64 = 2e-4;

/// Stands for a chain beyond all others: what they share has random numbers of its own.
const OF_NO_CHAIN: usize = 1 << 40;

/// A way from a point to the region around the mode.
pub type Mode = fn(&mut Points, Vec<f64>) -> Option<Region>;

/// What can be drawn from, with what was found when it was checked.
pub struct Built {
    pub cheap: Cheap,
    pub proposal: Proposal,
    pub certificate: Certificate,
}

/// The degrees that are worth their evaluations, and how many points they need.
struct Degrees {
    d: usize,
    all: Vec<usize>,
    /// Beyond those.
    finer: Vec<usize>,
}

impl Degrees {
    fn new(d: usize, tame: bool) -> Self {
        let most = if tame { MAX_TAME } else { MAX_MONOMIALS };
        let tried = DEGREES.into_iter().filter(|k| n_monomials(d, *k) <= most);
        let (all, finer) = tried.partition(|k| n_monomials(d, *k) <= MAX_MONOMIALS);
        Self { d, all, finer }
    }

    fn points(&self, degree: usize, share: f64) -> f64 {
        share * n_monomials(self.d, degree) as f64 + 4.0
    }

    /// Points to begin with: for the last degree with few monomials; in one dimension too, few.
    fn few(&self) -> f64 {
        let few = self.all.iter().rposition(|&k| n_monomials(self.d, k) <= FEW).unwrap_or(0);
        self.points(DEGREES[few.min(1)], SHARE)
    }

    fn most(&self) -> f64 {
        let last = self.finer.first().or(self.all.last());
        self.points(last.copied().unwrap_or(0), MOST_SHARE)
    }

    /// The degree for which so many points are enough, and those beyond.
    fn tried(&self, points: f64) -> Vec<usize> {
        let enough = |&k: &usize| self.points(k, SHARE) <= points;
        let first = self.all.iter().rposition(enough).unwrap_or(0);
        let some = self.all.iter().chain(&self.finer).skip(first).take(FINER + 1);
        some.map(|k| k * usize::from(self.d > 0)).collect()
    }
}

/// `None` where the certificate fails, or when told to stop.
pub fn build(
    staged: &dyn Staged,
    seed: u64,
    threads: usize,
    stop: &AtomicBool,
    mode: Mode,
) -> Option<Built> {
    let mut rng = generator(seed, OF_NO_CHAIN, 0);
    let mut points = Points::new(staged, threads);
    let looked = look_around(&mut points);
    let from = points.best()?.theta.clone();
    let mut region = mode(&mut points, from)?;
    // What led to the mode lies close together: polynomials gain by it, but are not held by it.
    let located = points.known.len();
    let d = region.dim();
    let tame = points.chart(&region.centre).is_some();
    let degrees = Degrees::new(d, tame);
    let tolerance = staged.tolerance();
    let mut needed = degrees.few();
    for _ in 0..ROUNDS {
        if stop.load(Relaxed) || points.known.len() > MOST || needed > degrees.most() * GROWTH {
            return None;
        }
        let tried = degrees.tried(needed);
        let monomials = n_monomials(d, *tried.first()?);
        let spread = (SPREAD * monomials as f64) as usize;
        let missing = (needed.min(degrees.most()) as usize)
            .saturating_sub(points.within(&region, 0))
            .max(spread.saturating_sub(points.within(&region, located)));
        points.spread_out(&region, missing);
        let mut cheap = Cheap::new(Emulator::best(&points, &region, tried)?, staged);
        let Some((proposal, pool)) = Proposal::fit(&mut cheap, &mut rng) else {
            needed *= GROWTH;
            continue;
        };
        let weighted = pool.weighted(d);
        let outside = region.outside(&weighted);
        let wide_enough = outside < OUTSIDE;
        let taken = pool.taken(proposal.bound, &mut rng);
        let (first, others) = taken.split_at(STEERED.min(taken.len()));
        let mut held = Comparison::default();
        held.compare(&mut points, &mut cheap, first);
        if wide_enough && !held.is_hopeless(tolerance) {
            held.compare(&mut points, &mut cheap, &others[..others.len().min(CHECKED - STEERED)]);
        }
        let found = Certificate { outside, pareto_k: pool.pareto_k, ..held.found() };
        if wide_enough && passes(&found, tolerance) {
            let certificate = Certificate { evaluations: points.known.len(), ..found };
            let alone =
                !has_others(&mut points, looked, &region) && !has_hills(&mut points, &region);
            cheap.staged.prepare(&points.inside(&region));
            return alone.then_some(Built { cheap, proposal, certificate });
        }
        let rough = found.sd.is_nan() || found.sd >= ROUGH;
        if wide_enough || rough {
            needed *= GROWTH;
        }
        if !rough {
            region = region.around(&weighted)?;
            // What lies beyond the old one is known by few points.
            points.spread_out(&region, monomials / 4);
        }
    }
    None
}

fn passes(found: &Certificate, tolerance: f64) -> bool {
    found.checked == CHECKED
        && found.sd < tolerance * SD
        && found.largest < tolerance * LARGEST
        && found.moved < MOVED
        && found.pareto_k < PARETO_K
}

/// The polynomials held against the density at fresh draws.
#[derive(Default)]
struct Comparison {
    differences: Vec<f64>,
    moved: f64,
}

impl Comparison {
    fn compare(&mut self, points: &mut Points, cheap: &mut Cheap, draws: &[&[f64]]) {
        let d = cheap.emulator.region.dim();
        let thetas = draws.iter().map(|y| cheap.emulator.region.theta(&y[..d])).collect();
        let first = points.evaluate(thetas);
        for (truth, y) in points.known[first..].iter().zip(draws) {
            let Some(features) = &truth.features else { continue };
            let own = cheap.logp(y);
            let exact = cheap.staged.logp(&truth.theta, &y[d..], features);
            self.differences.push(exact - own);
            let found = cheap.features(y).1.to_vec();
            self.moved = self.moved.max(cheap.staged.moved(&found, features));
        }
    }

    /// Sd of the differences, and the largest from their mean.
    fn spread(&self) -> (f64, f64) {
        let n = self.differences.len() as f64;
        let mean = self.differences.iter().sum::<f64>() / n;
        let away = || self.differences.iter().map(|x| (x - mean).abs());
        let variance = away().map(|x| x * x).sum::<f64>() / (n - 1.0);
        (variance.sqrt(), away().fold(0.0, f64::max))
    }

    /// Whether more draws would hardly let it pass.
    fn is_hopeless(&self, tolerance: f64) -> bool {
        let (sd, largest) = self.spread();
        let near = sd < tolerance * HOPELESS * SD && largest < tolerance * LARGEST;
        !(near && self.moved < MOVED)
    }

    fn found(&self) -> Certificate {
        let (sd, largest) = self.spread();
        let (checked, moved) = (self.differences.len(), self.moved);
        Certificate { checked, sd, largest, moved, ..Certificate::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::known::Known;
    use super::super::locate;
    use super::*;

    #[test]
    fn a_polynomial_that_was_spoiled_is_caught() {
        let (density, stop) = (Known::Bent, AtomicBool::new(false));
        let mut built = build(&density, 1, 1, &stop, locate::mode).unwrap();
        let mut rng = generator(1, 0, 0);
        let mut again = |cheap: &mut Cheap| {
            let (proposal, pool) = Proposal::fit(cheap, &mut rng).unwrap();
            let mut points = Points::new(&density, 1);
            let taken = pool.taken(proposal.bound, &mut rng);
            let mut held = Comparison::default();
            held.compare(&mut points, cheap, &taken[..CHECKED]);
            held.found()
        };
        assert!(passes(&again(&mut built.cheap), 1.0));
        built.cheap.emulator.polynomials.spoil(0.02);
        let found = again(&mut built.cheap);
        assert!(!passes(&found, 1.0) && found.sd > SD, "{found:?}");
    }
}
