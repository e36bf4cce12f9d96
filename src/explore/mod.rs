//! Chains that explore a density: independent draws of polynomials that were checked, where it costs
//! much; a walk over a polynomial that stands in for it, where that does well; else NUTS.

mod design;
pub mod monomials;
mod nuts;
mod surrogate;

use crate::sampler::{ChainRun, Density, Explored, Plan, Staged, Watch, protected};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;

/// Share of draws that the density may refuse: beyond, NUTS on the density itself does better.
const MAX_REFUSED: f64 = 0.4;

/// Run all chains; the result does not depend on the number of threads.
pub fn sample<D: Density + Sync>(density: &D, plan: &Plan, watch: &Watch) -> Explored {
    if plan.design != Some(false)
        && let Some(staged) = density.in_stages()
        && let Some(explored) = design::sample(&*staged, plan, watch)
    {
        return explored;
    }
    let runs = sample_by_surrogate(density, plan, watch).unwrap_or_else(|| {
        // Where a stand-in was given up after some rounds, the density is judged from there on.
        let reached = watch.rounds.as_ref().map_or(0, |rounds| rounds.reached());
        let plan = &Plan { draws: plan.draws.max(reached), ..*plan };
        protected(plan, watch, |chain| nuts::run_chain(density.clone(), chain, plan, watch))
    });
    Explored { runs, certificate: None }
}

/// Independent draws of a density in two stages; `None` where the certificate fails.
pub fn independent(staged: &dyn Staged, plan: &Plan, watch: &Watch) -> Option<Explored> {
    design::sample(staged, plan, watch)
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
    let runs = protected(plan, watch, |chain| {
        surrogate::run_chain(&surrogate, density.clone(), chain, plan, watch)
    });
    let good = |run: &ChainRun| {
        run.failure.is_none() && run.refused as f64 <= MAX_REFUSED * run.kept as f64
    };
    let stopped = watch.stop.load(Relaxed);
    if stopped || runs.iter().all(good) {
        return Some(runs);
    }
    watch.again();
    None
}
