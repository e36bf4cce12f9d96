//! How long a walk warms up: until it is known that steps in the pilot's coordinates are long and safe.
//!
//! Where a pilot made the density about standard normal, nothing is unknown but the step size, and
//! how a few coordinates hang together, which their curvature at the start tells about. Legs of some
//! draws set the steps, and confirm that metric or mend it. Then short paths are tried, with
//! steps that stay: where energies are kept and no coordinate is slow, the walk goes on like that.
//! Else paths are longer, of very different lengths. Where the metric does not settle, or long paths
//! are thrown off, the pilot has failed: then scales are learned as if there had been none, for as
//! long as the plan allows.
//!
//! Each chain decides for itself, by its own draws, so that threads and clocks have no part in it.

use super::metric::{Metric, Moments};
use super::whitened::{Gait, Whitened};
use crate::sampler::{ChainRun, Density, Plan, Watch};
use rand_chacha::ChaCha8Rng;
use std::sync::atomic::Ordering::Relaxed;

/// Draws of a leg, and how many there are at most until the metric has settled.
const LEG: usize = 100;
const LEGS: usize = 3;
/// Draws by which short paths are judged.
const TRIAL: usize = 200;
/// Shorter warm-ups are too short to be judged.
pub const LEAST: usize = 400;

/// Lengths of short paths and of long ones, with the largest share by which they differ from these:
/// a little more than a quarter of a turn, and half a turn.
const SHORT: (f64, f64) = (1.8, 0.2);
const LONG: (f64, f64) = (3.2, 0.5);
/// Where a step begins, and the share of paths to be taken that steps aim at: where energies are
/// kept, and where the density has corners.
const STEP: f64 = 0.5;
const ACCEPT: f64 = 0.9;
const CAREFUL: f64 = 0.95;
/// Steps below which the density is not what the pilot took it for.
const SHORTEST: f64 = 0.2;
/// Change of log sds within which these have settled: of the first coordinates, of the others.
const SETTLED: (f64, f64) = (0.35, 0.7);
/// Correlation of a draw with the next at which a coordinate is slow, error of an energy at which
/// steps are rough, and the least share of paths that has to be taken.
const SLOW: f64 = 0.55;
const ROUGH: f64 = 10.0;
const TAKEN: f64 = 0.75;

/// A walk that is warm, or where it stands that could not be made so.
pub enum Warmed<D: Density> {
    Yes(Box<Whitened<D>>),
    No(Vec<f64>),
}

/// A chain that warms up in the pilot's coordinates.
pub struct Warming<'a, D> {
    pub density: &'a D,
    pub chain: usize,
    pub plan: &'a Plan,
    pub watch: &'a Watch,
}

/// Where a chain has come to, and what it saw on the way.
struct Leg<D: Density> {
    walk: Box<Whitened<D>>,
    at: Vec<f64>,
    divergences: usize,
    /// The largest error of an energy.
    worst: f64,
    /// The mean share of paths that was taken.
    taken: f64,
    moments: Moments,
}

