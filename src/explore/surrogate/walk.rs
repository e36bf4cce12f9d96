//! Chains that walk over the stand-in and answer to the density.

use super::{State, Surrogate, Walker};
use crate::sampler::{ChainRun, DEGENERATE, Density, Kept, Pace, Plan, Watch, generator};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::PI;

/// Moves over the stand-in between two draws: enough that draws hardly correlate.
const MOVES: usize = 3;

/// Share of moves with short steps, which go where the density bends more than elsewhere, and how
/// much shorter they are.
const SHORT: (f64, f64) = (0.15, 0.3);

/// Error of the energy at which a path was thrown off, as NUTS counts divergences.
const THROWN_OFF: f64 = 1000.0;

/// Answers to the density before draws are kept, at least.
const SETTLE: usize = 20;

/// What became of a move.
pub struct Move {
    pub short: bool,
    pub accepted: bool,
    pub thrown_off: bool,
}

impl<D: Density> Walker<'_, D> {
    /// One move of Hamiltonian Monte Carlo with a path of random length in steps of random size,
    /// which is reversible for the stand-in.
    pub fn step<R: Rng + ?Sized>(&mut self, state: &mut State, rng: &mut R) -> Move {
        let short = rng.random::<f64>() < SHORT.0;
        let step = self.surrogate.step * if short { SHORT.1 } else { 1.0 };
        let steps = (rng.random::<f64>() * PI / step).ceil().max(1.0) as usize;
        let mut made = Move { short, accepted: false, thrown_off: false };
        for p in &mut self.momentum {
            *p = StandardNormal.sample(rng);
        }
        let before = state.logp - size(&self.momentum);
        let level = before + rng.random::<f64>().ln();
        self.end.copy_from(state);
        for _ in 0..steps {
            self.push(0.5 * step);
            if !self.drift(step) || self.evaluate().is_none() {
                return made;
            }
            self.push(0.5 * step);
        }
        let after = self.end.logp - size(&self.momentum);
        made.accepted = after > level;
        made.thrown_off = short && (before - after).abs() > THROWN_OFF;
        if made.accepted {
            std::mem::swap(state, &mut self.end);
        }
        made
    }

    /// Change the momentum by the slopes where the path has come to, for some time.
    fn push(&mut self, time: f64) {
        for (p, slope) in self.momentum.iter_mut().zip(&self.end.slopes) {
            *p += time * slope;
        }
    }

    /// A few moves, for which the density itself is asked where they ended: it accepts them, or the
    /// state, its position `u` and the density's `logp` stay. Returns whether it did, and whether a
    /// path was thrown off.
    fn answer<R: Rng + ?Sized>(
        &mut self,
        state: &mut State,
        u: &mut [f64],
        logp: &mut f64,
        rng: &mut R,
    ) -> (bool, bool) {
        self.before.copy_from(state);
        let mut thrown_off = false;
        for _ in 0..MOVES {
            thrown_off |= self.step(state, rng).thrown_off;
        }
        self.surrogate.to_position(&state.z, u);
        let found = if state.exact { Some(state.logp) } else { self.density.logp(u) };
        // Differences to the stand-in decide: 0 where it is the density.
        let gain = found
            .map_or(f64::NEG_INFINITY, |found| (found - state.logp) - (*logp - self.before.logp));
        let accepted = rng.random::<f64>().ln() < gain;
        if accepted {
            *logp = found.unwrap_or(*logp);
        } else {
            state.copy_from(&self.before);
            self.surrogate.to_position(&state.z, u);
        }
        (accepted, thrown_off)
    }
}

/// Run one chain.
pub fn run_chain<D: Density>(
    surrogate: &Surrogate,
    mut density: D,
    chain: usize,
    plan: &Plan,
    watch: &Watch,
) -> ChainRun {
    let mut run = ChainRun { step_size: surrogate.step, ..ChainRun::default() };
    if let Err(error) = try_chain(surrogate, &mut density, chain, plan, watch, &mut run) {
        run.failure = Some(error);
    }
    run
}

/// A start away from where the mass is, so that chains have to find it.
fn scattered<D: Density, R: Rng + ?Sized>(walker: &mut Walker<'_, D>, rng: &mut R) -> State {
    let mut width = 2.0;
    loop {
        let z: Vec<f64> =
            (0..walker.u.len()).map(|_| width * (2.0 * rng.random::<f64>() - 1.0)).collect();
        if let Some(state) = walker.state(&z) {
            return state;
        }
        width *= 0.8;
    }
}

fn try_chain<D: Density>(
    surrogate: &Surrogate,
    density: &mut D,
    chain: usize,
    plan: &Plan,
    watch: &Watch,
    run: &mut ChainRun,
) -> Result<(), String> {
    let mut walk = generator(plan.seed, chain, 1);
    let mut exact = generator(plan.seed, chain, 0);
    let mut row = vec![0.0; density.n_outputs()];
    let mut walker = Walker::new(surrogate.clone(), density, true);
    let mut state = scattered(&mut walker, &mut walk);
    let mut pace = Pace::new(plan);
    for _ in 0..plan.warmup {
        walker.step(&mut state, &mut walk);
    }
    let mut u = vec![0.0; state.z.len()];
    walker.surrogate.to_position(&state.z, &mut u);
    let mut logp =
        walker.density.logp(&u).ok_or("the density is not finite where warm-up ended")?;
    run.warmup = plan.warmup;
    watch.did(chain, plan.warmup, 0);
    run.reserve(plan.draws, row.len())?;
    for iteration in 0.. {
        if iteration == SETTLE {
            pace.warmed(run);
        }
        if !pace.goes_on(chain, run, row.len(), watch)? {
            break;
        }
        let (accepted, diverging) = walker.answer(&mut state, &mut u, &mut logp, &mut walk);
        if iteration < SETTLE {
            continue;
        }
        run.gradients += 1;
        run.refused += u64::from(!accepted);
        if !walker.density.output(&u, &mut exact, &mut row) {
            return Err(DEGENERATE.into());
        }
        watch.did(chain, 1, usize::from(diverging));
        let energy = kinetic(u.len(), &mut walk) - logp;
        run.keep(&row, Kept { energy, logp, diverging, depth: 0 });
    }
    Ok(())
}

/// Energy of a momentum.
fn size(momentum: &[f64]) -> f64 {
    0.5 * momentum.iter().map(|p| p * p).sum::<f64>()
}

/// Energy of a random momentum.
fn kinetic<R: Rng + ?Sized>(dim: usize, rng: &mut R) -> f64 {
    (0..dim)
        .map(|_| {
            let p: f64 = StandardNormal.sample(rng);
            0.5 * p * p
        })
        .sum()
}
