//! [`Sums`] where there are many columns: products of matrices.
//!
//! With K = CCᵀ for each level, the rows `C⁻¹[R B]` of all levels make two matrices, so that
//! `Σ BᵀK⁻¹B` is one product, and `RᵀK⁻¹B Ω BᵀK⁻¹R` needs them times U⁻¹, F_II = UᵀU. For p columns
//! and n rows (q a level) an evaluation takes 2 p²n + p³ operations, nearly all in blocks.

use super::Marginal;
use super::crossproducts::{CrossProducts, upper};
use super::population::Population;
use super::sums::{Sizes, Sums, halve_difference};
use crate::halves::{add_gram, solve};
use crate::lanes::{
    LANES, Lane, ONE, ZERO, add_product, add_scaled, log_of_product, reciprocal, subtract_product,
    times, triangular,
};
use ndarray::{Array2, ArrayView1, Axis};

/// Columns from which on this is faster than sums level by level (measured).
pub const WIDE: usize = 24;

#[derive(Clone, Debug)]
pub struct Wide {
    /// C⁻¹B transposed: a row for each column, in blocks of levels as in [`CrossProducts`].
    b: Array2<f64>,
    /// C⁻¹R, per block by rows.
    r: Vec<Lane>,
    c: Vec<Lane>,
    /// U⁻ᵀ times the integrated rows of `b`.
    solved: Array2<f64>,
    population: Population,
    gram: Array2<f64>,
    /// Sums over levels: RᵀK⁻¹R; RᵀK⁻¹BΩBᵀK⁻¹R.
    sum_rr: Vec<Lane>,
    outer: Vec<Lane>,
}

impl Sums for Wide {
    type Data = CrossProducts;

    fn new(data: &CrossProducts, n_integrated: usize) -> Self {
        let (q, w, n) = (data.q, data.width, data.n_blocks() * data.q * LANES);
        let triangle = q * (q + 1) / 2;
        Self {
            b: Array2::zeros((w, n)),
            r: vec![ZERO; data.n_blocks() * q * q],
            c: vec![ZERO; q * q],
            solved: Array2::zeros((n_integrated, n)),
            population: Population::new(w, n_integrated),
            gram: Array2::zeros((w, w)),
            sum_rr: vec![ZERO; triangle],
            outer: vec![ZERO; triangle],
        }
    }

    fn operations(model: &Marginal) -> f64 {
        let (q, w) = (model.data.q as f64, model.data.width as f64);
        // A, K and its elimination; BᵀK⁻¹B and what is kept for the second pass.
        model.data.n_levels as f64 * q * (4.0 * q * q + q * w + w * (w + 1.0) + 2.0 * q * w)
    }

    #[inline(always)]
    fn forward(
        &mut self,
        data: &CrossProducts,
        sizes: Sizes,
        lambda: &[f64],
        k: &mut [f64],
        _keep: bool,
    ) -> Option<f64> {
        let log_det = self.eliminate(data, lambda);
        self.gram.fill(0.0);
        add_gram(self.b.view(), self.gram.view_mut());
        let w = sizes.w;
        for i in 0..w {
            for j in 0..=i {
                k[i * w + j] = data.w[i * w + j] + self.gram[[i, j]];
            }
        }
        Some(log_det)
    }

    #[inline(always)]
    fn integrate(&mut self, f: &[f64], sizes: Sizes, c: &[f64]) -> Option<f64> {
        self.population.integrate(f, sizes.w, c)
    }

    #[inline(always)]
    fn u(&self) -> &[f64] {
        self.population.u()
    }

    /// `RᵀK⁻¹B Ω BᵀK⁻¹R` from Ω = uuᵀ + F_II⁻¹.
    #[inline(always)]
    fn backward(&mut self, Sizes { q, .. }: Sizes, precision: f64, by_covariance: &mut [f64]) {
        self.outer.fill(ZERO);
        let (integrated, _) = self.b.view().split_at(Axis(0), self.solved.nrows());
        self.solved.assign(&integrated);
        solve(self.population.factor(), self.solved.view_mut());
        let by_u = self.b.t().dot(&ArrayView1::from(self.population.u()));
        for row in self.solved.rows().into_iter().chain([by_u.view()]) {
            let Some(row) = row.to_slice() else { continue };
            let (row, _) = row.as_chunks::<LANES>();
            let blocks = row.chunks_exact(q.max(1)).zip(self.r.chunks_exact((q * q).max(1)));
            for (row, r) in blocks {
                for k in 0..q {
                    let y = against(row, r, k, q);
                    for l in 0..=k {
                        add_product(&mut self.outer[triangular(k, l)], &y, &against(row, r, l, q));
                    }
                }
            }
        }
        halve_difference(&self.outer, &self.sum_rr, (q, precision), by_covariance);
    }

