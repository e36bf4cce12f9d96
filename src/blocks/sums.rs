//! [`Sums`] of several factors: the density of `marginal/` over the elimination here.

use super::eliminate::Elimination;
use super::products::Products;
use super::rest::Cost;
use crate::marginal::{Marginal, Population, Sizes, Sums};
use std::sync::Arc;

/// How much faster operations of dense blocks are than those level by level.
const FASTER: f64 = 3.0;

#[derive(Clone, Debug)]
pub struct Blocks {
    elimination: Elimination,
    population: Population,
}

impl Sums for Blocks {
    type Data = Arc<Products>;

    fn new(data: &Self::Data, n_integrated: usize) -> Self {
        Self {
            elimination: Elimination::new(data.clone()),
            population: Population::new(data.width, n_integrated),
        }
    }

    fn operations(model: &Marginal<Self::Data>) -> f64 {
        Cost::of(&model.data).operations / FASTER
    }

    fn forward(
        &mut self,
        _data: &Self::Data,
        _sizes: Sizes,
        lambda: &[f64],
        k: &mut [f64],
        _keep: bool,
    ) -> Option<f64> {
        self.elimination.evaluate(lambda, k)
    }

    fn integrate(&mut self, f: &[f64], sizes: Sizes, c: &[f64]) -> Option<f64> {
        self.population.integrate(f, sizes.w, c)
    }

    fn u(&self) -> &[f64] {
        self.population.u()
    }

    fn backward(&mut self, sizes: Sizes, precision: f64, by_covariance: &mut [f64]) {
        let mut omega = self.population.omega();
        omega.iter_mut().for_each(|entry| *entry *= precision);
        let slopes = self.elimination.slopes(&omega);
        by_covariance.fill(0.0);
        for (factor, slopes) in self.elimination.data.factors.iter().zip(&slopes) {
            let (q, first) = (factor.q, factor.first);
            for i in 0..q {
                for j in 0..q {
                    by_covariance[(first + i) * sizes.q + first + j] = -0.5 * slopes[i * q + j];
                }
            }
        }
    }

    fn less_trace(&mut self, from: f64, prior_rows: &[f64], _sizes: Sizes) -> f64 {
        from - self.population.trace(prior_rows)
    }

    fn scatter(&self, z: &mut [f64]) {
        self.population.scatter(z);
    }
}
