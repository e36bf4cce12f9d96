//! Hamiltonian Monte Carlo over what is nearly standard normal in the coordinates of a metric.
//!
//! A path is exact where the density is standard normal (a rotation of position and momentum), with
//! half a push before and after each turn by the slopes that are left. There, the end of a path of
//! length t has correlation cos t with its beginning: after a quarter of a turn nothing is left of it,
//! for two or three gradients. A little more makes draws alternate somewhat, which helps means and
//! costs tails little. Lengths vary at random, so that no coordinate turns in step with the paths
//! (Neal 2011, "MCMC using Hamiltonian dynamics", §3.2). Coordinates with long tails take longer
//! paths of very different lengths.

use super::metric::Metric;
use super::walker::Draw;
use crate::sampler::Density;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::LN_2;

/// Share of a step that a path may lack rather than take another one.
const SLACK: f64 = 0.15;
/// The longest step, and the shortest one: where energies are not kept even by this, paths of ever
/// more steps would only tell the same.
const LONGEST: f64 = 0.8;
const SHORTEST: f64 = 0.1;
/// Share of paths in shorter steps, and how much shorter these are: where the density bends more
/// than where steps were tuned, a walk stays for some draws, but not for many.
const SHORTER: (f64, f64) = (0.1, 0.4);
/// Error of the energy at which a path was thrown off, as NUTS counts divergences.
const THROWN_OFF: f64 = 1000.0;

/// How a walk goes.
#[derive(Clone, Copy, Debug)]
pub struct Gait {
    /// Length of a path, and the largest share by which lengths differ from it.
    pub length: f64,
    pub jitter: f64,
    pub step: f64,
    /// Draws in which the step is tuned to this acceptance; none where it stays.
    pub tune: usize,
    pub accept: f64,
}

pub struct Whitened<D> {
    density: D,
    metric: Metric,
    random: ChaCha8Rng,
    gait: Gait,
    tuning: Option<Tuning>,
    here: Point,
    end: Point,
    momentum: Vec<f64>,
    /// Of the last path: error of its energy, and the probability that it was taken.
    pub error: f64,
    pub taken: f64,
}

#[derive(Clone)]
struct Point {
    u: Vec<f64>,
    z: Vec<f64>,
    /// By z.
    gradient: Vec<f64>,
    logp: f64,
}

impl<D: Density> Whitened<D> {
    /// From `u` on, where the density has to be finite.
    pub fn new(
        density: &D,
        metric: Metric,
        u: &[f64],
        gait: Gait,
        random: &mut ChaCha8Rng,
    ) -> Result<Self, String> {
        let mut density = density.clone();
        let mut gradient = vec![0.0; u.len()];
        let logp =
            density.logp_and_grad(u, &mut gradient).ok_or("a walk began where it cannot be")?;
        metric.pull_back(&mut gradient);
        let here = Point { u: u.to_vec(), z: metric.to_white(u), gradient, logp };
        let gait = Gait { step: gait.step.clamp(SHORTEST, LONGEST), ..gait };
        Ok(Self {
            density,
            metric,
            random: ChaCha8Rng::from_rng(random),
            gait,
            tuning: (gait.tune > 0).then(|| Tuning::new(gait)),
            end: here.clone(),
            here,
            momentum: vec![0.0; u.len()],
            error: 0.0,
            taken: 1.0,
        })
    }

    /// The last draw in the coordinates of the metric, and the gradient there.
    pub fn white(&self) -> (&[f64], &[f64]) {
        (&self.here.z, &self.here.gradient)
    }

    pub fn step(&self) -> f64 {
        self.gait.step
    }

    pub fn draw(&mut self) -> Draw {
        let Gait { length, jitter, mut step, .. } = self.gait;
        let longer = 1.0 + jitter * (2.0 * self.random.random::<f64>() - 1.0);
        let shorter = self.random.random::<f64>() < SHORTER.0;
        if shorter {
            step *= SHORTER.1;
        }
        let steps = (longer * length / step - SLACK).ceil().max(1.0);
        let step = longer * length / steps;
        for p in &mut self.momentum {
            *p = StandardNormal.sample(&mut self.random);
        }
        let before = kinetic(&self.momentum) - self.here.logp;
        self.end.clone_from(&self.here);
        let mut gradients = 0;
        while gradients < steps as u64 && self.end.logp.is_finite() {
            self.turn(step);
            gradients += 1;
        }
        let after = kinetic(&self.momentum) - self.end.logp;
        self.error = if after.is_finite() { after - before } else { f64::INFINITY };
        self.taken = (-self.error).exp().min(1.0);
        let accepted = self.random.random::<f64>() < self.taken;
        if accepted {
            std::mem::swap(&mut self.here, &mut self.end);
        }
        if let Some(tuning) = &mut self.tuning {
            let taken = (!shorter).then_some(self.taken);
            self.gait.step = tuning.next(taken).clamp(SHORTEST, LONGEST);
        }
        Draw {
            u: self.here.u.clone(),
            energy: if accepted { after } else { before },
            logp: self.here.logp,
            depth: u64::from(gradients.ilog2()) + 1,
            diverging: self.error.abs() >= THROWN_OFF,
            gradients,
            step_size: self.gait.step,
        }
    }

    /// One step: half a push, a turn, half a push.
    fn turn(&mut self, step: f64) {
        let (sin, cos) = step.sin_cos();
        self.push(0.5 * step);
        for (z, p) in self.end.z.iter_mut().zip(&mut self.momentum) {
            (*z, *p) = (cos * *z + sin * *p, cos * *p - sin * *z);
        }
        let Point { u, z, gradient, logp } = &mut self.end;
        self.metric.to_position(z, u);
        *logp = self.density.logp_and_grad(u, gradient).unwrap_or(f64::NEG_INFINITY);
        self.metric.pull_back(gradient);
        self.push(0.5 * step);
    }

    /// Change the momentum by the slopes beside those of a standard normal density.
    fn push(&mut self, time: f64) {
        let slopes = self.end.z.iter().zip(&self.end.gradient);
        for (p, (z, slope)) in self.momentum.iter_mut().zip(slopes) {
            *p += time * (z + slope);
        }
    }
}

fn kinetic(momentum: &[f64]) -> f64 {
    0.5 * momentum.iter().map(|p| p * p).sum::<f64>()
}

/// A step size by dual averaging (Hoffman & Gelman 2014, §3.2).
struct Tuning {
    centre: f64,
    accept: f64,
    left: usize,
    count: f64,
    error: f64,
    log_step: f64,
    log_mean: f64,
}

impl Tuning {
    fn new(gait: Gait) -> Self {
        let (log_step, Gait { accept, tune: left, .. }) = (gait.step.ln(), gait);
        let centre = log_step + LN_2;
        Self { centre, accept, left, count: 0.0, error: 0.0, log_step, log_mean: log_step }
    }

    /// The next step, by what was taken of a path in steps of the last one, if it was such; after as
    /// many paths as were asked for, the step that stays.
    fn next(&mut self, taken: Option<f64>) -> f64 {
        if self.left > 0 {
            self.left -= 1;
            if let Some(taken) = taken {
                self.count += 1.0;
                self.error += (self.accept - taken - self.error) / (self.count + 10.0);
                self.log_step = self.centre - self.count.sqrt() / 0.05 * self.error;
                self.log_mean += self.count.powf(-0.75) * (self.log_step - self.log_mean);
            }
            if self.left > 0 {
                return self.log_step.exp();
            }
        }
        self.log_mean.exp()
    }
}
