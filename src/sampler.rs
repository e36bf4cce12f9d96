//! NUTS chains (nuts-rs) on our own threads: seeded per chain, stoppable, never panicking.

use crate::surrogate;
use nuts_rs::{
    Chain, CpuLogpFunc, CpuMath, CpuMathError, DiagNutsSettings, HasDims, LogpError, Settings,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Instant;
use thiserror::Error;

/// Acceptance that the step size aims at during warm-up. Where the data say little (few levels,
/// sparse Bernoulli groups) the sds bend the density at every scale: at 0.8 a step in some thousands
/// diverges there, at 0.9 hardly any.
const TARGET_ACCEPT: f64 = 0.9;

/// Share of draws that the density may refuse: beyond, NUTS on the density itself does better.
const MAX_REFUSED: f64 = 0.4;

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
    /// Constrained parameters, with whatever is drawn from exact conditionals; false on failure.
    fn output<R: Rng + ?Sized>(&mut self, u: &[f64], rng: &mut R, out: &mut [f64]) -> bool;
}

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub chains: usize,
    pub draws: usize,
    pub warmup: usize,
    pub seed: u64,
    pub threads: usize,
    pub max_depth: u64,
    /// Whether a density that takes it may be walked over by a stand-in.
    pub surrogate: bool,
}

/// Shared with the thread that watches: iterations done, divergences so far, and the stop flag.
#[derive(Debug, Default)]
pub struct Watch {
    pub stop: AtomicBool,
    pub iterations: AtomicU64,
    pub divergences: AtomicU64,
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
    pub warmup_seconds: f64,
    pub sampling_seconds: f64,
    pub failure: Option<String>,
}

#[derive(Debug, Error)]
#[error("the density is not finite here")]
struct NotFinite;

impl LogpError for NotFinite {
    fn is_recoverable(&self) -> bool {
        true
    }
}

/// A [`Density`] as nuts-rs wants it.
struct Target<D>(D);

impl<D: Density> HasDims for Target<D> {
    fn dim_sizes(&self) -> HashMap<String, u64> {
        HashMap::from([("unconstrained_parameter".to_string(), self.0.dim() as u64)])
    }
}

impl<D: Density> CpuLogpFunc for Target<D> {
    type LogpError = NotFinite;
    type FlowParameters = ();
    type ExpandedVector = ();

    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn logp(&mut self, u: &[f64], grad: &mut [f64]) -> Result<f64, NotFinite> {
        self.0.logp_and_grad(u, grad).ok_or(NotFinite)
    }

    fn expand_vector<R: Rng + ?Sized>(
        &mut self,
        _rng: &mut R,
        _array: &[f64],
    ) -> Result<(), CpuMathError> {
        Ok(())
    }
}

/// Run all chains; the result does not depend on the number of threads.
pub fn sample<D: Density + Sync>(density: &D, plan: &Plan, watch: &Watch) -> Vec<ChainRun> {
    if let Some(runs) = sample_by_surrogate(density, plan, watch) {
        return runs;
    }
    protected(plan, |chain| run_chain(density.clone(), chain, plan, watch))
}

/// All chains by a stand-in for the density, where it takes one and that does well.
fn sample_by_surrogate<D: Density + Sync>(
    density: &D,
    plan: &Plan,
    watch: &Watch,
) -> Option<Vec<ChainRun>> {
    if density.dim() == 0 || !density.takes_surrogate() || !plan.surrogate {
        return None;
    }
    let build = || surrogate::build(density, &watch.stop);
    let surrogate = catch_unwind(AssertUnwindSafe(build)).ok()??;
    let runs = protected(plan, |chain| {
        surrogate::run_chain(&surrogate, density.clone(), chain, plan, watch)
    });
    let good = |run: &ChainRun| {
        run.failure.is_none() && run.refused as f64 <= MAX_REFUSED * run.kept as f64
    };
    let stopped = watch.stop.load(Relaxed);
    if stopped || runs.iter().all(good) {
        return Some(runs);
    }
    // What was done is done anew.
    watch.iterations.store(0, Relaxed);
    watch.divergences.store(0, Relaxed);
    None
}

/// Do `work` for all chains; one that breaks down takes no other with it.
fn protected(plan: &Plan, work: impl Fn(usize) -> ChainRun + Sync) -> Vec<ChainRun> {
    in_parallel(plan, |chain| {
        let work = || work(chain);
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| ChainRun {
            failure: Some("the sampler broke down".into()),
            ..ChainRun::default()
        })
    })
}

