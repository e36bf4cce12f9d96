//! Coordinates θ → scales relative to σ and correlations, with their priors given σ.
//!
//! An sd has the coordinate `v = asinh(λ √n)` for λ = sd/σ, where n is the sum of squares of its
//! column in a level: linear below what can be told from 0, logarithmic above, with no singularity of
//! `ln(1 + λ²n)` nearer to the real line than π/2. What is made of Σ is an even function of v, with
//! the correlations mirrored, so that 0 is no end.

use super::super::{Parameters, Scale};
use crate::prior::Scalar;

/// Where v is looked for, and other coordinates, which have a scale of about 1.
const INTERVALS: [(f64, f64); 2] = [(0.0, 6.0), (-1.2, 1.2)];

#[derive(Clone, Debug)]
pub struct Scales {
    /// For each column 1/√n.
    unit: Vec<f64>,
    /// Columns whose sd is sampled.
    sampled: Vec<usize>,
    n_correlations: usize,
    /// σ where it is known, or where log σ counts from if it is one of θ.
    known_sigma: Option<f64>,
    first_sigma: Option<f64>,
    // Where θ led.
    sigma: Option<f64>,
    ratio: Vec<f64>,
    l: Vec<f64>,
    d_l: Vec<f64>,
    lambda: Vec<f64>,
    d_cor: Vec<f64>,
    /// Log prior of correlations, and Jacobians of θ, that depend on nothing else.
    log_prior: f64,
}

/// Log prior of a scalar with a given value.
fn log_density(scalar: &Scalar, x: f64, bounded: bool) -> f64 {
    let (low, high) = scalar.support.bounds();
    if bounded && !(low..=high).contains(&x) {
        return f64::NEG_INFINITY;
    }
    scalar.prior.logp(x).0
}

impl Scales {
    pub fn new(parameters: &Parameters, information: &[f64]) -> Self {
        let q = parameters.covariance.q;
        let is_sampled = |k: &usize| matches!(parameters.sd[*k], Scale::Sampled(_));
        let sampled: Vec<usize> = (0..q).filter(is_sampled).collect();
        let (known_sigma, first_sigma) = match parameters.sigma {
            Scale::Known(sigma) => (Some(sigma), None),
            Scale::Sampled(scalar) if sampled.len() < q => (None, Some(scalar.start)),
            Scale::Sampled(_) => (None, None),
        };
        let n_correlations = parameters.covariance.n_correlations();
        Self {
            unit: information.iter().map(|n| 1.0 / n.max(f64::MIN_POSITIVE).sqrt()).collect(),
            sampled,
            n_correlations,
            known_sigma,
            first_sigma,
            sigma: known_sigma,
            ratio: vec![0.0; q],
            l: vec![0.0; q * q],
            d_l: vec![0.0; q * q],
            lambda: vec![0.0; q * q],
            d_cor: vec![0.0; n_correlations],
            log_prior: 0.0,
        }
    }

    /// Whether σ is one of θ, known or not.
    pub fn has_sigma(&self) -> bool {
        self.known_sigma.is_some() || self.first_sigma.is_some()
    }

    pub fn dim(&self) -> usize {
        self.n_before() + self.sampled.len() + self.n_correlations
    }

    /// Coordinates before those of sds.
    fn n_before(&self) -> usize {
        usize::from(self.first_sigma.is_some())
    }

    pub fn intervals(&self) -> Vec<(f64, f64)> {
        let is_sd = |i: usize| self.walls().contains(&i);
        (0..self.dim()).map(|i| INTERVALS[usize::from(!is_sd(i))]).collect()
    }

    pub fn start(&self, parameters: &Parameters) -> Vec<f64> {
        let mut theta = vec![0.0; self.dim()];
        let sigma = match parameters.sigma {
            Scale::Known(sigma) => sigma,
            Scale::Sampled(scalar) => scalar.start,
        };
        for (&wall, &k) in self.walls().iter().zip(&self.sampled) {
            if let Scale::Sampled(scalar) = parameters.sd[k] {
                theta[wall] = (scalar.start / (sigma * self.unit[k])).asinh().max(0.5);
            }
        }
        theta
    }

    pub fn walls(&self) -> Vec<usize> {
        (self.n_before()..self.n_before() + self.sampled.len()).collect()
    }

