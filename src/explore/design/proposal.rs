//! Independent draws from a cheap density: a heavy-tailed proposal, fitted to it in rounds, of which
//! draws are taken in proportion to their weight.

use super::emulator::Emulator;
use crate::linalg::cholesky;
use crate::psis::{Storage, leave_one_out, tail_length};
use crate::sampler::Staged;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{ChiSquared, Distribution, StandardNormal};

/// Degrees of freedom.
const DF: f64 = 7.0;

/// Rounds of fits, and the proposals of one; those of the last.
const ROUNDS: usize = 25;
const FEW: usize = 600;
const MANY: usize = 4000;

/// Beyond, few proposals have most of the weight (Vehtari et al. 2024), unless even the largest is so
/// few times the mean.
pub const PARETO_K: f64 = 0.7;
const PLAIN: f64 = 10.0;

/// Share of effective proposals with which a fit is good, and below which it is of no use.
const GOOD: f64 = 0.3;
const USABLE: f64 = 0.02;

/// The density to be drawn from: (z, rest), with features by polynomials.
pub struct Cheap {
    pub emulator: Emulator,
    pub staged: Box<dyn Staged>,
    walls: Vec<usize>,
    features: Vec<f64>,
    /// The last point that was asked for, and its log density: a draw that is taken is asked for again.
    last: Option<(Vec<f64>, f64)>,
}

impl Cheap {
    pub fn new(emulator: Emulator, staged: &dyn Staged) -> Self {
        let (walls, features) = (staged.walls(), vec![0.0; staged.n_features()]);
        Self { emulator, staged: staged.fresh(), walls, features, last: None }
    }

    pub fn fresh(&self) -> Self {
        Self::new(self.emulator.clone(), &*self.staged)
    }

    /// θ of a point, and its features.
    pub fn features(&mut self, y: &[f64]) -> (Vec<f64>, &[f64]) {
        let z = &y[..self.emulator.region.dim()];
        self.last = None; // its features are gone
        self.emulator.at(&mut *self.staged, z, &mut self.features);
        (self.emulator.region.theta(z), &self.features)
    }

    /// Log density; −∞ outside the region, beyond walls and outside the support.
    pub fn logp(&mut self, y: &[f64]) -> f64 {
        if let Some((last, logp)) = &self.last
            && last == y
        {
            return *logp;
        }
        let logp = self.at(y);
        self.last = Some((y.to_vec(), logp));
        logp
    }

    fn at(&mut self, y: &[f64]) -> f64 {
        let (z, rest) = y.split_at(self.emulator.region.dim());
        if self.emulator.region.reach(z) > 1.0 {
            return f64::NEG_INFINITY;
        }
        let theta = self.emulator.region.theta(z);
        if self.walls.iter().any(|&wall| theta[wall] < 0.0) {
            return f64::NEG_INFINITY;
        }
        self.emulator.at(&mut *self.staged, z, &mut self.features);
        self.staged.logp(&theta, rest, &self.features)
    }

    /// One row of output.
    pub fn output(&mut self, y: &[f64], rng: &mut ChaCha8Rng, row: &mut [f64]) -> bool {
        if !self.logp(y).is_finite() {
            return false;
        }
        let d = self.emulator.region.dim();
        let theta = self.emulator.region.theta(&y[..d]);
        self.staged.output(&theta, &y[d..], &self.features, rng, row)
    }
}

/// A t distribution, and the log weight at which all of a proposal is taken.
#[derive(Clone)]
pub struct Proposal {
    location: Vec<f64>,
    scale: Vec<f64>,
    pub bound: f64,
}

/// Proposals with their log weights.
pub struct Pool {
    pub points: Vec<(Vec<f64>, f64)>,
    /// Of the weights.
    pub pareto_k: f64,
}

