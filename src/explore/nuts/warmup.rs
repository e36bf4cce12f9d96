//! How long a walk warms up: until it is known that steps in the pilot's coordinates are long and safe.
//!
//! Where a pilot made the density about standard normal, nothing is unknown but the step size, and
//! how a few coordinates hang together, which their curvature at the start tells about. Legs of some
//! draws set the steps, and confirm that metric or mend it. Then short paths are tried, with
//! steps that stay: where none diverges, energies are kept and no coordinate is slow, the walk
//! goes on like that. Else paths are as long as NUTS makes them, and steps more careful. Where the
//! metric does not settle or steps diverge even so, the pilot has failed: then scales are learned as
//! if there had been none, for as long as the plan allows.
//!
//! Each chain decides for itself, by its own draws, so that threads and clocks have no part in it.

use super::metric::{Metric, Moments};
use super::target::{Gait, Walker};
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

/// Where a step begins, and acceptance that steps aim at: of short paths, and of others.
const STEP: f64 = 0.5;
const ACCEPT: f64 = 0.85;
const CAREFUL: f64 = 0.95;
/// Steps below which the density is not what the pilot took it for, and the longest of short paths.
const SHORTEST: f64 = 0.3;
const LONGEST: f64 = 0.8;
/// Change of log sds within which these have settled: of the first coordinates, of the others.
const SETTLED: (f64, f64) = (0.35, 0.7);
/// Correlation of a draw with the next at which a coordinate is slow, and error of an energy at which
/// steps are rough.
const SLOW: f64 = 0.55;
const ROUGH: f64 = 10.0;
/// Length of a path in a standard normal density beyond which it is no use to go on: a quarter of a
/// turn, and a little.
const QUARTER: f64 = 1.7;
/// Depth of paths while the first coordinates may have other scales.
const DEEP: u64 = 5;

/// A walk that is warm, or where it stands that could not be made so.
pub enum Warmed<D: Density> {
    Yes(Box<Walker<D>>),
    No(Vec<f64>),
}

/// The depth at which paths of such steps are long enough.
fn depth_of(step: f64) -> u64 {
    (2..DEEP).find(|depth| f64::from((1 << depth) - 1) * step >= QUARTER).unwrap_or(DEEP)
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
    walker: Walker<D>,
    at: Vec<f64>,
    step: f64,
    divergences: usize,
    /// The largest error of an energy.
    worst: f64,
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
            let gait = Gait { tune: LEG, step, depth: DEEP, accept: ACCEPT };
            let Some(leg) = self.leg(&metric, &at, gait, random, run)? else {
                return Ok(Warmed::No(at));
            };
            (at, step) = (leg.at, leg.step);
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

    /// A walk by short paths where a trial goes well, else by long ones where those do not diverge.
    fn judged(
        &self,
        metric: Metric,
        mut at: Vec<f64>,
        step: f64,
        random: &mut ChaCha8Rng,
        run: &mut ChainRun,
    ) -> Result<Warmed<D>, String> {
        let step = step.min(LONGEST);
        let short = Gait { tune: 0, step, depth: depth_of(step), accept: ACCEPT };
        let Some(trial) = self.leg(&metric, &at, short, random, run)? else {
            return Ok(Warmed::No(at));
        };
        at = trial.at;
        let good = trial.divergences == 0 && trial.worst <= ROUGH;
        if good && trial.moments.slowest() <= SLOW {
            return self.filled(trial.walker, run);
        }
        let long = Gait { tune: LEG, step, depth: self.plan.max_depth, accept: CAREFUL };
        let Some(leg) = self.leg(&metric, &at, long, random, run)? else {
            return Ok(Warmed::No(at));
        };
        if leg.divergences > 0 && run.warmup + LEG <= self.plan.warmup {
            return Ok(Warmed::No(leg.at));
        }
        let gait = Gait { tune: 0, step: leg.step, ..long };
        self.filled(Walker::whitened(self.density, metric, &leg.at, gait, random)?, run)
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
        let least = if gait.tune > 0 && gait.accept == ACCEPT { draws + TRIAL } else { draws };
        let expected = if self.plan.exact_warmup { self.plan.warmup } else { run.warmup + least };
        self.watch.warms_up(self.chain, expected);
        let walker = Walker::whitened(self.density, metric.clone(), at, gait, random)?;
        let (at, step, moments) = (at.to_vec(), gait.step, metric.moments());
        let mut leg = Leg { walker, at, step, divergences: 0, worst: 0.0, moments };
        for number in 0..draws {
            if self.watch.stop.load(Relaxed) {
                return Ok(None);
            }
            let draw = leg.walker.draw()?;
            run.gradients += draw.gradients;
            run.warmup += 1;
            self.watch.did(self.chain, 1, 0);
            // The first draws come in from where the chain was set down.
            if number >= first {
                leg.divergences += usize::from(draw.diverging);
                leg.worst = leg.worst.max(draw.energy_error.abs());
                leg.moments.add(&draw.z, &draw.gradient);
            }
            (leg.at, leg.step) = (draw.u, draw.step_size);
        }
        Ok(Some(leg))
    }

    /// A walk that is warm, after as many draws as the plan asks for.
    fn filled(&self, mut walker: Walker<D>, run: &mut ChainRun) -> Result<Warmed<D>, String> {
        while self.plan.exact_warmup
            && run.warmup < self.plan.warmup
            && !self.watch.stop.load(Relaxed)
        {
            run.gradients += walker.draw()?.gradients;
            run.warmup += 1;
            self.watch.did(self.chain, 1, 0);
        }
        self.watch.warms_up(self.chain, run.warmup);
        Ok(Warmed::Yes(Box::new(walker)))
    }
}