    #[inline(always)]
    fn less_trace(&mut self, from: f64, prior_rows: &[f64], _sizes: Sizes) -> f64 {
        from - self.population.trace(prior_rows)
    }

    fn scatter(&self, z: &mut [f64]) {
        self.population.scatter(z);
    }
}

impl Wide {
    /// Σ log|K|; fills C⁻¹B and C⁻¹R of all levels, and the sum of RᵀK⁻¹R.
    #[inline(always)]
    fn eliminate(&mut self, data: &CrossProducts, lambda: &[f64]) -> f64 {
        let (q, w) = (data.q, data.width);
        self.sum_rr.fill(ZERO);
        let (mut product, mut log_det) = (ONE, 0.0);
        let blocks = data.r.chunks_exact((q * (q + 1) / 2).max(1));
        let blocks = blocks.zip(data.b.chunks_exact((q * w).max(1)));
        let blocks = blocks.zip(self.r.chunks_exact_mut((q * q).max(1)));
        for (block, ((r, b), left)) in blocks.enumerate() {
            let c = &mut self.c;
            covariance_factor(r, lambda, q, c);
            for i in 0..q {
                product = times(&product, &times(&c[i * q + i], &c[i * q + i]));
            }
            // One logarithm for many levels: fold the product in before it can overflow.
            if product.iter().any(|&p| p > 1e30) {
                log_det += log_of_product(&product);
                product = ONE;
            }
            for k in 0..q {
                for i in 0..q {
                    let s = if i <= k { r[upper(q, i, k)] } else { ZERO };
                    left[i * q + k] = forward_step(c, (i, q), s, |j| left[j * q + k]);
                }
            }
            for i in 0..q {
                for k in 0..q {
                    for l in 0..=k {
                        let (a, b) = (left[i * q + k], left[i * q + l]);
                        add_product(&mut self.sum_rr[triangular(k, l)], &a, &b);
                    }
                }
            }
            for (col, mut row) in self.b.rows_mut().into_iter().enumerate() {
                let Some(row) = row.as_slice_mut() else { continue };
                let (row, _) = row[block * q * LANES..].as_chunks_mut::<LANES>();
                for i in 0..q {
                    row[i] = forward_step(c, (i, q), b[i * w + col], |j| row[j]);
                }
            }
        }
        log_det + log_of_product(&product)
    }
}

/// Column `k` of C⁻¹R against one of C⁻¹B.
#[inline(always)]
fn against(row: &[Lane], r: &[Lane], k: usize, q: usize) -> Lane {
    let mut y = ZERO;
    for i in 0..q {
        add_product(&mut y, &r[i * q + k], &row[i]);
    }
    y
}

/// Entry `i` of the solution of `C x = b`, whose right-hand side there is `s`.
#[inline(always)]
fn forward_step(
    c: &[Lane],
    (i, q): (usize, usize),
    mut s: Lane,
    x: impl Fn(usize) -> Lane,
) -> Lane {
    for j in 0..i {
        subtract_product(&mut s, &c[i * q + j], &x(j));
    }
    times(&s, &reciprocal(&c[i * q + i]))
}

/// C with CCᵀ = K = I + (RΛ')(RΛ')ᵀ, for the levels of one block.
#[inline(always)]
fn covariance_factor(r: &[Lane], lambda: &[f64], q: usize, c: &mut [Lane]) {
    let a = |i: usize, j: usize| {
        let mut s = ZERO;
        for k in i.max(j)..q {
            add_scaled(&mut s, &r[upper(q, i, k)], lambda[k * q + j]);
        }
        s
    };
    for i in 0..q {
        for j in 0..=i {
            let mut s = if i == j { ONE } else { ZERO };
            for k in 0..q {
                add_product(&mut s, &a(i, k), &a(j, k));
            }
            for k in 0..j {
                let (left, above) = (c[i * q + k], c[j * q + k]);
                subtract_product(&mut s, &left, &above);
            }
            c[i * q + j] =
                if i == j { s.map(f64::sqrt) } else { times(&s, &reciprocal(&c[j * q + j])) };
        }
    }
}
