//! NUTS (nuts-rs) from a scattered start.

use crate::sampler::{ChainRun, DEGENERATE, Density, Kept, Plan, Watch, generator};
use nuts_rs::{
    Chain, CpuLogpFunc, CpuMath, CpuMathError, DiagNutsSettings, HasDims, LogpError, Settings,
};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;
use thiserror::Error;

/// Acceptance that the step size aims at during warm-up. Where the data say little (few levels,
/// sparse Bernoulli groups) the sds bend the density at every scale: at 0.8 a step in some thousands
/// diverges there, at 0.9 hardly any.
const TARGET_ACCEPT: f64 = 0.9;

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

/// Run one chain.
pub fn run_chain<D: Density>(mut density: D, chain: usize, plan: &Plan, watch: &Watch) -> ChainRun {
    let mut run = ChainRun::default();
    let exact = generator(plan.seed, chain, 0);
    let result = run.reserve(plan.draws, density.n_outputs()).and_then(|()| {
        if density.dim() == 0 {
            draw_exactly(&mut density, chain, exact, plan, watch, &mut run)
        } else {
            walk(density, chain, exact, plan, watch, &mut run)
        }
    });
    run.failure = result.err();
    run
}

/// Everything is conjugate: nothing to walk over.
fn draw_exactly<D: Density>(
    density: &mut D,
    chain: usize,
    mut exact: ChaCha8Rng,
    plan: &Plan,
    watch: &Watch,
    run: &mut ChainRun,
) -> Result<(), String> {
    let mut row = vec![0.0; density.n_outputs()];
    let mut until = plan.draws;
    while run.kept < until || watch.goes_on(chain, run, &mut until, row.len())? {
        if !density.output(&[], &mut exact, &mut row) {
            return Err(DEGENERATE.into());
        }
        run.keep(&row, Kept { energy: f64::NAN, logp: f64::NAN, diverging: false, depth: 0 });
    }
    Ok(())
}

fn walk<D: Density>(
    mut density: D,
    chain: usize,
    mut exact: ChaCha8Rng,
    plan: &Plan,
    watch: &Watch,
    run: &mut ChainRun,
) -> Result<(), String> {
    let mut row = vec![0.0; density.n_outputs()];
    let mut random = generator(plan.seed, chain, 1);
    let start = starting_point(&mut density, &mut random)?;
    let math = CpuMath::new(Target(density.clone()));
    let mut nuts =
        settings(plan).new_chain(chain as u64, math, &mut random).map_err(|e| e.to_string())?;
    nuts.set_position(&start).map_err(|e| e.to_string())?;
    let (mut clock, mut until) = (Instant::now(), plan.draws);
    for iteration in 0.. {
        if iteration == plan.warmup {
            run.warmup_seconds = clock.elapsed().as_secs_f64();
            clock = Instant::now();
        }
        if run.kept == until {
            run.sampling_seconds += clock.elapsed().as_secs_f64();
            let more = watch.goes_on(chain, run, &mut until, row.len())?;
            clock = Instant::now();
            if !more {
                break;
            }
        }
        if watch.stop.load(Relaxed) {
            break;
        }
        let (u, _, stats, progress) = nuts.expanded_draw().map_err(|e| e.to_string())?;
        run.gradients += progress.num_steps;
        if iteration < plan.warmup {
            watch.did(chain, 1, 0);
            continue;
        }
        if !density.output(&u, &mut exact, &mut row) {
            return Err(DEGENERATE.into());
        }
        watch.did(chain, 1, usize::from(progress.diverging));
        run.step_size = progress.step_size;
        let (energy, logp) = (stats.point.energy, stats.point.logp);
        run.keep(&row, Kept { energy, logp, diverging: progress.diverging, depth: stats.depth });
    }
    run.sampling_seconds += clock.elapsed().as_secs_f64();
    Ok(())
}

fn settings(plan: &Plan) -> DiagNutsSettings {
    let mut settings = DiagNutsSettings {
        num_tune: plan.warmup as u64,
        num_draws: plan.draws as u64,
        maxdepth: plan.max_depth,
        num_chains: 1,
        seed: plan.seed,
        ..Default::default()
    };
    settings.adapt_options.step_size_settings.target_accept = TARGET_ACCEPT;
    settings
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
