//! The joint density of all parameters of a model of any family, with its gradient.
//!
//! One or two linear predictors (the mean's, and perhaps that of log sigma), each with population
//! coefficients and any number of grouping factors. One pass over the rows fills eta chunk by chunk,
//! turns it into its own slope in place, and gathers that into slopes by c and r; the rest is
//! bookkeeping through [`crate::whitening`], [`crate::covariance`] and the maps of
//! [`crate::prior`]. Densities are up to an additive constant.
//!
//! The unconstrained vector: for each predictor its coefficients, then sds and correlations of each
//! factor; then dispersion parameters or thresholds; then ξ of every factor.

use crate::covariance::Covariance;
use crate::family::Likelihood;
use crate::predictor::{CHUNK, Columns};
use crate::prior::{Prior, Scalar};
use crate::sampler::Density;
use crate::whitening::{Kept, Whitening};
use rand::Rng;
use std::sync::Arc;

/// A prior on `row · c + shift`, which has no bounds.
#[derive(Clone, Debug)]
pub struct PriorRow {
    pub prior: Prior,
    pub row: Vec<f64>,
    pub shift: f64,
}

impl PriorRow {
    /// Log prior at c; adds its slope.
    pub fn add(&self, c: &[f64], extra: f64, by_c: &mut [f64]) -> (f64, f64) {
        let x: f64 = self.row.iter().zip(c).map(|(w, c)| w * c).sum();
        let (logp, slope) = self.prior.logp(x + self.shift + extra);
        for (by_c, w) in by_c.iter_mut().zip(&self.row) {
            *by_c += slope * w;
        }
        (logp, slope)
    }
}

/// Population coefficients: `c = map · v + shift`.
///
/// Bounded v have a coordinate of their own; the free ones are `centre + basis · γ`.
#[derive(Clone, Debug)]
pub struct Coefficients {
    pub bounded: Vec<Option<Scalar>>,
    pub map: Vec<f64>,
    /// Inverse of `map`.
    pub unmap: Vec<f64>,
    pub shift: Vec<f64>,
    pub priors: Vec<PriorRow>,
    /// Of the free v, set by the pilot.
    pub centre: Vec<f64>,
    pub basis: Vec<f64>,
}

impl Coefficients {
    pub fn len(&self) -> usize {
        self.bounded.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bounded.is_empty()
    }

    pub fn free(&self) -> Vec<usize> {
        (0..self.len()).filter(|k| self.bounded[*k].is_none()).collect()
    }

    pub fn from_c(&self, c: &[f64]) -> Vec<f64> {
        let p = self.len();
        let v = |i: usize| (0..p).map(|k| self.unmap[i * p + k] * (c[k] - self.shift[k])).sum();
        (0..p).map(v).collect()
    }

    fn apply_map(&self, v: &[f64], c: &mut [f64]) {
        let p = self.len();
        for i in 0..p {
            c[i] = self.shift[i] + (0..p).map(|k| self.map[i * p + k] * v[k]).sum::<f64>();
        }
    }
}

/// The prior of a factor's coefficients.
#[derive(Clone, Debug)]
pub enum GroupPrior {
    /// r ~ N(0, Σ), its sds and correlations sampled.
    Hierarchical { sd: Vec<Scalar>, covariance: Covariance },
    /// r ~ N(mean, ΛΛᵀ), both fixed.
    Normal { lambda: Vec<f64>, mean: Vec<f64> },
    /// Each coefficient of each level by itself (level by level).
    Separate(Vec<Scalar>),
}

#[derive(Clone, Debug)]
pub struct Factor {
    pub prior: GroupPrior,
    pub whitening: Whitening,
    /// The shift of c (p × q) that makes up for a shift of all levels; empty where none is used.
    pub twin: Vec<f64>,
}

impl Factor {
    /// Take the mean of r out of c.
    #[inline(always)]
    pub fn take_mean(&self, r: &[f64], c: &mut [f64]) {
        if self.twin.is_empty() {
            return;
        }
        let (q, levels) = (self.whitening.q, self.whitening.n_levels as f64);
        for k in 0..q {
            let mean = r.iter().skip(k).step_by(q).sum::<f64>() / levels;
            for (i, c) in c.iter_mut().enumerate() {
                *c -= self.twin[i * q + k] * mean;
            }
        }
    }

