//! The joint density of all parameters of a Gaussian model on their natural scales.
//!
//! What random-walk Metropolis walks on, and an independent check of the marginal density. The rows
//! enter through the same reduced data: `‖y − Xb − Zr‖² = uᵀWu + Σ_j ‖B_j u − R_j r̃_j‖²` with
//! `u = (−c, 1)`. Parameters lie in one vector: b, coefficients level by level, sd, correlations,
//! sigma; those that a model lacks are left out. Densities are up to an additive constant.

use crate::lanes::LANES;
use crate::linalg::{cholesky, solve_lower};
use crate::marginal::crossproducts::{CrossProducts, upper};
use crate::prior::Prior;

/// A prior with the bounds of the parameter.
#[derive(Clone, Copy, Debug)]
pub struct Bounded {
    pub prior: Prior,
    pub low: f64,
    pub high: f64,
}

impl Bounded {
    fn logp(&self, x: f64) -> f64 {
        if x < self.low || x > self.high || !x.is_finite() {
            return f64::NEG_INFINITY;
        }
        self.prior.logp(x).0
    }
}

/// The prior of the group coefficients.
#[derive(Clone, Debug)]
pub enum GroupPrior {
    /// r ~ N(0, Σ), with priors of the sds and correlations.
    Hierarchical {
        sd: Vec<Bounded>,
        pairs: Vec<(usize, usize)>,
        /// LKJ, or a prior for each correlation.
        eta: f64,
        elementwise: Option<Vec<Bounded>>,
    },
    /// Fixed: working coefficients N(0, sd²), flat where sd is infinite, within bounds.
    Fixed { sd: Vec<f64>, bounds: Vec<(f64, f64)> },
}

#[derive(Clone, Debug)]
pub struct Joint {
    pub data: CrossProducts,
    /// c = map · b + shift (working coefficients in the order of the core).
    pub map: Vec<f64>,
    pub shift: Vec<f64>,
    /// r̃ = unback · (coef − base − T b)
    pub t: Vec<f64>,
    pub base: Vec<f64>,
    pub unback: Vec<f64>,
    /// Normal priors of b as rows of unit variance; the others one by one.
    pub prior_rows: Vec<f64>,
    pub b: Vec<Bounded>,
    pub group: Option<GroupPrior>,
    pub sigma: Option<Bounded>,
}

/// Working storage of one chain.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    u: Vec<f64>,
    origin: Vec<f64>,
    factor: Vec<f64>,
    r: Vec<f64>,
    working: Vec<f64>,
}

impl Joint {
    pub fn dim(&self) -> usize {
        let group = match &self.group {
            None => 0,
            Some(GroupPrior::Hierarchical { sd, pairs, .. }) => {
                self.data.n_levels * sd.len() + sd.len() + pairs.len()
            }
            Some(GroupPrior::Fixed { sd, .. }) => self.data.n_levels * sd.len(),
        };
        self.b.len() + group + usize::from(self.sigma.is_some())
    }

    /// Log density at `theta`; −∞ outside the support.
    pub fn logp(&self, theta: &[f64], scratch: &mut Scratch) -> f64 {
        let (b, rest) = theta.split_at(self.b.len());
        let sigma = match &self.sigma {
            None => 1.0,
            Some(_) => rest[rest.len() - 1],
        };
        let mut logp = self.sigma.as_ref().map_or(0.0, |prior| prior.logp(sigma));
        logp += b.iter().zip(&self.b).map(|(b, prior)| prior.logp(*b)).sum::<f64>();
        if logp == f64::NEG_INFINITY || sigma <= 0.0 {
            return f64::NEG_INFINITY;
        }
        self.contrast(b, &mut scratch.u);
        let q = self.data.q;
        let coefficients = &rest[..self.data.n_levels * q];
        let hyper = &rest[coefficients.len()..];
        if let Some(group) = &self.group {
            logp += self.hyper_logp(group, hyper, &mut scratch.factor);
            if logp == f64::NEG_INFINITY {
                return logp;
            }
        }
        let mut squares = quadratic(&self.data.w, &scratch.u);
        logp -= 0.5 * quadratic(&self.prior_rows, &scratch.u);
        scratch.origin.resize(q, 0.0);
        for i in 0..q {
            let twin: f64 =
                b.iter().enumerate().map(|(k, b)| self.t[i * self.b.len() + k] * b).sum();
            scratch.origin[i] = self.base[i] + twin;
        }
        for (level, coef) in coefficients.chunks_exact(q.max(1)).enumerate() {
            let (fit, prior) = self.level(level, coef, scratch);
            squares += fit;
            logp += prior;
        }
        logp - self.data.n_rows as f64 * sigma.ln() - 0.5 * squares / (sigma * sigma)
    }

