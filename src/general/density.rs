//! The joint density with its gradient, as NUTS walks on it.

use super::coefficients::{CoefficientsAt, constrain_coefficients, pull_back_coefficients};
use super::factor::{FactorAt, GroupPrior, gather_outer, n_scales, scatter_outer};
use super::{Dispersion, Factor, General, Part};
use crate::predictor::CHUNK;
use crate::sampler::Density;
use rand::Rng;
use std::sync::Arc;

/// Coordinates before those of the effects whose correlations are worth a matrix.
const MOST_FIRST: usize = 400;

/// Working storage of a linear predictor.
#[derive(Clone, Debug, Default)]
struct PartAt {
    population: CoefficientsAt,
    factors: Vec<FactorAt>,
    r: Vec<Vec<f64>>,
    by_r: Vec<Vec<f64>>,
    effects: Vec<usize>,
    eta: Vec<f64>,
}

impl PartAt {
    fn new(part: &Part) -> Self {
        let effects = |f: &Factor| vec![0.0; f.whitening.n_levels * f.whitening.q];
        Self {
            population: CoefficientsAt::new(part.coefficients.len()),
            factors: part.factors.iter().map(FactorAt::new).collect(),
            r: part.factors.iter().map(effects).collect(),
            by_r: part.factors.iter().map(effects).collect(),
            effects: part.effects(),
            eta: vec![0.0; CHUNK],
        }
    }
}

/// The density with its working storage: nothing is allocated per evaluation.
#[derive(Clone)]
pub struct GeneralDensity {
    pub model: Arc<General>,
    arch: pulp::Arch,
    parts: Vec<PartAt>,
    values: Vec<f64>,
    value_slopes: Vec<f64>,
    by_values: Vec<f64>,
}

impl GeneralDensity {
    pub fn new(model: Arc<General>) -> Self {
        Self {
            arch: pulp::Arch::new(),
            parts: model.parts.iter().map(PartAt::new).collect(),
            values: vec![0.0; model.n_values()],
            value_slopes: vec![0.0; model.dispersion.dim()],
            by_values: vec![0.0; model.n_values()],
            model,
        }
    }

    /// Parameters at `u`, and the log prior; its gradient into `grad`.
    #[inline(always)]
    fn constrain(&mut self, u: &[f64], grad: &mut [f64]) -> Option<f64> {
        let model = &*self.model;
        let (mut next, mut logp) = (0, 0.0);
        let mut effects = model.n_hyper();
        for (part, at) in model.parts.iter().zip(&mut self.parts) {
            let coefficients = &part.coefficients;
            let p = coefficients.len();
            let population = &mut at.population;
            logp += constrain_coefficients(coefficients, &u[next..], &mut grad[next..], population);
            next += p;
            for (factor, at) in part.factors.iter().zip(&mut at.factors) {
                let end = next + n_scales(factor);
                logp += at.constrain(factor, &u[next..end], &mut grad[next..end]);
                at.slide(factor, &mut population.total);
                next = end;
            }
            let PartAt { population, factors, r, by_r, effects: starts, .. } = &mut *at;
            population.c.copy_from_slice(&population.total);
            for &g in &part.order {
                let factor = &part.factors[g];
                gather_outer(part, factor, r, &mut factors[g].outer);
                let xi = &u[effects + starts[g]..][..r[g].len()];
                logp += factors[g].forward(factor, &population.total, xi, &mut r[g])?;
                factor.take_mean(&r[g], &mut population.c);
                by_r[g].fill(0.0);
            }
            effects += r.iter().map(Vec::len).sum::<usize>();
            population.by_c.fill(0.0);
            for prior in &coefficients.priors {
                logp += prior.add(&population.c, 0.0, &mut population.by_c).0;
            }
        }
        let end = next + model.dispersion.dim();
        logp += model.dispersion.at(
            &u[next..end],
            &mut self.values,
            &mut self.value_slopes,
            &mut grad[next..end],
        );
        Some(logp)
    }

    /// The log likelihood; leaves its slopes by c, r and dispersion in the working storage.
    #[inline(always)]
    fn rows(&mut self) -> f64 {
        let model = &*self.model;
        let n = model.likelihood.n_rows();
        self.by_values.fill(0.0);
        let mut logp = model.constant;
        logp += model.likelihood.shared(&self.values, &mut self.by_values);
        let (mean, scale) = self.parts.split_at_mut(1);
        let mean = &mut mean[0];
        for first in (0..n).step_by(CHUNK) {
            let range = first..(first + CHUNK).min(n);
            let eta = &mut mean.eta[..range.len()];
            model.parts[0].columns.fill(range.clone(), &mean.population.c, &mean.r, eta);
            match scale.first_mut() {
                None => {
                    let (values, by) = (&self.values, &mut self.by_values);
                    logp += model.likelihood.rows(range.clone(), values, eta, &mut [], by, &mut []);
                }
                Some(scale) => {
                    let log_sigma = &mut scale.eta[..range.len()];
                    let columns = &model.parts[1].columns;
                    columns.fill(range.clone(), &scale.population.c, &scale.r, log_sigma);
                    let (values, by) = (&self.values, &mut self.by_values);
                    logp +=
                        model.likelihood.rows(range.clone(), values, eta, log_sigma, by, &mut []);
                    let PartAt { population, by_r, .. } = scale;
                    columns.gather(range.clone(), log_sigma, &mut population.by_c, by_r);
                }
            }
            model.parts[0].columns.gather(range, eta, &mut mean.population.by_c, &mut mean.by_r);
        }
        logp
    }

