//! What samplers share: the density that an engine offers, the plan, one chain's run, random streams,
//! and chains on our own threads: stoppable, never panicking.

use crate::parallel::one_by_one;
use crate::rounds::Rounds;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

pub const DEGENERATE: &str = "the conditional of the coefficients is degenerate";

/// What an engine must offer to be sampled.
pub trait Density: Clone + Send {
    fn dim(&self) -> usize;
    /// Numbers in one row of output.
    fn n_outputs(&self) -> usize;
    /// A reasonable point, around which chains start.
    fn start(&self) -> Vec<f64>;
    /// Log density at the unconstrained `u`; `None` where it is not finite.
    fn logp_and_grad(&mut self, u: &[f64], grad: &mut [f64]) -> Option<f64>;
    /// Log density at the unconstrained `u`, where the gradient is not needed.
    fn logp(&mut self, u: &[f64]) -> Option<f64> {
        self.logp_and_grad(u, &mut vec![0.0; u.len()])
    }
    /// Whether a polynomial may stand in for the density: few dimensions, in which it is smooth.
    fn takes_surrogate(&self) -> bool {
        false
    }
    /// Coordinates of which only absolute values matter: points with such a one negative mean the
    /// same as others without.
    fn walls(&self) -> Vec<usize> {
        Vec::new()
    }
    /// Where all coordinates but the first so many are about standard normal, given those: how many.
    fn whitened(&self) -> Option<usize> {
        None
    }
    /// The density in two stages, where most of its cost is in a few of its coordinates.
    fn in_stages(&self) -> Option<Box<dyn Staged>> {
        None
    }
    /// Constrained parameters, with whatever is drawn from exact conditionals; false on failure.
    fn output<R: Rng + ?Sized>(&mut self, u: &[f64], rng: &mut R, out: &mut [f64]) -> bool;
}

/// A density in two stages: numbers that cost much and are smooth functions of a few coordinates θ,
/// and all the rest, which costs little once they are known. Densities are over (θ, rest).
pub trait Staged: Send + Sync {
    /// The same, with working storage of its own.
    fn fresh(&self) -> Box<dyn Staged>;
    /// Dimensions of θ and of the rest.
    fn dims(&self) -> (usize, usize);
    fn n_features(&self) -> usize;
    /// Numbers in one row of output.
    fn n_outputs(&self) -> usize;
    /// Operations of an evaluation of the features.
    fn operations(&self) -> f64;
    /// Where θ is to be looked for: an interval for each coordinate, and a point.
    fn box_of_theta(&self) -> Vec<(f64, f64)>;
    fn start(&self) -> Vec<f64>;
    /// Coordinates of θ that draws have on their positive side, as [`Staged::mirrored`] means the
    /// same: features are smooth functions beyond.
    fn walls(&self) -> Vec<usize>;
    /// Mirror θ at a wall; features stay.
    fn mirror(&self, wall: usize, theta: &mut [f64]);
    /// A batch of points is next: what was learned at earlier ones may be of use from here on.
    fn begin(&mut self) {}
    /// Coordinates in which features are more like polynomials than in θ, if there are any.
    fn chart(&mut self, _theta: &[f64]) -> Option<Vec<f64>> {
        None
    }
    /// How many times as far as a posterior may be from what is drawn from polynomials this may be.
    fn tolerance(&self) -> f64 {
        1.0
    }
    /// What costs much; false where it is not finite.
    fn features(&mut self, theta: &[f64], out: &mut [f64]) -> bool;
    /// Where priors of scales have their peaks, each beside what else θ says, with σ as the features
    /// there have it: hills of their own, perhaps, too narrow to be seen from afar.
    fn peaks(&mut self, _theta: &[f64], _features: &[f64]) -> Vec<Vec<f64>> {
        Vec::new()
    }
    /// About the logarithm of what θ has of the mass, up to a constant, also where priors end.
    fn profile(&mut self, theta: &[f64], features: &[f64]) -> f64;
    /// Where the rest is to be expected, about, as (mean, sd).
    fn rest(&self) -> Vec<(f64, f64)>;
    /// Log density; −∞ outside the support.
    fn logp(&mut self, theta: &[f64], rest: &[f64], features: &[f64]) -> f64;
    /// Learn what is needed to draw, from θ of the region at which features were evaluated, each with
    /// how far its profile is below the highest.
    fn prepare(&mut self, _known: &[(&[f64], f64)]) {}
    /// How far what is drawn given θ is moved if `found` stands for the `true` features, in sds.
    fn moved(&self, found: &[f64], truth: &[f64]) -> f64;
    /// As [`Density::output`].
    fn output(
        &mut self,
        theta: &[f64],
        rest: &[f64],
        features: &[f64],
        rng: &mut ChaCha8Rng,
        out: &mut [f64],
    ) -> bool;
}

