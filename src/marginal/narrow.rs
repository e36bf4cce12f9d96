//! [`Sums`] level by level, levels side by side in lanes: fastest where there are few columns.

use super::Marginal;
use super::crossproducts::{CrossProducts, upper};
use super::sums::{Sizes, Sums, halve_difference, quadratic_form, set_known};
use crate::lanes::{
    Lane, ONE, ZERO, add_product, add_scaled, log_of_product, reciprocal, subtract_product, sum,
    times, triangular,
};
use crate::linalg::{cholesky, solve_lower_transposed};

/// Lanes of scratch and of sums that sizes known at compile time need at most.
const FEW: usize = 24;

#[derive(Clone, Debug)]
pub struct Narrow {
    /// Per block: RᵀK⁻¹B, by rows; of one block alone where no second pass was to follow.
    kept: Vec<Lane>,
    scratch: Vec<Lane>,
    /// Sums over levels: BᵀK⁻¹B and RᵀK⁻¹R; RᵀK⁻¹BΩBᵀK⁻¹R.
    sums: Vec<Lane>,
    outer: Vec<Lane>,
    /// The factor of F_II.
    factor: Vec<f64>,
    /// Q with QQᵀ = Ω, by columns, the first of which is u.
    q_factor: Vec<f64>,
}

impl Sums for Narrow {
    type Data = CrossProducts;

