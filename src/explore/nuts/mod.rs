//! Chains from a scattered start: Hamiltonian Monte Carlo in coordinates that a pilot gave, where
//! these are good; else NUTS.

mod adapting;
mod metric;
#[cfg(test)]
mod tests;
mod walker;
mod warmup;
mod whitened;

use crate::sampler::{ChainRun, DEGENERATE, Density, Kept, Pace, Plan, Watch, generator};
use adapting::Adapting;
use metric::Metric;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use walker::Walker;
use warmup::{LEAST, Warmed, Warming};

const NO_START: &str = "no starting point with a finite density was found";

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
    let mut pace = Pace::new(plan);
    let mut walker = walker(&mut density, chain, plan, watch, run)?;
    // What is left of the warm-up.
    let tune = if walker.is_warm() { 0 } else { plan.warmup - run.warmup };
    for iteration in 0.. {
        if iteration == tune {
            pace.warmed(run);
        }
        if !pace.goes_on(chain, run, row.len(), watch)? {
            break;
        }
        let draw = walker.draw()?;
        run.gradients += draw.gradients;
        if iteration < tune {
            run.warmup += 1;
            watch.did(chain, 1, 0);
            continue;
        }
        if !density.output(&draw.u, &mut exact, &mut row) {
            return Err(DEGENERATE.into());
        }
        watch.did(chain, 1, usize::from(draw.diverging));
        run.step_size = draw.step_size;
        let (energy, logp) = (draw.energy, draw.logp);
        run.keep(&row, Kept { energy, logp, diverging: draw.diverging, depth: draw.depth });
    }
    Ok(())
}

/// A walk that is warm, or one that warms up in the draws that are left of the plan.
fn walker<D: Density>(
    density: &mut D,
    chain: usize,
    plan: &Plan,
    watch: &Watch,
    run: &mut ChainRun,
) -> Result<Walker<D>, String> {
    let mut random = generator(plan.seed, chain, 1);
    let at = match density.whitened() {
        Some(dense) if plan.warmup >= LEAST => {
            let (metric, start) = whitened_start(density, dense, &mut random)?;
            let warming = Warming { density, chain, plan, watch };
            match warming.warm(metric, start, &mut random, run)? {
                Warmed::Yes(walk) => return Ok(Walker::Whitened(walk)),
                Warmed::No(at) => at,
            }
        }
        _ => starting_point(density, &mut random)?,
    };
    watch.warms_up(chain, plan.warmup);
    let walk = Adapting::new(density, &at, plan.warmup - run.warmup, plan, &mut random)?;
    Ok(Walker::Adapting(Box::new(walk)))
}

/// Where a chain starts that the pilot gave coordinates: those that are about standard normal are
/// drawn as such; the `dense` first ones are scattered over twice the sds that their curvature tells.
fn whitened_start<D: Density>(
    density: &mut D,
    dense: usize,
    rng: &mut ChaCha8Rng,
) -> Result<(Metric, Vec<f64>), String> {
    let centre = density.start();
    let mut at = centre.clone();
    for u in &mut at[dense..] {
        *u += Distribution::<f64>::sample(&StandardNormal, rng);
    }
    let metric = Metric::curved(density, &at, centre, dense);
    let mut z = metric.to_white(&at);
    let (mut u, mut grad) = (at.clone(), vec![0.0; at.len()]);
    z[..dense].fill_with(|| 4.0 * rng.random::<f64>() - 2.0);
    for _ in 0..40 {
        metric.to_position(&z, &mut u);
        if density.logp_and_grad(&u, &mut grad).is_some() {
            return Ok((metric, u));
        }
        z.iter_mut().for_each(|z| *z *= 0.8);
    }
    Err(NO_START.into())
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
    Err(NO_START.into())
}
