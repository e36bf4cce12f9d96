//! A draw of all coefficients given θ, and how likely it was beside the posterior.

use super::Posterior;
use super::levelled::{JUDGED, levelled};
use crate::laplace::point::{inward, outward};
use crate::laplace::rows::Integrand;
use crate::laplace::{Climb, Scales};
use crate::linalg::solve_lower_transposed;
use crate::sampler::generator;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Population coefficients as they were drawn, and what levels' coefficients are drawn by: a number
/// that is a whole one, so that rows of output can have it.
pub struct Population {
    pub c: Vec<f64>,
    pub key: f64,
    /// The log density that c was drawn with, up to a constant.
    log_density: f64,
}

impl Population {
    /// Draw around a mean, with `L⁻ᵀ` as the factor of the covariance and L as the climb has it.
    pub fn draw(mean: &[f64], climb: &Climb, rng: &mut ChaCha8Rng) -> Self {
        let p = mean.len();
        let of_c = normal(p, rng);
        let mut c = of_c.clone();
        solve_lower_transposed(&climb.schur, p, &mut c);
        c.iter_mut().zip(mean).for_each(|(c, mean)| *c += mean);
        let key = (rng.next_u64() >> 11) as f64;
        Self { c, key, log_density: climb.log_det_of_factor() - 0.5 * squares(&of_c) }
    }

    /// As a row of output has it.
    pub fn again(c: Vec<f64>, key: f64) -> Self {
        Self { c, key, log_density: f64::NAN }
    }
}

/// Around which coefficients u levels are drawn, were c as given; and `log|V₀|`, V₀ being factorised.
pub struct Around {
    pub c: Vec<f64>,
    pub u: Vec<Vec<f64>>,
    pub log_det: f64,
}

/// θ with what was drawn of c.
pub struct Given<'a> {
    pub of: &'a Posterior,
    pub at: &'a Scales,
    around: &'a Around,
    population: &'a Population,
    /// c less what levels are drawn around.
    away: Vec<f64>,
}

/// Coefficients of the levels as they are drawn with some normal numbers: u and Λu.
#[derive(Default)]
pub struct Levels {
    pub u: Vec<Vec<f64>>,
    pub r: Vec<Vec<f64>>,
}

impl<'a> Given<'a> {
    pub fn new(
        of: &'a Posterior,
        at: &'a Scales,
        around: &'a Around,
        population: &'a Population,
    ) -> Self {
        let away = population.c.iter().zip(&around.c).map(|(c, mean)| c - mean).collect();
        Self { of, at, around, population, away }
    }

    /// The normal numbers behind the levels' coefficients, and what comes next in their stream.
    pub fn numbers(&self) -> (Vec<f64>, ChaCha8Rng) {
        let mut own = generator(self.population.key as u64, 0, 0);
        (normal(self.of.n_effects(), &mut own), own)
    }

    /// Levels' coefficients from normal numbers.
    pub fn levels(&self, climb: &mut Climb, z: &[f64]) -> Levels {
        let mut levels = Levels::default();
        let Some(elimination) = &mut climb.elimination else { return levels };
        let along: Vec<f64> = self.away.iter().map(|c| -c).chain([0.0]).collect();
        let moved = elimination.draw(&along, 1.0, z);
        let mut rest = &moved[..];
        for (lambda, u) in self.at.lambda.iter().zip(&self.around.u) {
            let (own, others) = rest.split_at(u.len());
            rest = others;
            let mut steps = inward(lambda, own);
            steps.iter_mut().zip(u).for_each(|(step, u)| *step += u);
            levels.r.push(outward(lambda, &steps));
            levels.u.push(steps);
        }
        levels
    }

    /// Judge the draw, θ having been drawn by this `log p(y|θ)`.
    pub fn judged(&self, climb: &mut Climb, drawn_by: f64) -> [f64; JUDGED] {
        let (of, at, c) = (self.of, self.at, &self.population.c);
        let (z, mut more) = self.numbers();
        let levels = self.levels(climb, &z);
        let log_density = self.population.log_density + 0.5 * self.around.log_det;
        let drawn = of.log_prior(at, c, None) - drawn_by - log_density;
        let penalty = 0.5 * levels.u.iter().map(|u| squares(u)).sum::<f64>();
        let mut eta = vec![0.0; of.base.len()];
        of.fill(c, &levels.r, &mut eta);
        let whole = of.observed().logp(&eta, &at.values) - penalty + 0.5 * squares(&z);
        let (value, off, wider) = levelled(self, climb, &z, (&levels, eta), &mut more);
        [whole + drawn, value + drawn, off, wider]
    }
}

pub fn normal(count: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    (0..count).map(|_| StandardNormal.sample(rng)).collect()
}

pub fn squares(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum()
}