    /// Slopes by r that come through its mean.
    #[inline(always)]
    fn give_mean(&self, by_c: &[f64], by_r: &mut [f64]) {
        if self.twin.is_empty() {
            return;
        }
        let (q, levels) = (self.whitening.q, self.whitening.n_levels as f64);
        for k in 0..q {
            let by_mean: f64 = by_c.iter().enumerate().map(|(i, c)| self.twin[i * q + k] * c).sum();
            for by_r in by_r.iter_mut().skip(k).step_by(q) {
                *by_r -= by_mean / levels;
            }
        }
    }
}

/// A linear predictor with its priors.
#[derive(Clone, Debug)]
pub struct Part {
    pub columns: Columns,
    pub coefficients: Coefficients,
    pub factors: Vec<Factor>,
    /// Factors such that those which others are nested in come first.
    pub order: Vec<usize>,
}

impl Part {
    /// Where the coordinates ξ of each factor begin, from the first one's.
    pub fn effects(&self) -> Vec<usize> {
        let mut next = 0;
        let size = |f: &Factor| f.whitening.n_levels * f.whitening.q;
        let starts = self.factors.iter().map(|f| {
            next += size(f);
            next - size(f)
        });
        starts.collect()
    }
}

/// What the family has besides the linear predictors.
#[derive(Clone, Debug)]
pub enum Dispersion {
    Scalars(Vec<Scalar>),
    /// Thresholds 0, δ₂, δ₃ … with increments `exp(u)`; the first is minus the intercept, so the
    /// actual ones are `δ − c₀` and more, as their prior rows say.
    Thresholds {
        increments: Vec<f64>,
        priors: Vec<PriorRow>,
    },
}

impl Dispersion {
    pub fn dim(&self) -> usize {
        match self {
            Dispersion::Scalars(scalars) => scalars.len(),
            Dispersion::Thresholds { increments, .. } => increments.len(),
        }
    }

    pub fn start(&self) -> Vec<f64> {
        match self {
            Dispersion::Scalars(s) => s.iter().map(|s| s.support.unconstrain(s.start)).collect(),
            Dispersion::Thresholds { increments, .. } => vec![0.0; increments.len()],
        }
    }

    /// Values for the likelihood, and their log prior with Jacobian and slope by u. Priors of
    /// thresholds, which need c, are not among it.
    pub fn at(&self, u: &[f64], values: &mut [f64], slopes: &mut [f64], grad: &mut [f64]) -> f64 {
        let mut logp = 0.0;
        match self {
            Dispersion::Scalars(scalars) => {
                for (k, scalar) in scalars.iter().enumerate() {
                    let at = scalar.at(u[k]);
                    (values[k], slopes[k], grad[k]) = (at.x, at.dx_du, at.dlogp_du);
                    logp += at.logp;
                }
            }
            Dispersion::Thresholds { increments, .. } => {
                values[0] = 0.0;
                for (k, unit) in increments.iter().enumerate() {
                    slopes[k] = unit * u[k].exp();
                    values[k + 1] = values[k] + slopes[k];
                    logp += u[k];
                    grad[k] = 1.0;
                }
            }
        }
        logp
    }

    /// Add the slopes by u that slopes by the values lead to.
    pub fn pull_back(&self, slopes: &[f64], by_values: &[f64], grad: &mut [f64]) {
        match self {
            Dispersion::Scalars(_) => {
                for ((grad, slope), by) in grad.iter_mut().zip(slopes).zip(by_values) {
                    *grad += slope * by;
                }
            }
            Dispersion::Thresholds { .. } => {
                let mut later = 0.0;
                for k in (0..grad.len()).rev() {
                    later += by_values[k + 1];
                    grad[k] += slopes[k] * later;
                }
            }
        }
    }
}

/// Everything fixed before sampling starts.
pub struct General {
    pub likelihood: Likelihood,
    pub parts: Vec<Part>,
    pub dispersion: Dispersion,
    /// Where sds start, for each factor of each part; set by the pilot.
    pub start: Vec<f64>,
}

