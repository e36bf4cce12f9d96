//! The density as samplers walk on it, and the exact draw of the integrated coefficients.

use super::point::{Point, Slopes};
use super::staged::InStages;
use super::sums::{ANY, Sizes, Sums, assemble, quadratic_form};
use super::{Marginal, Reduced, Scale};
use crate::prior::Support;
use crate::sampler::{Density, Staged};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use std::sync::Arc;

/// Dimensions up to which it pays to look for a polynomial that stands in for the density.
const MOST_DIMENSIONS: usize = 16;

/// The density with its working storage: nothing is allocated per evaluation.
#[derive(Clone, Debug)]
pub struct MarginalDensity<S: Sums> {
    model: Arc<Marginal<S::Data>>,
    arch: pulp::Arch,
    at: Point,
    sums: S,
    f: Vec<f64>,
    /// uᵀFu
    quadratic: f64,
    by_covariance: Vec<f64>,
    by_c: Vec<f64>,
    /// Where it was evaluated last without the gradient, if nothing else was done since.
    evaluated: Option<Vec<f64>>,
}

impl<S: Sums> MarginalDensity<S> {
    pub fn new(model: Arc<Marginal<S::Data>>) -> Self {
        let (q, w) = (model.data.q(), model.data.width());
        Self {
            arch: pulp::Arch::new(),
            at: Point::new(&model.parameters),
            sums: S::new(&model.data, model.n_integrated()),
            f: vec![0.0; w * w],
            quadratic: 0.0,
            by_covariance: vec![0.0; q * q],
            by_c: vec![0.0; model.parameters.sampled.len()],
            evaluated: None,
            model,
        }
    }

    pub fn model(&self) -> &Marginal<S::Data> {
        &self.model
    }

    /// log|V₀| and the lower triangle of K at scales `lambda` relative to σ.
    pub fn at_scales(&mut self, lambda: &[f64]) -> Option<(f64, &[f64])> {
        self.evaluated = None;
        let (q, w) = (self.model.data.q(), self.model.data.width());
        let arguments = (&mut *self, lambda);
        let log_det = match (q, w) {
            (1, 2) => arguments.0.arch.dispatch(First::<S, 1, 2>(arguments)),
            (1, 3) => arguments.0.arch.dispatch(First::<S, 1, 3>(arguments)),
            (2, 3) => arguments.0.arch.dispatch(First::<S, 2, 3>(arguments)),
            (1, _) => arguments.0.arch.dispatch(First::<S, 1, ANY>(arguments)),
            (2, _) => arguments.0.arch.dispatch(First::<S, 2, ANY>(arguments)),
            _ => arguments.0.arch.dispatch(First::<S, ANY, ANY>(arguments)),
        };
        log_det.filter(|x| x.is_finite()).map(|log_det| (log_det, &self.f[..w * w]))
    }

    /// `−½ uᵀFu − ½ log|F_II|` and Σ log|K|, all coefficients integrated out.
    #[inline(always)]
    fn forward(&mut self, sizes: Sizes, keep: bool) -> Option<(f64, f64)> {
        let (q, w) = (sizes.q, sizes.w);
        let (lambda, f) = (&self.at.lambda[..q * q], &mut self.f[..w * w]);
        let precision = 1.0 / (self.at.sigma * self.at.sigma);
        let log_det = self.sums.forward(&self.model.data, sizes, lambda, f, keep)?;
        assemble(f, (w, precision), &self.model.prior_rows[..w * w]);
        let log_det_f = self.sums.integrate(f, sizes, &self.at.c[..sizes.n_s])?;
        self.quadratic = quadratic_form(f, w, &self.sums.u()[..w]);
        Some((-0.5 * self.quadratic - 0.5 * log_det_f, log_det))
    }