    fn new(data: &CrossProducts, n_i: usize) -> Self {
        let (q, w) = (data.q, data.width);
        let triangle = q * (q + 1) / 2;
        Self {
            kept: vec![ZERO; q * w],
            scratch: vec![ZERO; scratch_len(q, w)],
            sums: vec![ZERO; w * (w + 1) / 2 + triangle],
            outer: vec![ZERO; triangle],
            factor: vec![0.0; n_i * n_i],
            q_factor: vec![0.0; w * (n_i + 1)],
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
        Sizes { q, w, known, .. }: Sizes,
        lambda: &[f64],
        k: &mut [f64],
        keep: bool,
    ) -> Option<f64> {
        if keep && self.kept.len() < data.n_blocks() * q * w {
            self.kept.resize(data.n_blocks() * q * w, ZERO);
        }
        // What nobody reads is written over: memory is what takes long where levels are many.
        let kept = (&mut *self.kept, if keep { q * w } else { 0 });
        let size = w * (w + 1) / 2 + q * (q + 1) / 2;
        let mut log_det = 0.0;
        let mut near_sums = [ZERO; FEW];
        let sums = if known {
            let mut scratch = [ZERO; FEW];
            let scratch = &mut scratch[..scratch_len(q, w)];
            log_det = eliminate(data, (q, w), lambda, scratch, &mut near_sums[..size], kept);
            self.sums.copy_from_slice(&near_sums[..size]);
            &near_sums[..size]
        } else {
            self.sums.fill(ZERO);
            if q > 0 {
                log_det = eliminate(data, (q, w), lambda, &mut self.scratch, &mut self.sums, kept);
            }
            &self.sums[..size]
        };
        let rows = &data.w[..w * w];
        for i in 0..w {
            for j in 0..=i {
                k[i * w + j] = rows[i * w + j] + sum(&sums[triangular(i, j)]);
            }
        }
        Some(log_det)
    }

    #[inline(always)]
    fn integrate(&mut self, f: &[f64], Sizes { w, n_i, .. }: Sizes, c: &[f64]) -> Option<f64> {
        let h = &mut self.factor[..n_i * n_i];
        for i in 0..n_i {
            for j in 0..n_i {
                h[i * n_i + j] = f[i * w + j];
            }
        }
        let log_det = cholesky(h, n_i)?;
        // Columns of Q: u, then those of L⁻ᵀ (so that their outer products sum to F_II⁻¹).
        let (u, inverse) = self.q_factor[..w * (n_i + 1)].split_at_mut(w);
        for k in 0..n_i {
            let pivot = 1.0 / h[k * n_i + k];
            for j in 0..k {
                let s: f64 = (j..k).map(|c| h[k * n_i + c] * inverse[c * w + j]).sum();
                inverse[k * w + j] = -s * pivot;
            }
            inverse[k * w + k] = pivot;
        }
        set_known(u, n_i, c);
        // −ĉ_I = −L⁻ᵀ(L⁻¹(F_I· u)), each product in place.
        for i in 0..n_i {
            u[i] = (n_i..w).map(|j| f[i * w + j] * u[j]).sum();
        }
        for k in (0..n_i).rev() {
            u[k] = (0..=k).map(|i| inverse[k * w + i] * u[i]).sum();
        }
        for i in 0..n_i {
            u[i] = -(i..n_i).map(|k| inverse[k * w + i] * u[k]).sum::<f64>();
        }
        Some(log_det)
    }

    #[inline(always)]
    fn u(&self) -> &[f64] {
        &self.q_factor
    }

    #[inline(always)]
    fn backward(&mut self, sizes: Sizes, precision: f64, by_covariance: &mut [f64]) {
        let Sizes { q, w, n_i, known, .. } = sizes;
        let q_factor = &self.q_factor[..w * (n_i + 1)];
        let mut near = [ZERO; FEW];
        let outer = if known {
            let mut y = [ZERO; FEW];
            let outer = &mut near[..q * (q + 1) / 2];
            add_outer_products(&self.kept, (q, w), q_factor, &mut y[..q], outer);
            outer
        } else {
            self.outer.fill(ZERO);
            if q > 0 {
                let y = &mut self.scratch;
                add_outer_products(&self.kept, (q, w), q_factor, y, &mut self.outer);
            }
            &mut self.outer
        };
        halve_difference(outer, &self.sums[w * (w + 1) / 2..], (q, precision), by_covariance);
    }

    #[inline(always)]
    fn less_trace(&mut self, mut from: f64, prior_rows: &[f64], sizes: Sizes) -> f64 {
        let Sizes { w, n_i, .. } = sizes;
        for (k, column) in self.q_factor[w..w * (n_i + 1)].chunks_exact(w).enumerate() {
            from -= quadratic_form(prior_rows, w, &column[..=k]);
        }
        from
    }

    fn scatter(&self, z: &mut [f64]) {
        solve_lower_transposed(&self.factor, z.len(), z);
    }
}

/// Lanes of scratch for [`eliminate`].
fn scratch_len(q: usize, w: usize) -> usize {
    q * q + q * (2 * q + w)
}

/// First pass over the levels: returns Σ log|K|; adds BᵀK⁻¹B, then RᵀK⁻¹R, to `sums` (lower
/// triangles) and writes RᵀK⁻¹B of each block to `kept`, so many lanes after that before. All three
/// are parts of CᵀK⁻¹C with C = [R B], which falls out of Gaussian elimination of K in [K C].
#[inline(always)]
fn eliminate(
    data: &CrossProducts,
    (q, w): (usize, usize),
    lambda: &[f64],
    scratch: &mut [Lane],
    sums: &mut [Lane],
    (kept, apart): (&mut [Lane], usize),
) -> f64 {
    let triangle = q * (q + 1) / 2;
    let n = 2 * q + w;
    let (a, rows) = scratch.split_at_mut(q * q);
    let rows = &mut rows[..q * n];
    let (sum_bb, sum_rr) = sums.split_at_mut(w * (w + 1) / 2);
    let mut product = ONE;
    let mut log_det = 0.0;
    let blocks = data.r.chunks_exact(triangle).zip(data.b.chunks_exact(q * w));
    for (block, (r, b)) in blocks.enumerate() {
        let kept = &mut kept[block * apart..][..q * w];
        // A = RΛ', and rows [K R B] where K = I + AAᵀ is filled from its diagonal on.
        for i in 0..q {
            for j in 0..q {
                let mut s = ZERO;
                for c in i.max(j)..q {
                    add_scaled(&mut s, &r[upper(q, i, c)], lambda[c * q + j]);
                }
                a[i * q + j] = s;
            }
        }
        for i in 0..q {
            let row = &mut rows[i * n..(i + 1) * n];
            for j in i..q {
                let mut s = if i == j { ONE } else { ZERO };
                for c in 0..q {
                    add_product(&mut s, &a[i * q + c], &a[j * q + c]);
                }
                row[j] = s;
            }
            for c in 0..q {
                row[q + c] = if c < i { ZERO } else { r[upper(q, i, c)] };
            }
            row[2 * q..].copy_from_slice(&b[i * w..(i + 1) * w]);
        }
        kept.fill(ZERO);
        // The first two are written out: their rows then stay in registers.
        if q > 0 {
            product = times(&product, &sweep(rows, 0, (q, w), sum_bb, sum_rr, kept));
        }
        if q > 1 {
            product = times(&product, &sweep(rows, 1, (q, w), sum_bb, sum_rr, kept));
        }
        for pivot in 2..q {
            product = times(&product, &sweep(rows, pivot, (q, w), sum_bb, sum_rr, kept));
        }
        // One logarithm for many levels: fold the product in before it can overflow.
        if product.iter().any(|&p| p > 1e30) {
            log_det += log_of_product(&product);
            product = ONE;
        }
    }
    log_det + log_of_product(&product)
}

/// One step of the elimination: adds the pivot's row's share of CᵀK⁻¹C and subtracts it from the
/// rows below; returns the pivot, which is at least 1.
#[inline(always)]
fn sweep(
    rows: &mut [Lane],
    pivot: usize,
    (q, w): (usize, usize),
    sum_bb: &mut [Lane],
    sum_rr: &mut [Lane],
    kept: &mut [Lane],
) -> Lane {
    let n = 2 * q + w;
    let (above, below) = rows.split_at_mut((pivot + 1) * n);
    let row = &above[pivot * n..];
    let inverse = reciprocal(&row[pivot]);
    for i in pivot + 1..q {
        let factor = times(&row[i], &inverse);
        for c in i..n {
            subtract_product(&mut below[(i - pivot - 1) * n + c], &factor, &row[c]);
        }
    }
    let (r, b) = row[q..].split_at(q);
    for i in 0..q {
        let scaled = times(&r[i], &inverse);
        for j in 0..=i {
            add_product(&mut sum_rr[triangular(i, j)], &scaled, &r[j]);
        }
        for col in 0..w {
            add_product(&mut kept[i * w + col], &scaled, &b[col]);
        }
    }
    for col in 0..w {
        let scaled = times(&b[col], &inverse);
        for other in 0..=col {
            add_product(&mut sum_bb[triangular(col, other)], &scaled, &b[other]);
        }
    }
    row[pivot]
}

/// Second pass: adds MΩMᵀ, M = RᵀK⁻¹B and Ω = QQᵀ, to `sums` (lower triangle), summed over levels.
#[inline(always)]
fn add_outer_products(
    kept: &[Lane],
    (q, w): (usize, usize),
    q_factor: &[f64],
    y: &mut [Lane],
    sums: &mut [Lane],
) {
    for m in kept.chunks_exact(q * w) {
        for (k, column) in q_factor.chunks_exact(w).enumerate() {
            // L⁻ᵀ is upper triangular: column k of Q ends at entry k − 1.
            let end = if k == 0 { w } else { k };
            for i in 0..q {
                let mut s = ZERO;
                for col in 0..end {
                    add_scaled(&mut s, &m[i * w + col], column[col]);
                }
                y[i] = s;
                for j in 0..=i {
                    add_product(&mut sums[triangular(i, j)], &s, &y[j]);
                }
            }
        }
    }
}
