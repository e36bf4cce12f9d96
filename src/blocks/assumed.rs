//! An elimination to draw from whose numbers were not computed but foretold: some follow the scales
//! closely, some hardly do.

use super::eliminate::Elimination;
use std::sync::Arc;

/// Numbers of an elimination, in parts.
pub type Parts<'a> = Vec<&'a [f64]>;
pub type PartsMut<'a> = Vec<&'a mut [f64]>;

impl Elimination {
    /// What draws use that changes with the scales: the factor of the others, and their means. After
    /// `solve`.
    pub fn swift(&self) -> Parts<'_> {
        self.rest.factor().into_iter().chain([&self.x[..]]).collect()
    }

    pub fn swift_mut(&mut self) -> PartsMut<'_> {
        self.rest.factor_mut().into_iter().chain([&mut self.x[..]]).collect()
    }

    /// Which of these numbers, counted through all parts, are positive.
    pub fn positive(&self) -> Vec<usize> {
        self.rest.diagonal()
    }

    /// And what changes with weights of the rows alone.
    pub fn steady(&self) -> Parts<'_> {
        let lead = self.data.lead();
        vec![&lead.own, &lead.with_b, &self.data.link_values]
    }

    pub fn steady_mut(&mut self) -> PartsMut<'_> {
        let data = Arc::make_mut(&mut self.data);
        let lead = &mut data.factors[data.lead];
        vec![&mut lead.own, &mut lead.with_b, &mut data.link_values]
    }

    /// Take these numbers for those at `lambda`: draws may follow. Returns log|V₀|, or `None` where
    /// they are no factor.
    pub fn assume(&mut self, lambda: &[f64]) -> Option<f64> {
        self.set_scales(lambda);
        self.solved = true;
        let data = self.data.clone();
        Some(self.factor_levels(&data)? + self.rest.log_det()?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::products::{Products, Rows, Shape};
    use super::*;

    #[test]
    fn numbers_that_were_computed_have_the_determinant_that_they_had() {
        // So many levels that no product of theirs is a number.
        let n = 3000;
        let rows = |n_levels: usize, step: usize| Rows {
            shape: Shape { q: 1, n_levels, unscale: vec![1.0] },
            z: (0..n).map(|k| 30.0 + (1.3 * k as f64).sin()).collect(),
            codes: (0..n).map(|i| (i * step % n_levels) as u32).collect(),
        };
        let data = Arc::new(Products::new(&[rows(1000, 1), rows(7, 3)], &vec![1.0; n], 1));
        let lambda = data.join(&[vec![0.7], vec![0.4]]);
        let mut elimination = Elimination::new(data);
        let computed = elimination.evaluate(&lambda, &mut [0.0]).unwrap();
        let assumed = elimination.assume(&lambda).unwrap();
        assert!(computed > 5000.0 && (assumed - computed).abs() < 1e-9 * computed);
    }
}
