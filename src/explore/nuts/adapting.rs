//! NUTS (nuts-rs) over a density of any shape, which learns the scales of its coordinates.

use super::walker::Draw;
use crate::sampler::{Density, Plan};
use nuts_rs::{
    Chain, CpuLogpFunc, CpuMath, CpuMathError, DiagNutsSettings, HasDims, LogpError, Settings,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;
use thiserror::Error;

/// Acceptance that the step size aims at. Where the data say little (few levels, sparse Bernoulli
/// groups) the sds bend the density at every scale: at 0.8 a step in some thousands diverges there,
/// at 0.9 hardly any.
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

/// NUTS that learns the scale of every coordinate.
pub struct Adapting<D: Density>(<DiagNutsSettings as Settings>::Chain<CpuMath<Target<D>>>);

impl<D: Density> Adapting<D> {
    /// From `u` on; it learns in the first `warmup` draws.
    pub fn new(
        density: &D,
        u: &[f64],
        warmup: usize,
        plan: &Plan,
        random: &mut ChaCha8Rng,
    ) -> Result<Self, String> {
        let mut settings = DiagNutsSettings {
            num_tune: warmup as u64,
            num_draws: plan.draws as u64,
            maxdepth: plan.max_depth,
            ..Default::default()
        };
        settings.adapt_options.step_size_settings.target_accept = TARGET_ACCEPT;
        let math = CpuMath::new(Target(density.clone()));
        let mut chain = settings.new_chain(0, math, random).map_err(|e| e.to_string())?;
        chain.set_position(u).map_err(|e| e.to_string())?;
        Ok(Self(chain))
    }

    pub fn draw(&mut self) -> Result<Draw, String> {
        let (u, _, stats, progress) = self.0.expanded_draw().map_err(|e| e.to_string())?;
        Ok(Draw {
            u: u.into(),
            energy: stats.point.energy,
            logp: stats.point.logp,
            depth: stats.depth,
            diverging: progress.diverging,
            gradients: progress.num_steps,
            step_size: progress.step_size,
        })
    }
}