/// What was found when draws of a polynomial were held against the density that it stands for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Certificate {
    /// Evaluations of the density in all.
    pub evaluations: usize,
    /// Fresh draws at which both were compared.
    pub checked: usize,
    /// Sd of the differences of log densities there, and the largest from their mean.
    pub sd: f64,
    pub largest: f64,
    /// How far what is drawn given the scales was moved at most, in sds.
    pub moved: f64,
    /// Share of the mass outside the region of the polynomial, about.
    pub outside: f64,
    /// Of the weights of the proposals.
    pub pareto_k: f64,
    /// Share of the proposals that were taken.
    pub taken: f64,
}

/// What exploring a density gave.
#[derive(Debug, Default)]
pub struct Explored {
    pub runs: Vec<ChainRun>,
    /// Where draws are independent, from a polynomial that was checked.
    pub certificate: Option<Certificate>,
}

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub chains: usize,
    pub draws: usize,
    /// Draws of the warm-up at most; whether it takes them in any case.
    pub warmup: usize,
    pub exact_warmup: bool,
    pub seed: u64,
    pub threads: usize,
    pub max_depth: u64,
    /// Whether a density that takes it may be walked over by a stand-in.
    pub surrogate: bool,
    /// Whether draws are made from a polynomial that is checked; by default where that pays.
    pub design: Option<bool>,
}

/// How far a chain is.
#[derive(Debug, Default)]
struct Done {
    iterations: AtomicU64,
    divergences: AtomicU64,
    /// How long it warms up, as far as that is known.
    warmup: AtomicU64,
}

/// Shared with the thread that watches: how far each chain is, the stop flag, and what judges rounds
/// of draws, if there are rounds.
#[derive(Default)]
pub struct Watch {
    pub stop: AtomicBool,
    pub rounds: Option<Rounds>,
    chains: Vec<Done>,
}

impl Watch {
    pub fn new(chains: usize, rounds: Option<Rounds>) -> Self {
        let chains = (0..chains).map(|_| Done::default()).collect();
        Watch { chains, rounds, ..Watch::default() }
    }

    /// A chain has done so many iterations more, some of which diverged.
    pub fn did(&self, chain: usize, iterations: usize, divergences: usize) {
        if let Some(done) = self.chains.get(chain) {
            done.iterations.fetch_add(iterations as u64, Relaxed);
            done.divergences.fetch_add(divergences as u64, Relaxed);
        }
    }

    /// A chain warms up for so many iterations, as far as it knows.
    pub fn warms_up(&self, chain: usize, iterations: usize) {
        if let Some(done) = self.chains.get(chain) {
            done.warmup.store(iterations as u64, Relaxed);
        }
    }

    /// What was done is done anew.
    pub fn again(&self) {
        for done in &self.chains {
            done.iterations.store(0, Relaxed);
            done.divergences.store(0, Relaxed);
        }
    }

    /// Whether a chain that has `until` draws goes on, until it has more, for which it finds room.
    pub fn goes_on(
        &self,
        chain: usize,
        run: &mut ChainRun,
        until: &mut usize,
        width: usize,
    ) -> Result<bool, String> {
        let Some(rounds) = &self.rounds else { return Ok(false) };
        *until = rounds.next(chain, run, &self.stop);
        let more = until.saturating_sub(run.kept);
        run.reserve(more, width)?;
        Ok(more > 0 && !self.stop.load(Relaxed))
    }