impl General {
    pub fn n_values(&self) -> usize {
        match &self.dispersion {
            Dispersion::Scalars(scalars) => scalars.len(),
            Dispersion::Thresholds { increments, .. } => increments.len() + 1,
        }
    }

    /// Coordinates of coefficients, sds, correlations and dispersion: those before ξ.
    pub fn n_hyper(&self) -> usize {
        let parts: usize = self
            .parts
            .iter()
            .map(|part| part.coefficients.len() + part.factors.iter().map(n_scales).sum::<usize>())
            .sum();
        parts + self.dispersion.dim()
    }

    pub fn dim(&self) -> usize {
        self.n_hyper() + self.n_effects()
    }

    pub fn n_effects(&self) -> usize {
        let factors = self.parts.iter().flat_map(|part| &part.factors);
        factors.map(|f| f.whitening.n_levels * f.whitening.q).sum()
    }

    /// Numbers of one row of output: per part c, and sd and cor of each factor; dispersion values;
    /// then r of every factor.
    pub fn n_outputs(&self) -> usize {
        let scales: usize = self
            .parts
            .iter()
            .map(|part| part.coefficients.len() + part.factors.iter().map(n_scales).sum::<usize>())
            .sum();
        scales + self.n_values() + self.n_effects()
    }
}

/// Sampled sds and correlations of a factor.
pub fn n_scales(factor: &Factor) -> usize {
    match &factor.prior {
        GroupPrior::Hierarchical { sd, covariance } => sd.len() + covariance.n_correlations(),
        _ => 0,
    }
}

/// Working storage of a factor.
#[derive(Clone, Debug, Default)]
struct FactorAt {
    sd: Vec<f64>,
    sd_slope: Vec<f64>,
    l: Vec<f64>,
    lambda: Vec<f64>,
    mean: Vec<f64>,
    by_lambda: Vec<f64>,
    by_l: Vec<f64>,
    by_cor: Vec<f64>,
    separate: Vec<f64>,
    /// What nesting factors take from the levels' targets.
    outer: Vec<f64>,
    kept: Kept,
}

/// Working storage of a linear predictor.
#[derive(Clone, Debug, Default)]
struct PartAt {
    v: Vec<f64>,
    v_slope: Vec<f64>,
    /// Coefficients with the means of the factors in them, and without.
    total: Vec<f64>,
    c: Vec<f64>,
    by_c: Vec<f64>,
    by_v: Vec<f64>,
    factors: Vec<FactorAt>,
    r: Vec<Vec<f64>>,
    by_r: Vec<Vec<f64>>,
    effects: Vec<usize>,
    eta: Vec<f64>,
}

impl PartAt {
    fn new(part: &Part) -> Self {
        let p = part.coefficients.len();
        let effects = |f: &Factor| vec![0.0; f.whitening.n_levels * f.whitening.q];
        Self {
            v: vec![0.0; p],
            v_slope: vec![0.0; p],
            total: vec![0.0; p],
            c: vec![0.0; p],
            by_c: vec![0.0; p],
            by_v: vec![0.0; p],
            factors: part.factors.iter().map(FactorAt::new).collect(),
            r: part.factors.iter().map(effects).collect(),
            by_r: part.factors.iter().map(effects).collect(),
            effects: part.effects(),
            eta: vec![0.0; CHUNK],
        }
    }
}

impl FactorAt {
    fn new(factor: &Factor) -> Self {
        let q = factor.whitening.q;
        let mut at = Self {
            sd: vec![0.0; q],
            sd_slope: vec![0.0; q],
            l: vec![0.0; q * q],
            lambda: vec![0.0; q * q],
            mean: vec![0.0; q],
            by_lambda: vec![0.0; q * q],
            by_l: vec![0.0; q * q],
            by_cor: Vec::new(),
            separate: Vec::new(),
            outer: Vec::new(),
            kept: factor.whitening.storage(),
        };
        match &factor.prior {
            GroupPrior::Hierarchical { covariance, .. } => {
                at.by_cor = vec![0.0; covariance.n_correlations()];
            }
            GroupPrior::Normal { lambda, mean } => {
                at.lambda.clone_from(lambda);
                at.mean.clone_from(mean);
            }
            GroupPrior::Separate(scalars) => at.separate = vec![0.0; scalars.len()],
        }
        at
    }