    /// Add the likelihood's gradient to the prior's in `grad`; returns the log prior of correlations
    /// that have one each.
    #[inline(always)]
    fn backward(&mut self, sizes: Sizes, u: &[f64], grad: &mut [f64]) -> f64 {
        let Sizes { q, w, n_s, n_i, .. } = sizes;
        let (model, sigma) = (&*self.model, self.at.sigma);
        let by_covariance = &mut self.by_covariance[..q * q];
        self.sums.backward(sizes, 1.0 / (sigma * sigma), by_covariance);
        let mut by_sigma = 0.0;
        if matches!(model.parameters.sigma, Scale::Sampled(_)) {
            // tr((F − P)Ω), with tr(FΩ) = uᵀFu + tr(I).
            let mut trace = self.quadratic + n_i as f64;
            trace -= quadratic_form(&model.prior_rows, w, &self.sums.u()[..w]);
            trace = self.sums.less_trace(trace, &model.prior_rows, sizes);
            by_sigma = (trace - model.data.n_rows() as f64) * (1.0 / sigma);
        }
        let by_c = &mut self.by_c[..n_s];
        for (i, by_c) in by_c.iter_mut().enumerate() {
            let row = &self.f[(n_i + i) * w..][..w];
            *by_c = row.iter().zip(self.sums.u()).map(|(f, u)| f * u).sum();
        }
        let slopes = Slopes { covariance: by_covariance, sigma: by_sigma, c: by_c };
        self.at.pull_back(&model.parameters, q, u, &slopes, grad)
    }

    /// Log density at `u` and its gradient, in code for the widest vectors of the machine at hand;
    /// `None` outside the support or where rounding leaves no positive definite matrix. Without the
    /// gradient, the element-wise priors of correlations are left out too.
    fn passes(&mut self, u: &[f64], grad: &mut [f64], gradient: bool) -> Option<f64> {
        let arch = self.arch;
        let data = &self.model.data;
        let (q, w, n_s) = (data.q(), data.width(), self.model.parameters.sampled.len());
        let passes = (self, u, grad, gradient);
        // Literal sizes let the compiler unroll the common cases and keep them in registers.
        match (q, w, n_s) {
            (1, 2, 0) => arch.dispatch(Passes::<S, 1, 2>(passes)),
            (1, 3, 0) => arch.dispatch(Passes::<S, 1, 3>(passes)),
            (2, 3, 0) => arch.dispatch(Passes::<S, 2, 3>(passes)),
            (1, ..) => arch.dispatch(Passes::<S, 1, ANY>(passes)),
            (2, ..) => arch.dispatch(Passes::<S, 2, ANY>(passes)),
            _ => arch.dispatch(Passes::<S, ANY, ANY>(passes)),
        }
    }
}

type PassesArguments<'a, S> = (&'a mut MarginalDensity<S>, &'a [f64], &'a mut [f64], bool);

/// A closure would not be inlined into the code that may use vectors.
struct Passes<'a, S: Sums, const Q: usize, const W: usize>(PassesArguments<'a, S>);

impl<S: Sums, const Q: usize, const W: usize> pulp::WithSimd for Passes<'_, S, Q, W> {
    type Output = Option<f64>;

    #[inline(always)]
    fn with_simd<T: pulp::Simd>(self, _simd: T) -> Option<f64> {
        let (density, u, grad, gradient) = self.0;
        let known = Q != ANY && W != ANY;
        let q = if Q == ANY { density.model.data.q() } else { Q };
        let w = if W == ANY { density.model.data.width() } else { W };
        let n_s = if known { 0 } else { density.model.parameters.sampled.len() };
        let sizes = Sizes { q, w, n_s, n_i: w - 1 - n_s, known };
        let mut logp = density.at.constrain(&density.model.parameters, u, grad);
        let (integrated, log_det) = density.forward(sizes, gradient)?;
        logp += integrated;
        if gradient {
            logp += density.backward(sizes, u, grad);
        }
        let (rows, sigma) = (density.model.data.n_rows() as f64, density.at.sigma);
        logp += density.model.constant - rows * sigma.ln() - 0.5 * log_det;
        (logp.is_finite() && grad.iter().all(|g| g.is_finite())).then_some(logp)
    }
}

