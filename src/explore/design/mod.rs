//! Independent draws of a density that costs much, by few evaluations of it.
//!
//! What costs much are smooth functions of few coordinates θ ([`Staged`]): polynomials are fitted to
//! them over the region where the mass is. All else is exact. Draws of what they give are independent
//! of one another; they are the posterior's as far as the polynomials are right, so they are held
//! against the density at fresh draws, and are refused where they differ: [`Certificate`].

mod build;
mod differences;
mod emulator;
mod locate;
mod newton;
mod peaks;
mod points;
mod polynomials;
mod proposal;
mod region;

use crate::sampler::{
    Certificate, ChainRun, DEGENERATE, Explored, Kept, Plan, Staged, Watch, generator, protected,
};
use build::{Built, Mode};
use rand::RngExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Operations of an evaluation from which on walks, with some 5000 of them, cost more, and how many
/// times those of a proposal, of which there are more.
const EXPENSIVE: f64 = 200_000.0;
const PROPOSAL: f64 = 4.0;

/// Proposals for a draw, at most.
const PROPOSALS: usize = 500;

/// Draws of all chains, where the plan allows it, the density is expensive, and the certificate holds.
pub fn sample(staged: &dyn Staged, plan: &Plan, watch: &Watch) -> Option<Explored> {
    if !plan.design.unwrap_or_else(|| pays(staged)) {
        return None;
    }
    let build = || {
        let ways: [Mode; 2] = [locate::mode, newton::mode];
        let of = |way: Mode| build::build(staged, plan.seed, plan.threads, &watch.stop, way);
        ways.into_iter().find_map(of)
    };
    let built = catch_unwind(AssertUnwindSafe(build)).ok()??;
    let runs = protected(plan, watch, |chain| run_chain(&built, chain, plan, watch));
    let kept: usize = runs.iter().map(|run| run.kept).sum();
    let proposed: u64 = runs.iter().map(|run| run.gradients).sum();
    let taken = kept as f64 / proposed.max(1) as f64;
    let certificate = Some(Certificate { taken, ..built.certificate });
    let good = watch.stop.load(Relaxed) || runs.iter().all(|run| run.failure.is_none());
    good.then_some(Explored { runs, certificate })
}

/// Whether so few evaluations are worth what polynomials cost; by operations, never by a clock.
fn pays(staged: &dyn Staged) -> bool {
    // Polynomials of some 50 monomials, and matrices of as many columns as make these features.
    let features = staged.n_features() as f64;
    let proposal = 50.0 * features + (2.0 * features).powf(1.5);
    staged.operations() > EXPENSIVE.max(PROPOSAL * proposal)
}

fn run_chain(built: &Built, chain: usize, plan: &Plan, watch: &Watch) -> ChainRun {
    let mut run = ChainRun::default();
    run.failure = try_chain(built, chain, plan, watch, &mut run).err();
    run
}

/// Draws with a random stream of their own: each proposal is taken in proportion to its weight.
fn try_chain(
    built: &Built,
    chain: usize,
    plan: &Plan,
    watch: &Watch,
    run: &mut ChainRun,
) -> Result<(), String> {
    let clock = Instant::now();
    let mut cheap = built.cheap.fresh();
    let mut random = generator(plan.seed, chain, 1);
    let mut exact = generator(plan.seed, chain, 0);
    let mut row = vec![0.0; cheap.staged.n_outputs()];
    run.reserve(plan.draws, row.len())?;
    watch.did(chain, plan.warmup, 0); // independent draws need none
    let mut until = plan.draws;
    while !watch.stop.load(Relaxed)
        && (run.kept < until || watch.goes_on(chain, run, &mut until, row.len())?)
    {
        if run.gradients > (PROPOSALS * until) as u64 {
            return Err("hardly any proposal was taken".into());
        }
        let (y, weight) = built.proposal.propose(&mut cheap, &mut random);
        run.gradients += 1;
        if random.random::<f64>().ln() >= weight - built.proposal.bound {
            continue;
        }
        let logp = cheap.logp(&y);
        if !cheap.output(&y, &mut exact, &mut row) {
            return Err(DEGENERATE.into());
        }
        watch.did(chain, 1, 0);
        run.keep(&row, Kept { energy: f64::NAN, logp, diverging: false, depth: 0 });
    }
    run.sampling_seconds = clock.elapsed().as_secs_f64();
    Ok(())
}

#[cfg(test)]
mod known;

#[cfg(test)]
mod tests {
    use super::known::Known;
    use super::*;

    fn plan(draws: usize, threads: usize) -> Plan {
        let (chains, seed) = (2, 3);
        Plan {
            chains,
            draws,
            warmup: 0,
            exact_warmup: true,
            seed,
            threads,
            max_depth: 0,
            surrogate: true,
            design: None,
        }
    }

    fn explored(density: &Known, draws: usize, threads: usize) -> Option<Explored> {
        sample(density, &plan(draws, threads), &Watch::default())
    }

    fn mean(runs: &[ChainRun], of: impl Fn(f64, f64) -> f64) -> f64 {
        let values = runs.iter().flat_map(|run| run.outputs.chunks_exact(2));
        let kept: usize = runs.iter().map(|run| run.kept).sum();
        values.map(|u| of(u[0], u[1])).sum::<f64>() / kept as f64
    }

    #[test]
    fn moments_are_those_of_the_density() {
        let bent = explored(&Known::Bent, 20_000, 2).unwrap();
        // Digamma and trigamma at 3; 5 Monte Carlo errors of 40,000 draws.
        let (first, variance) = (0.922_784_3, 0.394_934_1);
        let runs = &bent.runs;
        assert!((mean(runs, |a, _| a) - first).abs() < 5.0 * (variance / 4e4_f64).sqrt());
        assert!((mean(runs, |a, _| (a - first).powi(2)) - variance).abs() < 0.02);
        assert!((mean(runs, |a, b| b - 0.25 * a * a)).abs() < 5.0 * 0.5 / 200.0);
        assert!(bent.certificate.unwrap().evaluations < 250);
    }

    #[test]
    fn draws_lie_within_walls() {
        let wall = explored(&Known::Wall, 20_000, 1).unwrap();
        // √(2/π), and its sd.
        let half = (2.0 / std::f64::consts::PI).sqrt();
        assert!((mean(&wall.runs, |a, _| a) - half).abs() < 5.0 * 0.603 / 200.0);
        assert!(wall.runs.iter().all(|run| run.outputs.chunks_exact(2).all(|u| u[0] >= 0.0)));
    }

    #[test]
    fn threads_change_nothing() {
        let (one, other) = (explored(&Known::Bent, 50, 1), explored(&Known::Bent, 50, 3));
        let outputs = |found: Option<Explored>| -> Vec<Vec<f64>> {
            found.unwrap().runs.into_iter().map(|run| run.outputs).collect()
        };
        assert_eq!(outputs(one), outputs(other));
    }

    #[test]
    fn what_no_polynomial_is_like_and_hills_apart_are_refused() {
        assert!(explored(&Known::Edge, 10, 1).is_none());
        assert!(explored(&Known::Peaks, 10, 1).is_none());
        assert!(explored(&Known::Needle, 10, 1).is_none());
    }

    #[test]
    fn nothing_is_done_when_told_to_stop_or_not_wanted() {
        let watch = Watch::default();
        watch.stop.store(true, Relaxed);
        assert!(sample(&Known::Bent, &plan(10, 1), &watch).is_none());
        let other = Plan { design: Some(false), ..plan(10, 1) };
        assert!(sample(&Known::Bent, &other, &Watch::default()).is_none());
    }
}
