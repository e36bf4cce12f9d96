//! What coefficients are integrated out of: the rows of one linear predictor, and priors.

use super::Scales;
use crate::blocks::{Products, Rows, Shape, Weighing};
use crate::family::Likelihood;
use crate::predictor::{CHUNK, Columns};
use std::ops::Range;
use std::sync::Arc;

/// Distance of the predictors from whose slopes third derivatives are found.
const FAR: f64 = 1e-3;

/// What the rows say at some predictors: log likelihood, its slopes, and its curvatures, negative.
#[derive(Clone, Debug, Default)]
pub struct Said {
    pub logp: f64,
    pub slopes: Vec<f64>,
    pub curvatures: Vec<f64>,
}

/// `log p(y | c, r)` with the log prior of those coefficients c that are integrated out too.
pub trait Integrand {
    fn likelihood(&self) -> &Likelihood;

    /// The rows' columns; of X only those of c count.
    fn columns(&self) -> &Columns;

    /// What the rows' predictors are where c and all levels' coefficients are 0.
    fn base(&self) -> &[f64];

    fn weighing(&self) -> &Weighing;

    /// With room for [`Self::weighing`]; none where there are no levels.
    fn products(&self) -> Option<&Arc<Products>>;

    /// What the log likelihood of the rows lacks.
    fn constant(&self) -> f64;

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

    /// What of the log likelihood no predictor has a part in.
    fn apart(&self, values: &[f64]) -> f64 {
        self.constant() + self.likelihood().shared(values, &mut vec![0.0; values.len()])
    }

    /// Log likelihood at some predictors.
    fn logp(&self, eta: &[f64], values: &[f64]) -> f64 {
        let mut unused = vec![0.0; values.len()];
        let mut part = [0.0; CHUNK];
        let chunks = eta.chunks(CHUNK).zip((0..).step_by(CHUNK));
        let of_rows = chunks.map(|(eta, first)| {
            chunk(self.likelihood(), eta, (first, 0.0), values, &mut part, &mut unused)
        });
        self.apart(values) + of_rows.sum::<f64>()
    }

    /// What is left of it, row by row, at some predictors, which it writes over.
    fn each_row(&self, rows: Range<usize>, eta: &mut [f64], values: &[f64], each: &mut [f64]) {
        let mut unused = vec![0.0; values.len()];
        self.likelihood().rows_in_vectors(rows, values, eta, &mut [], &mut unused, each);
    }

    /// Log likelihood and slopes of the rows at some predictors; `None` where they are not finite.
    fn slopes(&self, eta: &[f64], values: &[f64], said: &mut Said) -> Option<()> {
        said.slopes.resize(eta.len(), 0.0);
        let mut unused = vec![0.0; values.len()];
        said.logp = self.apart(values);
        let chunks = eta.chunks(CHUNK).zip(said.slopes.chunks_mut(CHUNK));
        for ((eta, slopes), first) in chunks.zip((0..).step_by(CHUNK)) {
            let at = (first, 0.0);
            said.logp += chunk(self.likelihood(), eta, at, values, slopes, &mut unused);
        }
        // Without an early end, which would keep it from being vector code.
        let finite = said.slopes.iter().fold(true, |all, slope| all & slope.is_finite());
        (said.logp.is_finite() && finite).then_some(())
    }

    /// And their curvatures.
    fn curvatures(&self, eta: &[f64], values: &[f64], said: &mut Said) {
        said.curvatures.resize(eta.len(), 0.0);
        self.likelihood().curvatures(values, eta, &mut said.curvatures);
    }

    /// Third derivatives of the rows' log likelihood, whose slopes are `here`.
    fn thirds(&self, eta: &[f64], here: &[f64], values: &[f64]) -> Vec<f64> {
        let mut unused = vec![0.0; values.len()];
        let (mut above, mut below) = ([0.0; CHUNK], [0.0; CHUNK]);
        let mut thirds = Vec::with_capacity(eta.len());
        for (eta, first) in eta.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
            for (shift, to) in [(FAR, &mut above), (-FAR, &mut below)] {
                chunk(self.likelihood(), eta, (first, shift), values, to, &mut unused);
            }
            let ends = above.iter().zip(&below).zip(&here[first..first + eta.len()]);
            thirds.extend(ends.map(|((a, b), here)| (a + b - 2.0 * here) / (FAR * FAR)));
        }
        thirds
    }

    /// Slopes of the log likelihood by dispersion parameters, or thresholds.
    fn by_values(&self, eta: &[f64], values: &[f64]) -> Vec<f64> {
        let (mut by_values, mut part) = (vec![0.0; values.len()], [0.0; CHUNK]);
        if values.is_empty() {
            return by_values;
        }
        self.likelihood().shared(values, &mut by_values);
        for (eta, first) in eta.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
            chunk(self.likelihood(), eta, (first, 0.0), values, &mut part, &mut by_values);
        }
        by_values
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

/// Log likelihood of a chunk, its first row and a shift of its predictors given, with its slopes.
fn chunk(
    likelihood: &Likelihood,
    eta: &[f64],
    (first, shift): (usize, f64),
    values: &[f64],
    slopes: &mut [f64],
    by_values: &mut [f64],
) -> f64 {
    let slopes = &mut slopes[..eta.len()];
    slopes.iter_mut().zip(eta).for_each(|(slope, eta)| *slope = eta + shift);
    let range = first..first + eta.len();
    likelihood.rows_in_vectors(range, values, slopes, &mut [], by_values, &mut [])
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