impl Pool {
    fn weights(&self, power: f64) -> Vec<f64> {
        let top = self.points.iter().map(|(_, w)| *w).fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> =
            self.points.iter().map(|(_, w)| (power * (w - top)).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.into_iter().map(|w| w / total).collect()
    }

    /// First coordinates of all points, with weights that sum to 1.
    pub fn weighted(&self, d: usize) -> Vec<(&[f64], f64)> {
        let weights = self.weights(1.0);
        self.points.iter().zip(weights).map(|((y, _), w)| (&y[..d], w)).collect()
    }

    /// Points that are taken.
    pub fn taken(&self, bound: f64, rng: &mut ChaCha8Rng) -> Vec<&[f64]> {
        let take = |w: &f64| rng.random::<f64>().ln() < w - bound;
        let mut take = take;
        self.points.iter().filter(|(_, w)| take(w)).map(|(y, _)| y.as_slice()).collect()
    }
}

fn effective(weights: &[f64]) -> f64 {
    1.0 / weights.iter().map(|w| w * w).sum::<f64>()
}

impl Proposal {
    /// Fitted to the density; `None` where none of use is found.
    pub fn fit(cheap: &mut Cheap, rng: &mut ChaCha8Rng) -> Option<(Self, Pool)> {
        let d = cheap.emulator.region.dim();
        let rest = cheap.staged.rest();
        let n = d + rest.len();
        let mut location = vec![0.0; n];
        let mut scale = vec![0.0; n * n];
        for i in 0..n {
            let sd = if i < d { 1.0 } else { rest[i - d].1 };
            scale[i * n + i] = sd;
            location[i] = if i < d { 0.0 } else { rest[i - d].0 };
        }
        let mut proposal = Self { location, scale, bound: f64::INFINITY };
        for _ in 0..ROUNDS {
            let pool = proposal.pool(cheap, FEW, rng);
            if !pool.points.iter().any(|(_, w)| w.is_finite()) {
                return None;
            }
            // Tempered until enough of them count.
            let least = (FEW as f64 * 0.1).max(4.0 * n as f64).min(0.5 * FEW as f64);
            let mut power = 1.0;
            let mut weights = pool.weights(power);
            while effective(&weights) < least && power > 1e-9 {
                power *= 0.7;
                weights = pool.weights(power);
            }
            let share = effective(&weights) / FEW as f64;
            let good = power == 1.0 && share > GOOD;
            proposal.refit(&pool, &weights)?;
            if good {
                break;
            }
        }
        let pool = proposal.pool(cheap, MANY, rng);
        let share = effective(&pool.weights(1.0)) / MANY as f64;
        proposal.bound = pool.points.iter().map(|(_, w)| *w).fold(f64::NEG_INFINITY, f64::max);
        (share > USABLE).then_some((proposal, pool))
    }

    /// Mean and covariance of weighted points.
    fn refit(&mut self, pool: &Pool, weights: &[f64]) -> Option<()> {
        let n = self.location.len();
        let points = || pool.points.iter().map(|(y, _)| y).zip(weights);
        let mean: Vec<f64> = (0..n).map(|i| points().map(|(y, w)| w * y[i]).sum()).collect();
        let mut scale = vec![0.0; n * n];
        for (y, w) in points() {
            for i in 0..n {
                for j in 0..=i {
                    scale[i * n + j] += w * (y[i] - mean[i]) * (y[j] - mean[j]);
                }
            }
        }
        cholesky(&mut scale, n)?;
        (self.location, self.scale) = (mean, scale);
        Some(())
    }

    /// A proposal and its log weight.
    pub fn propose(&self, cheap: &mut Cheap, rng: &mut ChaCha8Rng) -> (Vec<f64>, f64) {
        let n = self.location.len();
        let z: Vec<f64> = (0..n).map(|_| StandardNormal.sample(rng)).collect();
        let mixed: f64 = ChiSquared::new(DF).map_or(DF, |chi| chi.sample(rng));
        let wide = (DF / mixed).sqrt();
        let along = |i: usize| (0..=i).map(|j| self.scale[i * n + j] * z[j]).sum::<f64>();
        let y: Vec<f64> = (0..n).map(|i| self.location[i] + wide * along(i)).collect();
        let length = z.iter().map(|z| z * z).sum::<f64>() * wide * wide;
        let log_q = -0.5 * (DF + n as f64) * (length / DF).ln_1p();
        let weight = cheap.logp(&y) - log_q;
        (y, weight)
    }

    fn pool(&self, cheap: &mut Cheap, count: usize, rng: &mut ChaCha8Rng) -> Pool {
        let points: Vec<_> = (0..count).map(|_| self.propose(cheap, rng)).collect();
        let mut finite: Vec<f64> =
            points.iter().map(|(_, w)| -w).filter(|w| w.is_finite()).collect();
        let tail = tail_length(finite.len(), 1.0);
        let enough = finite.len() > 20;
        let pareto_k = if enough {
            leave_one_out(&mut finite, tail, &mut Storage::default()).pareto_k
        } else {
            f64::INFINITY
        };
        let mut pool = Pool { points, pareto_k };
        // Where weights have a smooth top, and few coordinates, no tail of Pareto's is like theirs.
        let largest = pool.weights(1.0).into_iter().fold(0.0, f64::max);
        if enough && pareto_k > PARETO_K && largest * count as f64 <= PLAIN {
            pool.pareto_k = 0.0;
        }
        pool
    }
}