/// Do `work` for every chain on the plan's threads; results in the order of the chains.
pub fn in_parallel<T: Default + Send>(plan: &Plan, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<T>> = (0..plan.chains).map(|_| Mutex::default()).collect();
    std::thread::scope(|scope| {
        for _ in 0..plan.threads.clamp(1, plan.chains.max(1)) {
            scope.spawn(|| {
                loop {
                    let chain = next.fetch_add(1, Relaxed);
                    let Some(slot) = results.get(chain) else { break };
                    let result = work(chain);
                    if let Ok(mut slot) = slot.lock() {
                        *slot = result;
                    }
                }
            });
        }
    });
    results.into_iter().map(|slot| slot.into_inner().unwrap_or_default()).collect()
}

fn run_chain<D: Density>(density: D, chain: usize, plan: &Plan, watch: &Watch) -> ChainRun {
    let mut run = ChainRun::default();
    if let Err(error) = try_chain(density, chain, plan, watch, &mut run) {
        run.failure = Some(error);
    }
    run
}

/// A generator of its own for each (chain, purpose), so that threads and order do not matter.
pub fn generator(seed: u64, chain: usize, purpose: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(2 * chain as u64 + purpose + 1);
    rng
}

fn try_chain<D: Density>(
    mut density: D,
    chain: usize,
    plan: &Plan,
    watch: &Watch,
    run: &mut ChainRun,
) -> Result<(), String> {
    let width = density.n_outputs();
    let mut exact = generator(plan.seed, chain, 0);
    let size = plan.draws.saturating_mul(width);
    run.outputs.try_reserve_exact(size).map_err(|_| "the draws do not fit into memory")?;
    let mut row = vec![0.0; width];
    if density.dim() == 0 {
        // Everything is conjugate: nothing to walk over.
        for _ in 0..plan.draws {
            if !density.output(&[], &mut exact, &mut row) {
                return Err("the conditional of the coefficients is degenerate".into());
            }
            run.outputs.extend_from_slice(&row);
            run.energy.push(f64::NAN);
            run.logp.push(f64::NAN);
            run.diverging.push(false);
            run.depth.push(0);
            run.kept += 1;
        }
        return Ok(());
    }
    let mut walk = generator(plan.seed, chain, 1);
    let start = starting_point(&mut density, &mut walk)?;
    let mut settings = DiagNutsSettings {
        num_tune: plan.warmup as u64,
        num_draws: plan.draws as u64,
        maxdepth: plan.max_depth,
        num_chains: 1,
        seed: plan.seed,
        ..Default::default()
    };
    settings.adapt_options.step_size_settings.target_accept = TARGET_ACCEPT;
    let math = CpuMath::new(Target(density.clone()));
    let mut nuts = settings.new_chain(chain as u64, math, &mut walk).map_err(|e| e.to_string())?;
    nuts.set_position(&start).map_err(|e| e.to_string())?;
    let mut clock = Instant::now();
    for iteration in 0..plan.warmup + plan.draws {
        if watch.stop.load(Relaxed) {
            break;
        }
        if iteration == plan.warmup {
            run.warmup_seconds = clock.elapsed().as_secs_f64();
            clock = Instant::now();
        }
        let (u, _, stats, progress) = nuts.expanded_draw().map_err(|e| e.to_string())?;
        watch.iterations.fetch_add(1, Relaxed);
        run.gradients += progress.num_steps;
        if iteration < plan.warmup {
            continue;
        }
        if !density.output(&u, &mut exact, &mut row) {
            return Err("the conditional of the coefficients is degenerate".into());
        }
        if progress.diverging {
            watch.divergences.fetch_add(1, Relaxed);
        }
        run.outputs.extend_from_slice(&row);
        run.energy.push(stats.point.energy);
        run.logp.push(stats.point.logp);
        run.diverging.push(progress.diverging);
        run.depth.push(stats.depth);
        run.step_size = progress.step_size;
        run.kept += 1;
    }
    run.sampling_seconds = clock.elapsed().as_secs_f64();
    Ok(())
}

/// Scatter chains around the density's own start; come closer where that is outside the support.
fn starting_point<D: Density>(density: &mut D, rng: &mut ChaCha8Rng) -> Result<Vec<f64>, String> {
    let centre = density.start();
    let mut grad = vec![0.0; centre.len()];
    let mut width = 1.0;
    for _ in 0..40 {
        let u: Vec<f64> =
            centre.iter().map(|c| c + width * (2.0 * rng.random::<f64>() - 1.0)).collect();
        if density.logp_and_grad(&u, &mut grad).is_some() {
            return Ok(u);
        }
        width *= 0.8;
    }
    Err("no starting point with a finite density was found".into())
}