/// The first pass alone, likewise.
struct First<'a, S: Sums, const Q: usize, const W: usize>((&'a mut MarginalDensity<S>, &'a [f64]));

impl<S: Sums, const Q: usize, const W: usize> pulp::WithSimd for First<'_, S, Q, W> {
    type Output = Option<f64>;

    #[inline(always)]
    fn with_simd<T: pulp::Simd>(self, _simd: T) -> Option<f64> {
        let (density, lambda) = self.0;
        let data = &density.model.data;
        let q = if Q == ANY { data.q() } else { Q };
        let w = if W == ANY { data.width() } else { W };
        let sizes = Sizes { q, w, n_s: 0, n_i: w - 1, known: Q != ANY && W != ANY };
        density.sums.forward(data, sizes, lambda, &mut density.f[..w * w], false)
    }
}

impl<S: Sums> Density for MarginalDensity<S> {
    fn dim(&self) -> usize {
        self.model.parameters.dim()
    }

    fn n_outputs(&self) -> usize {
        self.model.n_outputs()
    }

    fn start(&self) -> Vec<f64> {
        self.model.parameters.start()
    }

    fn logp_and_grad(&mut self, u: &[f64], grad: &mut [f64]) -> Option<f64> {
        self.evaluated = None;
        self.passes(u, grad, true)
    }

    fn logp(&mut self, u: &[f64]) -> Option<f64> {
        let mut unused = vec![0.0; u.len()];
        self.evaluated = None;
        let logp = self.passes(u, &mut unused, false)?;
        let elementwise = self.at.elementwise_logp(&self.model.parameters);
        self.evaluated = Some(u.to_vec());
        Some(logp + elementwise).filter(|logp| logp.is_finite())
    }

    fn takes_surrogate(&self) -> bool {
        self.dim() <= MOST_DIMENSIONS
    }

    /// An sd and its negative mean the same, with the correlations of its column mirrored.
    fn walls(&self) -> Vec<usize> {
        let sampled = self.model.parameters.sd.iter().filter_map(|scale| match scale {
            Scale::Sampled(scalar) => Some(matches!(scalar.support, Support::Signed { .. })),
            Scale::Known(_) => None,
        });
        sampled.enumerate().filter_map(|(k, signed)| signed.then_some(k)).collect()
    }

    fn in_stages(&self) -> Option<Box<dyn Staged>> {
        InStages::new(self).map(|stages| Box::new(stages) as Box<dyn Staged>)
    }

    /// One row of output: φ, and the coefficients drawn exactly from their conditional.
    fn output<R: Rng + ?Sized>(&mut self, u: &[f64], rng: &mut R, out: &mut [f64]) -> bool {
        if self.evaluated.as_deref() != Some(u) && self.logp(u).is_none() {
            return false;
        }
        let model = &*self.model;
        let covariance = &model.parameters.covariance;
        let (q, n_cor) = (covariance.q, covariance.n_correlations());
        let n_i = model.n_integrated();
        let (sd, rest) = out.split_at_mut(q);
        let (cor, rest) = rest.split_at_mut(n_cor);
        let (sigma, c) = rest.split_at_mut(1);
        for (out, sd) in sd.iter_mut().zip(&self.at.sd) {
            *out = sd.abs();
        }
        covariance.correlations(&self.at.l, &self.at.sd, cor);
        sigma[0] = self.at.sigma;
        let (integrated, sampled) = c.split_at_mut(n_i);
        for z in integrated.iter_mut() {
            *z = StandardNormal.sample(rng);
        }
        self.sums.scatter(integrated);
        for (c, u) in integrated.iter_mut().zip(self.sums.u()) {
            *c -= u;
        }
        sampled.copy_from_slice(&self.at.c);
        true
    }
}
