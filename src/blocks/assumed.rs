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
