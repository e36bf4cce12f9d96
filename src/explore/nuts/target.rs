//! A density in the coordinates of a metric, as nuts-rs wants it, and walks over it.

use super::metric::Metric;
use crate::sampler::{Density, Plan};
use nuts_rs::{
    Chain, CpuLogpFunc, CpuMath, CpuMathError, DiagNutsSettings, FlowNutsSettings, HasDims,
    KineticEnergyKind, LogpError, Settings, StepSizeAdaptMethod,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;
use thiserror::Error;

/// Acceptance that the step size aims at where nothing is known. Where the data say little (few
/// levels, sparse Bernoulli groups) the sds bend the density at every scale: at 0.8 a step in some
/// thousands diverges there, at 0.9 hardly any.
const TARGET_ACCEPT: f64 = 0.9;

#[derive(Debug, Error)]
#[error("the density is not finite here")]
pub struct NotFinite;

impl LogpError for NotFinite {
    fn is_recoverable(&self) -> bool {
        true
    }
}

/// A [`Density`] of z, where `u` is what the metric makes of it.
///
/// The transformation that nuts-rs may learn by itself stays the identity.
pub struct Target<D> {
    density: D,
    metric: Metric,
    u: Vec<f64>,
}

impl<D: Density> HasDims for Target<D> {
    fn dim_sizes(&self) -> HashMap<String, u64> {
        HashMap::from([("unconstrained_parameter".to_string(), self.density.dim() as u64)])
    }
}

impl<D: Density> CpuLogpFunc for Target<D> {
    type LogpError = NotFinite;
    type FlowParameters = ();
    type ExpandedVector = ();

    fn dim(&self) -> usize {
        self.density.dim()
    }

    fn logp(&mut self, z: &[f64], grad: &mut [f64]) -> Result<f64, NotFinite> {
        self.metric.to_position(z, &mut self.u);
        let logp = self.density.logp_and_grad(&self.u, grad).ok_or(NotFinite)?;
        self.metric.pull_back(grad);
        Ok(logp)
    }

    fn expand_vector<R: Rng + ?Sized>(
        &mut self,
        _rng: &mut R,
        _array: &[f64],
    ) -> Result<(), CpuMathError> {
        Ok(())
    }

    fn inv_transform_normalize(
        &mut self,
        _: &(),
        from: &[f64],
        grad: &[f64],
        to: &mut [f64],
        grad_there: &mut [f64],
    ) -> Result<f64, NotFinite> {
        to.copy_from_slice(from);
        grad_there.copy_from_slice(grad);
        Ok(0.0)
    }

    fn init_from_untransformed_position(
        &mut self,
        _: &(),
        from: &[f64],
        grad: &mut [f64],
        to: &mut [f64],
        grad_there: &mut [f64],
        _: Option<f64>,
    ) -> Result<(f64, f64), NotFinite> {
        let logp = self.logp(from, grad)?;
        to.copy_from_slice(from);
        grad_there.copy_from_slice(grad);
        Ok((logp, 0.0))
    }

    fn init_from_transformed_position(
        &mut self,
        _: &(),
        to: &mut [f64],
        grad: &mut [f64],
        from: &[f64],
        grad_there: &mut [f64],
        _: Option<f64>,
    ) -> Result<(f64, f64), NotFinite> {
        let logp = self.logp(from, grad)?;
        to.copy_from_slice(from);
        grad_there.copy_from_slice(grad);
        Ok((logp, 0.0))
    }

    fn update_transformation<'a, R: Rng + ?Sized>(
        &'a mut self,
        _: &mut R,
        _: impl ExactSizeIterator<Item = &'a [f64]>,
        _: impl ExactSizeIterator<Item = &'a [f64]>,
        _: impl ExactSizeIterator<Item = &'a f64>,
        (): &'a mut (),
    ) -> Result<(), NotFinite> {
        Ok(())
    }

    fn init_transformation<R: Rng + ?Sized>(
        &mut self,
        _: &mut R,
        _: &[f64],
        _: &[f64],
        _: u64,
    ) -> Result<(), NotFinite> {
        Ok(())
    }

    fn new_transformation<R: Rng + ?Sized>(
        &mut self,
        _: &mut R,
        _: usize,
        _: u64,
    ) -> Result<(), NotFinite> {
        Ok(())
    }

    fn transformation_id(&self, (): &()) -> Result<i64, NotFinite> {
        Ok(0)
    }
}

/// How a walk in whitened coordinates goes.
#[derive(Clone, Copy, Debug)]
pub struct Gait {
    /// Draws after which the step size stays; none where it is `step` from the start.
    pub tune: usize,
    pub step: f64,
    pub depth: u64,
    pub accept: f64,
}

