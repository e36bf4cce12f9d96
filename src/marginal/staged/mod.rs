//! The marginal density in two stages: `K(θ)` and `log|V₀|(θ)` cost much, and given these all about σ
//! and the coefficients is closed form.
//!
//! θ are sds relative to σ, and correlations. Where an sd is known, its ratio moves with σ, so that
//! log σ is one of θ too. The priors enter in the second stage, exactly.

mod features;
mod given;
mod scales;

use super::density::MarginalDensity;
use super::sums::Sums;
use super::{Marginal, Reduced, Scale};
use crate::sampler::Staged;
use features::Least;
use given::Given;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
pub use scales::Scales;

/// Coordinates θ that a polynomial can have.
const MOST_SCALES: usize = 7;

/// Newton steps over σ, and where they end.
const STEPS: (usize, f64) = (30, 1e-4);

/// The density with what its second stage needs.
pub struct InStages<S: Sums> {
    density: MarginalDensity<S>,
    scales: Scales,
    least: Least,
    given: Given,
    /// Sampled coefficients in working columns.
    c: Vec<f64>,
}

impl<S: Sums> InStages<S> {
    /// `None` where there are too many scales, or no more rows than coefficients.
    pub fn new(density: &MarginalDensity<S>) -> Option<Self> {
        let model = density.model();
        let scales = Scales::new(&model.parameters, &model.data.information());
        let p = model.n_coefficients();
        let fits = scales.dim() <= MOST_SCALES && model.data.n_rows() > p;
        fits.then(|| Self {
            scales,
            least: Least::new(p, model.data.n_rows()),
            given: Given::new(p),
            c: vec![0.0; model.parameters.sampled.len()],
            density: density.clone(),
        })
    }

    fn model(&self) -> &Marginal<S::Data> {
        self.density.model()
    }

    /// Whether σ is one of the rest.
    fn sigma_is_free(&self) -> bool {
        matches!(self.model().parameters.sigma, Scale::Sampled(_)) && !self.scales.has_sigma()
    }

    /// σ, for the first of the rest where it is free.
    fn sigma(&self, rest: &[f64]) -> f64 {
        self.scales.sigma().unwrap_or_else(|| self.least.sigma(rest[0]))
    }

    /// Log density of σ and of what depends on θ alone, all coefficients integrated but `sampled`.
    fn at_sigma(&mut self, sigma: f64, sampled: &[f64], bounded: bool) -> f64 {
        let model = self.density.model();
        let prior = self.scales.log_prior(&model.parameters, sigma, bounded);
        if prior == f64::NEG_INFINITY {
            return prior;
        }
        let likelihood = self.given.integrate(&self.least, sigma, sampled, &model.prior_rows);
        let rows = model.data.n_rows() as f64;
        let likelihood = likelihood.map_or(f64::NEG_INFINITY, |value| {
            value + model.constant + self.least.half_log_det - rows * sigma.ln()
        });
        prior + likelihood
    }
}

impl<S: Sums> Staged for InStages<S> {
    fn fresh(&self) -> Box<dyn Staged> {
        Box::new(Self {
            density: self.density.clone(),
            scales: self.scales.clone(),
            least: self.least.clone(),
            given: self.given.clone(),
            c: self.c.clone(),
        })
    }

    fn dims(&self) -> (usize, usize) {
        (self.scales.dim(), usize::from(self.sigma_is_free()) + self.c.len())
    }

    fn n_features(&self) -> usize {
        Least::n_features(self.model().n_coefficients())
    }

    fn n_outputs(&self) -> usize {
        self.model().n_outputs()
    }

    fn operations(&self) -> f64 {
        S::operations(self.model())
    }

    fn box_of_theta(&self) -> Vec<(f64, f64)> {
        self.scales.intervals()
    }

    fn start(&self) -> Vec<f64> {
        self.scales.start(&self.model().parameters)
    }

    fn walls(&self) -> Vec<usize> {
        self.scales.walls()
    }

    fn mirror(&self, wall: usize, theta: &mut [f64]) {
        self.scales.mirror(&self.model().parameters, wall, theta);
    }

    fn features(&mut self, theta: &[f64], out: &mut [f64]) -> bool {
        self.scales.go_to(&self.density.model().parameters, theta);
        let sigma = self.scales.sigma();
        let Some((log_det, k)) = self.density.at_scales(self.scales.lambda()) else { return false };
        self.least.encode(k, log_det, sigma, out).is_some()
    }

