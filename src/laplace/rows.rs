//! What coefficients are integrated out of: rows, and priors.

use super::Scales;
use super::observed::Observed;
use crate::blocks::{Products, Rows, Shape, Weighing};
use crate::predictor::{CHUNK, Columns};
use std::sync::Arc;

/// `log p(y | c, r)` with the log prior of those coefficients c that are integrated out too.
pub trait Integrand {
    fn observed(&self) -> Observed<'_>;

    /// The rows' columns, as [`Observed`] has rows; of X only those of c count.
    fn columns(&self) -> &Columns;

    /// What the rows' predictors are where c and all levels' coefficients are 0.
    fn base(&self) -> &[f64];

    fn weighing(&self) -> &Weighing;

    /// With room for [`Self::weighing`]; none where there are no levels.
    fn products(&self) -> Option<&Arc<Products>>;

    /// How many c are integrated out.
    fn n_coefficients(&self) -> usize;

    /// Log prior of c, with its slopes, where these are wanted.
    fn log_prior(&self, at: &Scales, c: &[f64], slopes: Option<&mut [f64]>) -> f64;

    /// Its second derivatives by c, negative: p × p.
    fn prior_curvatures(&self, at: &Scales, c: &[f64], curvatures: &mut [f64]);

    fn n_effects(&self) -> usize {
        self.columns().groupings.iter().map(|g| g.n_levels * g.q).sum()
    }

    /// Predictors of all rows.
    fn fill(&self, c: &[f64], r: &[Vec<f64>], eta: &mut [f64]) {
        let base = self.base();
        pulp::Arch::new().dispatch(Predictors { columns: self.columns(), base, c, r, eta });
    }

    /// `Zᵀx` of each factor, level by level.
    fn gathered(&self, x: &[f64]) -> Vec<Vec<f64>> {
        let of = |grouping: &crate::predictor::Grouping| {
            let mut sums = vec![0.0; grouping.n_levels * grouping.q];
            grouping.gather(0..x.len(), x, &mut sums);
            sums
        };
        self.columns().groupings.iter().map(of).collect()
    }

    /// `ΛᵀZᵀx` of each factor.
    fn pulled(&self, x: &[f64], lambda: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let mut pulled = self.gathered(x);
        for (sums, lambda) in pulled.iter_mut().zip(lambda) {
            let q = lambda.len().isqrt();
            for t in sums.chunks_exact_mut(q.max(1)) {
                for a in 0..q {
                    // Λ is lower triangular: what is below is still there.
                    t[a] = (a..q).map(|b| lambda[b * q + a] * t[b]).sum();
                }
            }
        }
        pulled
    }
}

/// Predictors of all rows, in code for the machine's vectors.
struct Predictors<'a> {
    columns: &'a Columns,
    base: &'a [f64],
    c: &'a [f64],
    r: &'a [Vec<f64>],
    eta: &'a mut [f64],
}

impl pulp::WithSimd for Predictors<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        let Self { columns, base, c, r, eta } = self;
        for (first, eta) in (0..).step_by(CHUNK).zip(eta.chunks_mut(CHUNK)) {
            columns.fill_from(base, first..first + eta.len(), c, r, eta);
        }
    }
}

/// The rows of all levels, and of the first `p` columns of X, to be weighted.
pub fn weighing(columns: &Columns, p: usize) -> (Weighing, Option<Products>) {
    let n = columns.n;
    let of_levels = |grouping: &crate::predictor::Grouping| {
        let q = grouping.q;
        let z = (0..n).flat_map(|i| (0..q).map(move |k| grouping.z[k * n + i])).collect();
        let unscale = (0..q * q).map(|k| f64::from(u8::from(k % (q + 1) == 0))).collect();
        let shape = Shape { q, n_levels: grouping.n_levels, unscale };
        Rows { shape, z, codes: grouping.codes.clone() }
    };
    let rows = columns.groupings.iter().map(of_levels).collect();
    let x = (0..n).flat_map(|i| (0..p).map(move |k| columns.x[k * n + i])).collect();
    Weighing::new(rows, x, n)
}