type FlowChain<D> = <FlowNutsSettings as Settings>::Chain<CpuMath<Target<D>>>;
type DiagChain<D> = <DiagNutsSettings as Settings>::Chain<CpuMath<Target<D>>>;

/// NUTS on a density, in the coordinates of a metric.
pub struct Walker<D: Density> {
    metric: Metric,
    chain: Walks<D>,
}

enum Walks<D: Density> {
    /// Over what is nearly standard normal: by paths that are exact where it is.
    Whitened(Box<FlowChain<D>>),
    /// Over what may have any scales, which are learned on the way.
    Adapting(Box<DiagChain<D>>),
}

/// One draw.
pub struct Draw {
    pub u: Vec<f64>,
    /// In the coordinates of the metric, as is the gradient, which is kept while the walk is tuned.
    pub z: Box<[f64]>,
    pub gradient: Vec<f64>,
    pub energy: f64,
    pub logp: f64,
    /// The largest error of the energy on the path, where the walk is whitened.
    pub energy_error: f64,
    pub depth: u64,
    pub diverging: bool,
    pub gradients: u64,
    pub step_size: f64,
}

impl<D: Density> Walker<D> {
    /// A walk in whitened coordinates, from `u` on.
    pub fn whitened(
        density: &D,
        metric: Metric,
        u: &[f64],
        gait: Gait,
        random: &mut ChaCha8Rng,
    ) -> Result<Self, String> {
        let mut settings = FlowNutsSettings {
            num_tune: gait.tune as u64,
            maxdepth: gait.depth,
            trajectory_kind: KineticEnergyKind::ExactNormal,
            store_gradient: true,
            ..Default::default()
        };
        // Draws are kept to learn a transformation from if their energies are below this.
        settings.adapt_options.transform_train_max_energy_error = f64::NEG_INFINITY;
        settings.adapt_options.step_size_window = 0.5;
        let step_size = &mut settings.adapt_options.step_size_settings;
        step_size.target_accept = gait.accept;
        step_size.initial_step = gait.step;
        if gait.tune == 0 {
            step_size.adapt_options.method = StepSizeAdaptMethod::Fixed(gait.step);
        }
        let z = metric.to_white(u);
        let math = CpuMath::new(Target::new(density, metric.clone()));
        let mut chain = settings.new_chain(0, math, random).map_err(|e| e.to_string())?;
        chain.set_position(&z).map_err(|e| e.to_string())?;
        Ok(Self { metric, chain: Walks::Whitened(Box::new(chain)) })
    }

    /// A walk that learns the scale of every coordinate in so many draws.
    pub fn adapting(
        density: &D,
        u: &[f64],
        warmup: usize,
        plan: &Plan,
        random: &mut ChaCha8Rng,
    ) -> Result<Self, String> {
        let metric = Metric::new(vec![0.0; density.dim()], 0);
        let mut settings = DiagNutsSettings {
            num_tune: warmup as u64,
            num_draws: plan.draws as u64,
            maxdepth: plan.max_depth,
            ..Default::default()
        };
        settings.adapt_options.step_size_settings.target_accept = TARGET_ACCEPT;
        let math = CpuMath::new(Target::new(density, metric.clone()));
        let mut chain = settings.new_chain(0, math, random).map_err(|e| e.to_string())?;
        chain.set_position(u).map_err(|e| e.to_string())?;
        Ok(Self { metric, chain: Walks::Adapting(Box::new(chain)) })
    }

    /// Whether it needs no more warm-up.
    pub fn is_warm(&self) -> bool {
        matches!(self.chain, Walks::Whitened(_))
    }

    pub fn draw(&mut self) -> Result<Draw, String> {
        let (z, gradient, energy_error, (energy, logp, depth), progress) = match &mut self.chain {
            Walks::Whitened(chain) => {
                let (z, _, stats, progress) = chain.expanded_draw().map_err(|e| e.to_string())?;
                let (point, error) = (stats.point, stats.adapt.step_size.max_energy_error);
                (z, point.gradient, error, (point.energy, point.logp, stats.depth), progress)
            }
            Walks::Adapting(chain) => {
                let (z, _, stats, progress) = chain.expanded_draw().map_err(|e| e.to_string())?;
                let point = stats.point;
                (z, point.gradient, 0.0, (point.energy, point.logp, stats.depth), progress)
            }
        };
        let mut u = vec![0.0; z.len()];
        self.metric.to_position(&z, &mut u);
        Ok(Draw {
            u,
            z,
            gradient: gradient.unwrap_or_default(),
            energy,
            logp,
            energy_error,
            depth,
            diverging: progress.diverging,
            gradients: progress.num_steps,
            step_size: progress.step_size,
        })
    }
}

impl<D: Density> Target<D> {
    fn new(density: &D, metric: Metric) -> Self {
        Self { u: vec![0.0; density.dim()], density: density.clone(), metric }
    }
}