    /// Sds, correlations and Λ at `u`; log prior, its gradient into `grad`.
    fn constrain(&mut self, factor: &Factor, u: &[f64], grad: &mut [f64]) -> f64 {
        let GroupPrior::Hierarchical { sd, covariance } = &factor.prior else {
            return 0.0;
        };
        let q = sd.len();
        let mut logp = 0.0;
        for (i, scalar) in sd.iter().enumerate() {
            let at = scalar.at(u[i]);
            (self.sd[i], self.sd_slope[i], grad[i]) = (at.x, at.dx_du, at.dlogp_du);
            logp += at.logp;
        }
        self.by_cor.fill(0.0);
        logp += covariance.correlation_factor(&u[q..], &mut self.l, &mut self.by_cor);
        for i in 0..q {
            for k in 0..q {
                self.lambda[i * q + k] = self.sd[i] * self.l[i * q + k];
            }
        }
        logp
    }

    /// Coefficients of every level from ξ; their log prior with Jacobian.
    #[inline(always)]
    fn forward(&mut self, factor: &Factor, c: &[f64], xi: &[f64], r: &mut [f64]) -> Option<f64> {
        if let GroupPrior::Separate(scalars) = &factor.prior {
            let mut logp = 0.0;
            for (k, scalar) in scalars.iter().enumerate() {
                let at = scalar.at(xi[k]);
                logp += at.logp;
                (r[k], self.separate[k]) = (at.x, at.dx_du);
            }
            return Some(logp);
        }
        factor.whitening.forward(&self.lambda, &self.mean, c, &self.outer, xi, &mut self.kept, r)
    }

    /// Slopes by ξ into `by_xi`, by c added, by Λ kept.
    #[inline(always)]
    fn backward(
        &mut self,
        factor: &Factor,
        xi: &[f64],
        by_r: &[f64],
        by_c: &mut [f64],
        by_xi: &mut [f64],
    ) {
        if let GroupPrior::Separate(scalars) = &factor.prior {
            for (k, scalar) in scalars.iter().enumerate() {
                by_xi[k] = scalar.at(xi[k]).dlogp_du + by_r[k] * self.separate[k];
            }
            return;
        }
        self.by_lambda.fill(0.0);
        let FactorAt { lambda, by_lambda, kept, .. } = self;
        factor.whitening.backward(lambda, xi, by_r, kept, by_lambda, by_c, by_xi);
    }