    fn peaks(&mut self, theta: &[f64], features: &[f64]) -> Vec<Vec<f64>> {
        self.scales.go_to(&self.density.model().parameters, theta);
        self.least.decode(features, self.scales.sigma());
        let sigma = self.scales.sigma().unwrap_or_else(|| self.least.sigma(0.0));
        self.scales.peaks(&self.model().parameters, theta, sigma)
    }

    /// The maximum over σ, by Newton's method in numbers of its own sd.
    fn profile(&mut self, theta: &[f64], features: &[f64]) -> f64 {
        self.scales.go_to(&self.density.model().parameters, theta);
        self.least.decode(features, self.scales.sigma());
        if let Some(sigma) = self.scales.sigma() {
            return self.at_sigma(sigma, &[], false);
        }
        let (mut at, step) = (0.0, 0.1);
        let mut of = |at: f64| self.at_sigma(self.least.sigma(at), &[], false);
        let mut value = of(at);
        for _ in 0..STEPS.0 {
            let (low, high) = (of(at - step), of(at + step));
            let slope = (high - low) / (2.0 * step);
            let bend = ((2.0 * value - low - high) / (step * step)).max(0.1);
            let mut along = (slope / bend).clamp(-4.0, 4.0);
            let mut next = of(at + along);
            while next < value && along.abs() > 0.01 {
                along *= 0.3;
                next = of(at + along);
            }
            if next.is_nan() || next <= value + STEPS.1 {
                break;
            }
            (at, value) = (at + along, next);
        }
        value
    }

    fn rest(&self) -> Vec<(f64, f64)> {
        let sigma = self.sigma_is_free().then_some((0.0, 1.0));
        let sampled = self.model().parameters.sampled.iter();
        let sampled = sampled.map(|scalar| (scalar.support.unconstrain(scalar.start), 1.0));
        sigma.into_iter().chain(sampled).collect()
    }

    fn logp(&mut self, theta: &[f64], rest: &[f64], features: &[f64]) -> f64 {
        let parameters = &self.density.model().parameters;
        self.scales.go_to(parameters, theta);
        self.least.decode(features, self.scales.sigma());
        let sigma = self.sigma(rest);
        let first = rest.len() - self.c.len();
        let mut c = std::mem::take(&mut self.c);
        let prior = self.density.model().parameters.coefficients(&rest[first..], &mut c);
        let logp = prior + self.at_sigma(sigma, &c, true);
        self.c = c;
        if logp.is_nan() { f64::NEG_INFINITY } else { logp }
    }

    fn moved(&self, found: &[f64], truth: &[f64]) -> f64 {
        let (mut one, mut other) = (self.least.clone(), self.least.clone());
        // Known sigma or not, log s has the same sd or none.
        one.decode(found, self.scales.sigma());
        other.decode(truth, self.scales.sigma());
        one.apart(&other, self.sigma_is_free())
    }