    /// Log density and gradient; `None` where it is not finite.
    #[inline(always)]
    fn evaluate(&mut self, u: &[f64], grad: &mut [f64]) -> Option<f64> {
        let mut logp = self.constrain(u, grad)?;
        logp += self.rows();
        if !logp.is_finite() {
            return None;
        }
        let model = self.model.clone();
        let mut effects = model.n_hyper();
        let mut next = 0;
        let last = model.parts.len() - 1;
        for (which, (part, at)) in model.parts.iter().zip(&mut self.parts).enumerate() {
            let population = &mut at.population;
            if which == 0
                && let Dispersion::Thresholds { priors, .. } = &model.dispersion
            {
                for (k, prior) in priors.iter().enumerate() {
                    let (value, slope) =
                        prior.add(&population.c, self.values[k], &mut population.by_c);
                    logp += value;
                    self.by_values[k] += slope;
                }
            }
            // Slopes by c, before those that come through the levels' targets.
            population.by_rows.copy_from_slice(&population.by_c);
            let PartAt { population, factors, by_r, effects: starts, .. } = &mut *at;
            let CoefficientsAt { by_rows, by_c, .. } = population;
            for &g in part.order.iter().rev() {
                let factor = &part.factors[g];
                factor.give_mean(by_rows, &mut by_r[g]);
                let here = effects + starts[g]..effects + starts[g] + by_r[g].len();
                factors[g].backward(factor, &u[here.clone()], &by_r[g], by_c, &mut grad[here]);
                scatter_outer(part, factor, factors[g].by_target(), by_r);
            }
            effects += by_r.iter().map(Vec::len).sum::<usize>();
            let first = next;
            next += part.coefficients.len();
            for (factor, at) in part.factors.iter().zip(factors) {
                let end = next + n_scales(factor);
                at.slide_back(factor, &population.by_c);
                logp += at.pull_back(factor, &u[next..end], &mut grad[next..end]);
                next = end;
            }
            pull_back_coefficients(&part.coefficients, population, &mut grad[first..]);
            if which == last {
                let end = next + model.dispersion.dim();
                let grad = &mut grad[next..end];
                model.dispersion.pull_back(&self.value_slopes, &self.by_values, grad);
            }
        }
        let finite = logp.is_finite() && grad.iter().all(|g| g.is_finite());
        finite.then_some(logp)
    }

    /// Write the parameters at the point that was constrained last.
    fn write(&self, out: &mut [f64]) {
        let model = &*self.model;
        let mut next = 0;
        let mut put = |values: &[f64]| {
            out[next..next + values.len()].copy_from_slice(values);
            next += values.len();
        };
        for (part, at) in model.parts.iter().zip(&self.parts) {
            put(&at.population.c);
            for (factor, at) in part.factors.iter().zip(&at.factors) {
                if let GroupPrior::Hierarchical { covariance, .. } = &factor.prior {
                    let sd: Vec<f64> = at.sd.iter().map(|sd| sd.abs()).collect();
                    put(&sd);
                    let mut cor = vec![0.0; covariance.n_correlations()];
                    covariance.correlations(&at.l, &at.sd, &mut cor);
                    put(&cor);
                }
            }
        }
        put(&self.values);
        for at in &self.parts {
            for r in &at.r {
                put(r);
            }
        }
    }
}

/// One evaluation in code for the widest vectors of the machine at hand; a closure would not be
/// inlined into it.
struct Evaluation<'a>(&'a mut GeneralDensity, &'a [f64], &'a mut [f64]);

impl pulp::WithSimd for Evaluation<'_> {
    type Output = Option<f64>;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) -> Option<f64> {
        self.0.evaluate(self.1, self.2)
    }
}

impl Density for GeneralDensity {
    fn dim(&self) -> usize {
        self.model.dim()
    }

    fn n_outputs(&self) -> usize {
        self.model.n_outputs()
    }

    fn start(&self) -> Vec<f64> {
        self.model.start.clone()
    }

    fn whitened(&self) -> Option<usize> {
        Some(self.model.n_hyper()).filter(|first| *first <= MOST_FIRST)
    }

    fn logp_and_grad(&mut self, u: &[f64], grad: &mut [f64]) -> Option<f64> {
        let arch = self.arch;
        arch.dispatch(Evaluation(self, u, grad))
    }

    fn output<R: Rng + ?Sized>(&mut self, u: &[f64], _rng: &mut R, out: &mut [f64]) -> bool {
        let mut unused = vec![0.0; u.len()];
        if self.constrain(u, &mut unused).is_none() {
            return false;
        }
        self.write(out);
        true
    }
}
