//! A grouping factor: the prior of its coefficients, their coordinates, and what nests it.

use super::Part;
use crate::covariance::Covariance;
use crate::prior::Scalar;
use crate::whitening::{Kept, Whitening};

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
    pub fn give_mean(&self, by_c: &[f64], by_r: &mut [f64]) {
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

/// Sampled sds and correlations of a factor.
pub fn n_scales(factor: &Factor) -> usize {
    match &factor.prior {
        GroupPrior::Hierarchical { sd, covariance } => sd.len() + covariance.n_correlations(),
        _ => 0,
    }
}

/// Working storage of a factor.
#[derive(Clone, Debug, Default)]
pub struct FactorAt {
    pub sd: Vec<f64>,
    sd_slope: Vec<f64>,
    pub l: Vec<f64>,
    lambda: Vec<f64>,
    mean: Vec<f64>,
    by_lambda: Vec<f64>,
    by_l: Vec<f64>,
    by_cor: Vec<f64>,
    separate: Vec<f64>,
    /// What nesting factors take from the levels' targets.
    pub outer: Vec<f64>,
    kept: Kept,
}

impl FactorAt {
    pub fn new(factor: &Factor) -> Self {
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
    pub fn constrain(&mut self, factor: &Factor, u: &[f64], grad: &mut [f64]) -> f64 {
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
    pub fn forward(
        &mut self,
        factor: &Factor,
        c: &[f64],
        xi: &[f64],
        r: &mut [f64],
    ) -> Option<f64> {
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
    pub fn backward(
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

    /// Move population coefficients to where they are likely at the sds.
    pub fn slide(&mut self, factor: &Factor, c: &mut [f64]) {
        factor.whitening.slide(&self.lambda, &mut self.kept, c);
    }

    /// Slopes by Λ that come through [`Self::slide`]; after [`Self::backward`].
    pub fn slide_back(&mut self, factor: &Factor, by_c: &[f64]) {
        factor.whitening.slide_back(&self.lambda, &self.kept, by_c, &mut self.by_lambda);
    }

    /// Slopes by the levels' targets.
    pub fn by_target(&self) -> &[f64] {
        self.kept.by_target()
    }

    /// Slopes by sds and correlations from those by Λ; adds the elementwise log prior.
    pub fn pull_back(&mut self, factor: &Factor, u: &[f64], grad: &mut [f64]) -> f64 {
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

/// `X r′` of the factors that this one is nested in, their means taken out where these are loose.
pub fn gather_outer(part: &Part, factor: &Factor, r: &[Vec<f64>], outer: &mut Vec<f64>) {
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
pub fn scatter_outer(part: &Part, factor: &Factor, by_target: &[f64], by_r: &mut [Vec<f64>]) {
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