    /// Iterations and divergences of each chain so far, and how long it warms up if it said so.
    pub fn so_far(&self) -> (Vec<u64>, Vec<u64>, Vec<u64>) {
        let each = |of: fn(&Done) -> &AtomicU64| {
            self.chains.iter().map(|done| of(done).load(Relaxed)).collect()
        };
        (each(|done| &done.iterations), each(|done| &done.divergences), each(|done| &done.warmup))
    }
}

/// One chain, as far as it went.
#[derive(Clone, Debug, Default)]
pub struct ChainRun {
    /// `kept` rows of `n_outputs` numbers.
    pub outputs: Vec<f64>,
    pub kept: usize,
    pub energy: Vec<f64>,
    pub logp: Vec<f64>,
    pub diverging: Vec<bool>,
    pub depth: Vec<u64>,
    pub step_size: f64,
    pub gradients: u64,
    /// Draws that a stand-in proposed and the density refused.
    pub refused: u64,
    /// Draws of the warm-up.
    pub warmup: usize,
    pub warmup_seconds: f64,
    pub sampling_seconds: f64,
    pub failure: Option<String>,
}

/// The clock of a chain, and the draws at which its round ends.
pub struct Pace {
    clock: Instant,
    until: usize,
}

impl Pace {
    pub fn new(plan: &Plan) -> Self {
        Self { clock: Instant::now(), until: plan.draws }
    }

    /// The warm-up has come to its end.
    pub fn warmed(&mut self, run: &mut ChainRun) {
        run.warmup_seconds = self.lap();
    }

    /// Whether a chain goes on, which where a round ends the others decide with it.
    pub fn goes_on(
        &mut self,
        chain: usize,
        run: &mut ChainRun,
        width: usize,
        watch: &Watch,
    ) -> Result<bool, String> {
        let ends = run.kept == self.until;
        if ends {
            run.sampling_seconds += self.lap();
        }
        if ends && !watch.goes_on(chain, run, &mut self.until, width)? {
            return Ok(false);
        }
        if ends {
            self.clock = Instant::now();
        } else if watch.stop.load(Relaxed) {
            run.sampling_seconds += self.lap();
            return Ok(false);
        }
        Ok(true)
    }

    fn lap(&mut self) -> f64 {
        let seconds = self.clock.elapsed().as_secs_f64();
        self.clock = Instant::now();
        seconds
    }
}

/// What is kept of a draw beside its row of output.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    pub energy: f64,
    pub logp: f64,
    pub diverging: bool,
    pub depth: u64,
}

impl ChainRun {
    /// Find room for the rows of output.
    pub fn reserve(&mut self, draws: usize, width: usize) -> Result<(), String> {
        let size = draws.saturating_mul(width);
        let room = self.outputs.try_reserve_exact(size);
        room.map_err(|_| "the draws do not fit into memory".into())
    }

    pub fn keep(&mut self, row: &[f64], draw: Kept) {
        self.outputs.extend_from_slice(row);
        self.energy.push(draw.energy);
        self.logp.push(draw.logp);
        self.diverging.push(draw.diverging);
        self.depth.push(draw.depth);
        self.kept += 1;
    }
}

/// A generator of its own for each (chain, purpose), so that threads and order do not matter.
pub fn generator(seed: u64, chain: usize, purpose: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(2 * chain as u64 + purpose + 1);
    rng
}

/// Do `work` for all chains; one that breaks down takes no other with it.
pub fn protected(
    plan: &Plan,
    watch: &Watch,
    work: impl Fn(usize) -> ChainRun + Sync,
) -> Vec<ChainRun> {
    let unbroken = |chain| {
        let work = || work(chain);
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| ChainRun {
            failure: Some("the sampler broke down".into()),
            ..ChainRun::default()
        })
    };
    let Some(rounds) = &watch.rounds else { return in_parallel(plan, unbroken) };
    rounds.begin(plan.chains, plan.threads);
    in_parallel(&Plan { threads: plan.chains, ..*plan }, |chain| {
        rounds.enter(&watch.stop);
        let run = unbroken(chain);
        rounds.leave();
        run
    })
}

/// Do `work` for every chain on the plan's threads; results in the order of the chains.
pub fn in_parallel<T: Default + Send>(plan: &Plan, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    one_by_one(plan.chains, plan.threads, work)
}
