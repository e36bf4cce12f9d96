//! An unconstrained vector → scales, correlations and sampled coefficients, and slopes back.

use super::{Parameters, Scale};
use crate::prior::Scalar;

/// Parameters at a point, as a user knows them.
pub struct Constrained {
    pub sd: Vec<f64>,
    pub cor: Vec<f64>,
    pub sigma: f64,
    /// Sampled coefficients on the scale of their prior.
    pub sampled: Vec<f64>,
    /// Log prior of everything sampled, with Jacobian, up to a constant.
    pub log_prior: f64,
}

/// Where the unconstrained vector led: constrained values with their slopes.
#[derive(Clone, Debug)]
pub struct Point {
    pub sd: Vec<f64>,
    sd_slope: Vec<f64>,
    pub sigma: f64,
    sigma_slope: f64,
    /// Cholesky factor of the correlations, q × q.
    pub l: Vec<f64>,
    /// Λ/σ, q × q.
    pub lambda: Vec<f64>,
    /// Sampled coefficients in working columns, and dv/du.
    pub c: Vec<f64>,
    c_slope: Vec<f64>,
    d_l: Vec<f64>,
    d_cor: Vec<f64>,
}

/// Slopes of the likelihood: by Σ' = Σ/σ² (q × q), by sigma at a given Σ', by sampled coefficients.
pub struct Slopes<'a> {
    pub covariance: &'a [f64],
    pub sigma: f64,
    pub c: &'a [f64],
}

impl Point {
    pub fn new(model: &Parameters) -> Self {
        let (q, n_s) = (model.covariance.q, model.sampled.len());
        Self {
            sd: vec![0.0; q],
            sd_slope: vec![0.0; q],
            sigma: 1.0,
            sigma_slope: 0.0,
            l: vec![0.0; q * q],
            lambda: vec![0.0; q * q],
            c: vec![0.0; n_s],
            c_slope: vec![0.0; n_s],
            d_l: vec![0.0; q * q],
            d_cor: vec![0.0; model.covariance.n_correlations()],
        }
    }

    /// Go to `u`; returns the log prior and writes its gradient.
    #[inline(always)]
    pub fn constrain(&mut self, model: &Parameters, u: &[f64], grad: &mut [f64]) -> f64 {
        let (mut next, mut logp) = (0, 0.0);
        let mut take = |scalar: &Scalar, next: &mut usize| {
            let s = scalar.at(u[*next]);
            grad[*next] = s.dlogp_du;
            *next += 1;
            logp += s.logp;
            (s.x, s.dx_du)
        };
        for (i, scale) in model.sd.iter().enumerate() {
            (self.sd[i], self.sd_slope[i]) = match scale {
                Scale::Sampled(scalar) => take(scalar, &mut next),
                Scale::Known(x) => (*x, 0.0),
            };
        }
        let first_correlation = next;
        next += model.covariance.n_correlations();
        (self.sigma, self.sigma_slope) = match &model.sigma {
            Scale::Sampled(scalar) => take(scalar, &mut next),
            Scale::Known(x) => (*x, 0.0),
        };
        let n_s = model.sampled.len();
        self.c.copy_from_slice(&model.sampled_shift);
        for (k, scalar) in model.sampled.iter().enumerate() {
            let v;
            (v, self.c_slope[k]) = take(scalar, &mut next);
            for (i, c) in self.c.iter_mut().enumerate() {
                *c += model.sampled_map[i * n_s + k] * v;
            }
        }
        self.d_cor.fill(0.0);
        let correlations = first_correlation..first_correlation + self.d_cor.len();
        let covariance = &model.covariance;
        logp += covariance.correlation_factor(&u[correlations], &mut self.l, &mut self.d_cor);
        let q = model.covariance.q;
        for i in 0..q {
            let ratio = self.sd[i] / self.sigma;
            for k in 0..q {
                self.lambda[i * q + k] = ratio * self.l[i * q + k];
            }
        }
        logp
    }

    /// Log prior of correlations that have one each.
    pub fn elementwise_logp(&mut self, model: &Parameters) -> f64 {
        self.d_l.fill(0.0);
        model.covariance.elementwise_logp(&self.l, &mut self.d_l)
    }

    /// Add the likelihood's gradient to the prior's in `grad`, and that of correlations that have a
    /// prior each, whose log prior is returned.
    #[inline(always)]
    pub fn pull_back(
        &mut self,
        model: &Parameters,
        q: usize,
        u: &[f64],
        slopes: &Slopes,
        grad: &mut [f64],
    ) -> f64 {
        let (lambda, l) = (&self.lambda[..q * q], &self.l[..q * q]);
        let (d_sigma, d_l) = (&slopes.covariance[..q * q], &mut self.d_l[..q * q]);
        // Through Λ' = diag(sd/σ) L, whose lower triangle is all there is.
        let inverse = 1.0 / self.sigma;
        let mut sigma_slope = 0.0;
        let mut next = 0;
        for i in 0..q {
            let (mut d_sd, ratio) = (0.0, self.sd[i] * inverse);
            for k in 0..=i {
                let d: f64 = (k..q).map(|j| 2.0 * d_sigma[i * q + j] * lambda[j * q + k]).sum();
                d_sd += d * l[i * q + k] * inverse;
                d_l[i * q + k] = d * ratio;
            }
            sigma_slope -= d_sd * ratio;
            if matches!(model.sd[i], Scale::Sampled(_)) {
                grad[next] += d_sd * self.sd_slope[i];
                next += 1;
            }
        }
        let correlations = next..next + self.d_cor.len();
        let elementwise = model.covariance.elementwise_logp(l, d_l);
        model.covariance.pull_back(&u[correlations.clone()], d_l, &mut self.d_cor);
        grad[correlations.clone()].copy_from_slice(&self.d_cor);
        next = correlations.end;
        if matches!(model.sigma, Scale::Sampled(_)) {
            sigma_slope += slopes.sigma;
            grad[next] += sigma_slope * self.sigma_slope;
            next += 1;
        }
        let n_s = slopes.c.len();
        for k in 0..n_s {
            let slope: f64 = (0..n_s).map(|i| model.sampled_map[i * n_s + k] * slopes.c[i]).sum();
            grad[next + k] += slope * self.c_slope[k];
        }
        elementwise
    }
}

impl Parameters {
    /// The parameters that the unconstrained `u` stands for.
    pub fn constrained(&self, u: &[f64]) -> Constrained {
        let mut at = Point::new(self);
        let log_prior = at.constrain(self, u, &mut vec![0.0; u.len()]);
        let elementwise = at.elementwise_logp(self);
        let mut cor = vec![0.0; self.covariance.n_correlations()];
        self.covariance.correlations(&at.l, &at.sd, &mut cor);
        let first = u.len() - self.sampled.len();
        let sampled = self.sampled.iter().zip(&u[first..]);
        Constrained {
            sd: at.sd.iter().map(|sd| sd.abs()).collect(),
            cor,
            sigma: at.sigma,
            sampled: sampled.map(|(s, &u)| s.support.at(u).x).collect(),
            log_prior: log_prior + elementwise,
        }
    }
}