    pub fn mirror(&self, parameters: &Parameters, wall: usize, theta: &mut [f64]) {
        let first = self.n_before() + self.sampled.len();
        theta[wall] = -theta[wall];
        parameters.covariance.mirror(self.sampled[wall - self.n_before()], &mut theta[first..]);
    }

    /// θ with one sd after the other where its prior has a peak.
    pub fn peaks(&self, parameters: &Parameters, theta: &[f64], sigma: f64) -> Vec<Vec<f64>> {
        let peak = |(wall, k): (usize, &usize)| {
            let Scale::Sampled(scalar) = &parameters.sd[*k] else { return None };
            let mut found = theta.to_vec();
            found[wall] = (scalar.prior.peak()? / (sigma * self.unit[*k])).asinh();
            Some(found)
        };
        self.walls().into_iter().zip(&self.sampled).filter_map(peak).collect()
    }

    /// Go to θ.
    pub fn go_to(&mut self, parameters: &Parameters, theta: &[f64]) {
        let q = self.ratio.len();
        let (before, rest) = theta.split_at(self.n_before());
        let (sds, correlations) = rest.split_at(self.sampled.len());
        if let Some(first) = self.first_sigma {
            self.sigma = Some(first * before[0].exp());
        }
        for (k, scale) in parameters.sd.iter().enumerate() {
            if let (Scale::Known(sd), Some(sigma)) = (scale, self.sigma) {
                self.ratio[k] = sd / sigma;
            }
        }
        self.log_prior = 0.0;
        for (v, &k) in sds.iter().zip(&self.sampled) {
            self.ratio[k] = self.unit[k] * v.sinh();
            self.log_prior += (self.unit[k] * v.cosh()).ln();
        }
        let covariance = &parameters.covariance;
        self.log_prior += covariance.correlation_factor(correlations, &mut self.l, &mut self.d_cor);
        for i in 0..q {
            for j in 0..q {
                self.lambda[i * q + j] = self.ratio[i] * self.l[i * q + j];
            }
        }
    }

    /// Entries of Λ/σ where θ led, in coordinates like those of its sds; `None` where there are no
    /// correlations, and they are θ itself. Sds and correlations are far from a likelihood that is
    /// smooth in Λ, small sds most of all.
    pub fn chart(&self, parameters: &Parameters) -> Option<Vec<f64>> {
        let q = self.ratio.len();
        let entry = |(i, j): (usize, usize)| (self.lambda[i * q + j] / self.unit[i]).asinh();
        let own = self.sampled.iter().map(|&i| (i, i));
        (self.n_correlations > 0)
            .then(|| own.chain(parameters.covariance.pairs()).map(entry).collect())
    }

    /// Λ/σ
    pub fn lambda(&self) -> &[f64] {
        &self.lambda
    }

    /// σ where θ or the data say it.
    pub fn sigma(&self) -> Option<f64> {
        self.sigma
    }

    /// Log prior of θ and σ, or log σ where that is sampled; `bounded` by where priors end.
    pub fn log_prior(&mut self, parameters: &Parameters, sigma: f64, bounded: bool) -> f64 {
        let mut logp = self.log_prior;
        for &k in &self.sampled {
            if let Scale::Sampled(scalar) = &parameters.sd[k] {
                // The sd is λσ.
                logp += log_density(scalar, self.ratio[k].abs() * sigma, bounded) + sigma.ln();
            }
        }
        if let Scale::Sampled(scalar) = &parameters.sigma {
            logp += log_density(scalar, sigma, bounded) + sigma.ln();
        }
        if bounded {
            logp += parameters.covariance.elementwise_logp(&self.l, &mut self.d_l);
        }
        logp
    }

    /// Sds and correlations.
    pub fn write(&self, parameters: &Parameters, sigma: f64, sd: &mut [f64], cor: &mut [f64]) {
        for ((out, ratio), scale) in sd.iter_mut().zip(&self.ratio).zip(&parameters.sd) {
            *out = match scale {
                Scale::Known(sd) => *sd,
                Scale::Sampled(_) => ratio.abs() * sigma,
            };
        }
        parameters.covariance.correlations(&self.l, &self.ratio, cor);
    }
}