    /// u = (−c, 1)
    fn contrast(&self, b: &[f64], u: &mut Vec<f64>) {
        let p = b.len();
        u.clear();
        for i in 0..p {
            let c: f64 = (0..p).map(|k| self.map[i * p + k] * b[k]).sum();
            u.push(-c - self.shift[i]);
        }
        u.push(1.0);
    }

    /// Log prior of sds and correlations with −½ log|Σ| for every level; keeps Σ's factor.
    fn hyper_logp(&self, group: &GroupPrior, hyper: &[f64], factor: &mut Vec<f64>) -> f64 {
        let GroupPrior::Hierarchical { sd, pairs, eta, elementwise } = group else {
            return 0.0;
        };
        let q = sd.len();
        let (sds, correlations) = (&hyper[..q], &hyper[q..q + pairs.len()]);
        let mut logp: f64 = sds.iter().zip(sd).map(|(x, prior)| prior.logp(*x)).sum();
        if sds.iter().any(|sd| *sd <= 0.0) || logp == f64::NEG_INFINITY {
            return f64::NEG_INFINITY;
        }
        factor.clear();
        factor.resize(q * q, 0.0);
        for i in 0..q {
            factor[i * q + i] = 1.0;
        }
        for (&(i, j), r) in pairs.iter().zip(correlations) {
            if !(-1.0..=1.0).contains(r) {
                return f64::NEG_INFINITY;
            }
            let (low, high) = (i.min(j), i.max(j));
            factor[high * q + low] = *r;
        }
        if let Some(priors) = elementwise {
            logp += priors.iter().zip(correlations).map(|(p, r)| p.logp(*r)).sum::<f64>();
        }
        let Some(log_det) = cholesky(factor, q) else {
            return f64::NEG_INFINITY;
        };
        logp += (eta - 1.0) * log_det;
        let mut log_scale = 0.5 * log_det;
        for i in 0..q {
            log_scale += sds[i].ln();
            for k in 0..=i {
                factor[i * q + k] *= sds[i];
            }
        }
        logp - self.data.n_levels as f64 * log_scale
    }

    /// Squared residuals and log prior of one level.
    fn level(&self, level: usize, coef: &[f64], scratch: &mut Scratch) -> (f64, f64) {
        let (q, width) = (self.data.q, self.data.width);
        let (block, lane) = (level / LANES, level % LANES);
        let Scratch { u, origin, factor, r, working } = scratch;
        r.clear();
        r.extend(coef.iter().zip(origin.iter()).map(|(c, o)| c - o));
        working.clear();
        for i in 0..q {
            working.push((0..q).map(|k| self.unback[i * q + k] * r[k]).sum());
        }
        let mut squares = 0.0;
        let (triangle, size) = (q * (q + 1) / 2, q * width);
        for i in 0..q {
            let b = &self.data.b[block * size + i * width..][..width];
            let mut e: f64 = b.iter().zip(u.iter()).map(|(b, u)| b[lane] * u).sum();
            for c in i..q {
                e -= self.data.r[block * triangle + upper(q, i, c)][lane] * working[c];
            }
            squares += e * e;
        }
        let prior = match &self.group {
            Some(GroupPrior::Hierarchical { .. }) => {
                solve_lower(factor, q, working);
                -0.5 * working.iter().map(|x| x * x).sum::<f64>()
            }
            Some(GroupPrior::Fixed { sd, bounds }) => {
                let outside = coef.iter().zip(bounds).any(|(c, (low, high))| c < low || c > high);
                let scaled = working.iter().zip(sd).map(|(w, sd)| (w / sd).powi(2));
                if outside { f64::NEG_INFINITY } else { -0.5 * scaled.sum::<f64>() }
            }
            None => 0.0,
        };
        (squares, prior)
    }
}

/// uᵀ A u
fn quadratic(a: &[f64], u: &[f64]) -> f64 {
    let n = u.len();
    (0..n).map(|i| u[i] * (0..n).map(|j| a[i * n + j] * u[j]).sum::<f64>()).sum()
}