    /// Slopes by sds and correlations from those by Λ; adds the elementwise log prior.
    fn pull_back(&mut self, factor: &Factor, u: &[f64], grad: &mut [f64]) -> f64 {
        let GroupPrior::Hierarchical { covariance, .. } = &factor.prior else {
            return 0.0;
        };
        let q = self.sd.len();
        for i in 0..q {
            let mut by_sd = 0.0;
            for k in 0..=i {
                by_sd += self.by_lambda[i * q + k] * self.l[i * q + k];
                self.by_l[i * q + k] = self.by_lambda[i * q + k] * self.sd[i];
            }
            grad[i] += by_sd * self.sd_slope[i];
        }
        let elementwise = covariance.elementwise_logp(&self.l, &mut self.by_l);
        covariance.pull_back(&u[q..], &self.by_l, &mut self.by_cor);
        grad[q..].copy_from_slice(&self.by_cor);
        elementwise
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
            logp += constrain_coefficients(coefficients, &u[next..], &mut grad[next..], at);
            next += p;
            for (factor, at) in part.factors.iter().zip(&mut at.factors) {
                let end = next + n_scales(factor);
                logp += at.constrain(factor, &u[next..end], &mut grad[next..end]);
                next = end;
            }
            let PartAt { factors, r, total, c, by_r, effects: starts, .. } = &mut *at;
            c.copy_from_slice(total);
            for &g in &part.order {
                let factor = &part.factors[g];
                gather_outer(part, factor, r, &mut factors[g].outer);
                let xi = &u[effects + starts[g]..][..r[g].len()];
                logp += factors[g].forward(factor, total, xi, &mut r[g])?;
                factor.take_mean(&r[g], c);
                by_r[g].fill(0.0);
            }
            effects += r.iter().map(Vec::len).sum::<usize>();
            at.by_c.fill(0.0);
            for prior in &coefficients.priors {
                logp += prior.add(&at.c, 0.0, &mut at.by_c).0;
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
        let mut logp = model.likelihood.shared(&self.values, &mut self.by_values);
        let (mean, scale) = self.parts.split_at_mut(1);
        let mean = &mut mean[0];
        for first in (0..n).step_by(CHUNK) {
            let range = first..(first + CHUNK).min(n);
            let eta = &mut mean.eta[..range.len()];
            model.parts[0].columns.fill(range.clone(), &mean.c, &mean.r, eta);
            match scale.first_mut() {
                None => {
                    let (values, by) = (&self.values, &mut self.by_values);
                    logp += model.likelihood.rows(range.clone(), values, eta, &mut [], by);
                }
                Some(scale) => {
                    let log_sigma = &mut scale.eta[..range.len()];
                    let columns = &model.parts[1].columns;
                    columns.fill(range.clone(), &scale.c, &scale.r, log_sigma);
                    let (values, by) = (&self.values, &mut self.by_values);
                    logp += model.likelihood.rows(range.clone(), values, eta, log_sigma, by);
                    let PartAt { by_c, by_r, .. } = scale;
                    columns.gather(range.clone(), log_sigma, by_c, by_r);
                }
            }
            model.parts[0].columns.gather(range, eta, &mut mean.by_c, &mut mean.by_r);
        }
        logp
    }

    /// Log density and gradient; `None` where it is not finite.
    pub fn evaluate(&mut self, u: &[f64], grad: &mut [f64]) -> Option<f64> {
        let arch = self.arch;
        arch.dispatch(Evaluation(self, u, grad))
    }

    #[inline(always)]
    fn evaluate_inlined(&mut self, u: &[f64], grad: &mut [f64]) -> Option<f64> {
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
            if which == 0
                && let Dispersion::Thresholds { priors, .. } = &model.dispersion
            {
                for (k, prior) in priors.iter().enumerate() {
                    let (value, slope) = prior.add(&at.c, self.values[k], &mut at.by_c);
                    logp += value;
                    self.by_values[k] += slope;
                }
            }
            let PartAt { factors, by_r, by_c, by_v, effects: starts, .. } = &mut *at;
            // Slopes by c, before those that come through the levels' targets.
            by_v.copy_from_slice(by_c);
            for &g in part.order.iter().rev() {
                let factor = &part.factors[g];
                factor.give_mean(by_v, &mut by_r[g]);
                let here = effects + starts[g]..effects + starts[g] + by_r[g].len();
                factors[g].backward(factor, &u[here.clone()], &by_r[g], by_c, &mut grad[here]);
                scatter_outer(part, factor, factors[g].kept.by_target(), by_r);
            }
            effects += by_r.iter().map(Vec::len).sum::<usize>();
            let first = next;
            next += part.coefficients.len();
            for (factor, at) in part.factors.iter().zip(factors) {
                let end = next + n_scales(factor);
                logp += at.pull_back(factor, &u[next..end], &mut grad[next..end]);
                next = end;
            }
            pull_back_coefficients(&part.coefficients, at, &mut grad[first..]);
            if which == last {
                let end = next + model.dispersion.dim();
                let grad = &mut grad[next..end];
                model.dispersion.pull_back(&self.value_slopes, &self.by_values, grad);
            }
        }
        let finite = logp.is_finite() && grad.iter().all(|g| g.is_finite());
        finite.then_some(logp)
    }

    /// Log likelihood at `u`, and eta of every part and row.
    pub fn predictors(&mut self, u: &[f64]) -> Option<Vec<Vec<f64>>> {
        let mut unused = vec![0.0; u.len()];
        self.constrain(u, &mut unused)?;
        let model = &*self.model;
        let n = model.likelihood.n_rows();
        let eta = model.parts.iter().zip(&self.parts).map(|(part, at)| {
            let mut eta = vec![0.0; n];
            part.columns.fill(0..n, &at.c, &at.r, &mut eta);
            eta
        });
        Some(eta.collect())
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
            put(&at.c);
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
        self.0.evaluate_inlined(self.1, self.2)
    }
}