impl<D: Density> Warming<'_, D> {
    /// Warm up from `at`, in the coordinates of `metric`.
    pub fn warm(
        &self,
        mut metric: Metric,
        mut at: Vec<f64>,
        random: &mut ChaCha8Rng,
        run: &mut ChainRun,
    ) -> Result<Warmed<D>, String> {
        let (mut step, mut settled) = (STEP, false);
        for _ in 0..LEGS {
            if run.warmup + LEG + TRIAL > 3 * self.plan.warmup / 4 {
                break;
            }
            let Some(leg) = self.leg(&metric, &at, tuned(SHORT, step, ACCEPT), random, run)? else {
                return Ok(Warmed::No(at));
            };
            (at, step) = (leg.at, leg.walk.step());
            let Some(found) = metric.improved(&leg.moments) else { break };
            settled = found.moved.0 <= SETTLED.0 && found.moved.1 <= SETTLED.1;
            if settled {
                break;
            }
            metric = found.metric;
        }
        if !settled || step < SHORTEST {
            return Ok(Warmed::No(at));
        }
        self.judged(metric, at, step, random, run)
    }

    /// A walk by short paths where a trial goes well, else by long ones where none is thrown off.
    fn judged(
        &self,
        mut metric: Metric,
        mut at: Vec<f64>,
        step: f64,
        random: &mut ChaCha8Rng,
        run: &mut ChainRun,
    ) -> Result<Warmed<D>, String> {
        let trial = Gait { tune: 0, ..tuned(SHORT, step, ACCEPT) };
        let Some(trial) = self.leg(&metric, &at, trial, random, run)? else {
            return Ok(Warmed::No(at));
        };
        let smooth = trial.divergences == 0 && trial.worst <= ROUGH && trial.taken >= TAKEN;
        if smooth && trial.moments.slowest() <= SLOW {
            return self.filled(trial.walk, run);
        }
        at = trial.at;
        if let Some(found) = metric.improved(&trial.moments) {
            metric = found.metric;
        }
        let long = tuned(LONG, step, if smooth { ACCEPT } else { CAREFUL });
        let Some(leg) = self.leg(&metric, &at, long, random, run)? else {
            return Ok(Warmed::No(at));
        };
        let failed = leg.divergences > 0 || leg.taken < TAKEN || leg.walk.step() < SHORTEST;
        if failed && run.warmup + LEG <= self.plan.warmup {
            return Ok(Warmed::No(leg.at));
        }
        self.filled(leg.walk, run)
    }

    /// Some draws, and what they tell: those after which the step size stays, or a trial of one that
    /// does; `None` when told to stop.
    fn leg(
        &self,
        metric: &Metric,
        at: &[f64],
        gait: Gait,
        random: &mut ChaCha8Rng,
        run: &mut ChainRun,
    ) -> Result<Option<Leg<D>>, String> {
        let (draws, first) = if gait.tune > 0 { (gait.tune, gait.tune / 3) } else { (TRIAL, 0) };
        let least = if gait.tune > 0 && gait.length == SHORT.0 { draws + TRIAL } else { draws };
        let expected = if self.plan.exact_warmup { self.plan.warmup } else { run.warmup + least };
        self.watch.warms_up(self.chain, expected);
        let walk = Box::new(Whitened::new(self.density, metric.clone(), at, gait, random)?);
        let (at, moments) = (at.to_vec(), metric.moments());
        let mut leg = Leg { walk, at, divergences: 0, worst: 0.0, taken: 0.0, moments };
        for number in 0..draws {
            if self.watch.stop.load(Relaxed) {
                return Ok(None);
            }
            let draw = leg.walk.draw();
            run.gradients += draw.gradients;
            run.warmup += 1;
            self.watch.did(self.chain, 1, 0);
            // The first draws come in from where the chain was set down.
            if number >= first {
                leg.divergences += usize::from(draw.diverging);
                leg.worst = leg.worst.max(leg.walk.error.abs());
                leg.taken += leg.walk.taken / (draws - first) as f64;
                let (z, gradient) = leg.walk.white();
                leg.moments.add(z, gradient);
            }
            leg.at = draw.u;
        }
        Ok(Some(leg))
    }

    /// A walk that is warm, after as many draws as the plan asks for.
    fn filled(&self, mut walk: Box<Whitened<D>>, run: &mut ChainRun) -> Result<Warmed<D>, String> {
        while self.plan.exact_warmup
            && run.warmup < self.plan.warmup
            && !self.watch.stop.load(Relaxed)
        {
            run.gradients += walk.draw().gradients;
            run.warmup += 1;
            self.watch.did(self.chain, 1, 0);
        }
        self.watch.warms_up(self.chain, run.warmup);
        Ok(Warmed::Yes(walk))
    }
}

/// Paths of such lengths, their steps tuned in a leg.
fn tuned((length, jitter): (f64, f64), step: f64, accept: f64) -> Gait {
    Gait { length, jitter, step, tune: LEG, accept }
}