    fn output(
        &mut self,
        theta: &[f64],
        rest: &[f64],
        features: &[f64],
        rng: &mut ChaCha8Rng,
        out: &mut [f64],
    ) -> bool {
        if !self.logp(theta, rest, features).is_finite() {
            return false;
        }
        let sigma = self.sigma(rest);
        let parameters = &self.density.model().parameters;
        let covariance = &parameters.covariance;
        let (sd, rest) = out.split_at_mut(covariance.q);
        let (cor, rest) = rest.split_at_mut(covariance.n_correlations());
        let (one, c) = rest.split_at_mut(1);
        self.scales.write(parameters, sigma, sd, cor);
        one[0] = sigma;
        let (integrated, sampled) = c.split_at_mut(c.len() - self.c.len());
        for z in integrated.iter_mut() {
            *z = StandardNormal.sample(rng);
        }
        self.given.draw(&self.least, integrated);
        sampled.copy_from_slice(&self.c);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::crossproducts::CrossProducts;
    use super::super::{Narrow, Parameters};
    use super::*;
    use crate::covariance::{Block, CorrelationPrior, Covariance};
    use crate::prior::{Prior, Scalar, Support};
    use crate::sampler::Density;
    use std::sync::Arc;

    fn scalar(prior: Prior) -> Scalar {
        Scalar { prior, support: Support::Above { low: 0.0, unit: 1.0 }, start: 1.0 }
    }

    /// 12 levels of 6 rows with slopes; the last coefficient has a t prior, the first a normal one.
    fn density(sd: [Scale; 2], sigma: Scale) -> MarginalDensity<Narrow> {
        let mut data = CrossProducts::new(2, 4, 12);
        for k in 0..72 {
            let (x, v) = ((0.7 * k as f64).sin(), (1.3 * k as f64).cos());
            let y = 0.4 + x * ((k / 6) as f64).sin() + 0.3 * v + (2.9 * k as f64).sin();
            data.add_row(k / 6, &mut [1.0, x], &mut [1.0, x, v, y]);
        }
        data.finish(&[1.0, 0.0, 0.0, 1.0]);
        let blocks = [Block { start: 0, stop: 2, correlated: true }];
        let real = Support::Real { centre: 0.2, unit: 0.5 };
        let coefficient = Scalar {
            prior: Prior::StudentT { df: 3.0, loc: 0.1, scale: 0.3 },
            support: real,
            start: 0.2,
        };
        let parameters = Parameters {
            covariance: Covariance::new(2, &blocks, CorrelationPrior::Lkj { eta: 2.0 }),
            sd: sd.to_vec(),
            sigma,
            sampled: vec![coefficient],
            sampled_map: vec![1.5],
            sampled_shift: vec![0.1],
        };
        let mut prior_rows = vec![0.0; 16];
        (prior_rows[0], prior_rows[3], prior_rows[12], prior_rows[15]) = (4.0, 2.0, 2.0, 1.0);
        MarginalDensity::new(Arc::new(Marginal { data, parameters, prior_rows, constant: 0.7 }))
    }

    /// The density of the first stage's coordinates, brought to those of the density itself.
    #[test]
    fn both_stages_together_are_the_density() {
        let exponential = Scale::Sampled(scalar(Prior::Gamma { shape: 1.0, rate: 0.8 }));
        let sigma = Scale::Sampled(scalar(Prior::StudentT { df: 4.0, loc: 0.5, scale: 1.0 }));
        let fixed = Scale::Known(0.6);
        for (sd, sigma) in [
            ([exponential; 2], sigma),
            ([exponential; 2], Scale::Known(0.9)),
            ([fixed; 2], sigma),
            ([fixed, exponential], sigma),
        ] {
            let mut density = density(sd, sigma);
            let mut staged = InStages::new(&density).unwrap();
            let (d, r) = staged.dims();
            let n_sds = staged.walls().len();
            let mut features = vec![0.0; staged.n_features()];
            let mut offsets = Vec::new();
            for k in 0..5 {
                let theta: Vec<f64> = (0..d).map(|i| 0.8 + 0.3 * (i + 2 * k) as f64).collect();
                let rest: Vec<f64> = (0..r).map(|i| 0.4 * (k as f64 - 2.0 + i as f64)).collect();
                assert!(staged.features(&theta, &mut features));
                let found = staged.logp(&theta, &rest, &features);
                let sigma_now = staged.sigma(&rest);
                let mut jacobian = 0.0;
                let mut u = Vec::new();
                for wall in staged.walls() {
                    let column = if matches!(sd[0], Scale::Known(_)) { 1 } else { wall };
                    let column = if n_sds == 2 { wall } else { column };
                    let unit = 1.0 / density.model().data.information()[column].sqrt();
                    let ratio = unit * theta[wall].sinh();
                    u.push((ratio * sigma_now).ln());
                    jacobian += (unit * theta[wall].cosh() / ratio).ln();
                }
                u.push(theta[d - 1]);
                if matches!(sigma, Scale::Sampled(_)) {
                    u.push(sigma_now.ln());
                }
                u.push(rest[r - 1]);
                offsets.push(density.logp(&u).unwrap() + jacobian - found);
            }
            for offset in &offsets {
                assert!((offset - offsets[0]).abs() < 1e-9, "{offsets:?}");
            }
        }
    }

    #[test]
    fn mirror_images_have_the_same_features() {
        let exponential = Scale::Sampled(scalar(Prior::Gamma { shape: 1.0, rate: 0.8 }));
        let density = density([exponential; 2], exponential);
        let mut staged = InStages::new(&density).unwrap();
        let theta = vec![0.7, 1.1, 0.5];
        let mut one = vec![0.0; staged.n_features()];
        assert!(staged.features(&theta, &mut one));
        for wall in staged.walls() {
            let mut other = theta.clone();
            staged.mirror(wall, &mut other);
            assert!(other[wall] < 0.0 && other[2] == -0.5);
            let mut features = one.clone();
            assert!(staged.features(&other, &mut features));
            for (a, b) in one.iter().zip(&features) {
                assert!((a - b).abs() < 1e-12);
            }
        }
    }
}