/// `X r′` of the factors that this one is nested in, their means taken out where these are loose.
fn gather_outer(part: &Part, factor: &Factor, r: &[Vec<f64>], outer: &mut Vec<f64>) {
    let whitening = &factor.whitening;
    if whitening.ancestors.is_empty() {
        return;
    }
    outer.clear();
    outer.resize(whitening.n_levels * whitening.q, 0.0);
    for ancestor in &whitening.ancestors {
        let (q, r) = (ancestor.q, &r[ancestor.factor]);
        let loose = !part.factors[ancestor.factor].twin.is_empty();
        for b in 0..q {
            let each = r.iter().skip(b).step_by(q);
            let mean = if loose { each.sum::<f64>() / (r.len() / q) as f64 } else { 0.0 };
            for (level, outer) in outer.chunks_exact_mut(whitening.q).enumerate() {
                let there = r[ancestor.levels[level] as usize * q + b] - mean;
                for (a, outer) in outer.iter_mut().enumerate() {
                    *outer += ancestor.cross[(level * whitening.q + a) * q + b] * there;
                }
            }
        }
    }
}

/// Slopes by r of the factors that this one is nested in, from those by its targets.
fn scatter_outer(part: &Part, factor: &Factor, by_target: &[f64], by_r: &mut [Vec<f64>]) {
    let whitening = &factor.whitening;
    for ancestor in &whitening.ancestors {
        let (q, by_r) = (ancestor.q, &mut by_r[ancestor.factor]);
        let loose = !part.factors[ancestor.factor].twin.is_empty();
        for b in 0..q {
            let mut total = 0.0;
            for (level, by_target) in by_target.chunks_exact(whitening.q).enumerate() {
                let through: f64 = by_target
                    .iter()
                    .enumerate()
                    .map(|(a, by)| ancestor.cross[(level * whitening.q + a) * q + b] * by)
                    .sum();
                by_r[ancestor.levels[level] as usize * q + b] -= through;
                total += through;
            }
            if loose {
                let share = total / (by_r.len() / q) as f64;
                by_r.iter_mut().skip(b).step_by(q).for_each(|by| *by += share);
            }
        }
    }
}

/// Total coefficients at `u`; log prior of bounded v, its gradient into `grad`.
fn constrain_coefficients(
    coefficients: &Coefficients,
    u: &[f64],
    grad: &mut [f64],
    at: &mut PartAt,
) -> f64 {
    let mut logp = 0.0;
    let n_free = coefficients.centre.len();
    let mut row = 0;
    // The free coordinates come in the order of their columns.
    for (k, bounded) in coefficients.bounded.iter().enumerate() {
        match bounded {
            Some(scalar) => {
                let s = scalar.at(u[k]);
                (at.v[k], at.v_slope[k], grad[k]) = (s.x, s.dx_du, s.dlogp_du);
                logp += s.logp;
            }
            None => {
                let basis = &coefficients.basis[row * n_free..][..n_free];
                let free = u.iter().zip(&coefficients.bounded).filter(|(_, b)| b.is_none());
                let step: f64 = basis.iter().zip(free).map(|(b, (u, _))| b * u).sum();
                at.v[k] = coefficients.centre[row] + step;
                row += 1;
            }
        }
    }
    coefficients.apply_map(&at.v, &mut at.total);
    logp
}

/// Add what slopes by c mean for the coordinates of the coefficients.
fn pull_back_coefficients(coefficients: &Coefficients, at: &mut PartAt, grad: &mut [f64]) {
    let p = coefficients.len();
    for k in 0..p {
        at.by_v[k] = (0..p).map(|i| coefficients.map[i * p + k] * at.by_c[i]).sum();
    }
    let n_free = coefficients.centre.len();
    let mut column = 0;
    for k in 0..p {
        if coefficients.bounded[k].is_some() {
            grad[k] += at.by_v[k] * at.v_slope[k];
            continue;
        }
        let mut row = 0;
        grad[k] = 0.0;
        for j in 0..p {
            if coefficients.bounded[j].is_none() {
                grad[k] += coefficients.basis[row * n_free + column] * at.by_v[j];
                row += 1;
            }
        }
        column += 1;
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

    fn logp_and_grad(&mut self, u: &[f64], grad: &mut [f64]) -> Option<f64> {
        self.evaluate(u, grad)
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
