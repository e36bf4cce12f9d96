//! The others as dense matrices.

use super::room;
use crate::blocks::products::{Products, side_by_side};
use faer::dyn_stack::MemStack;
use faer::linalg::cholesky::llt;
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{MatMut, MatRef, Par};
use std::mem::MaybeUninit;

/// A symmetric matrix by columns; its lower triangle counts.
#[derive(Clone, Debug)]
pub struct Dense {
    n: usize,
    schur: Vec<f64>,
    factor: Vec<f64>,
    /// S⁻¹ and T; empty until they are asked for.
    inverse: Vec<f64>,
    covariance: Vec<f64>,
    scratch: Vec<MaybeUninit<u8>>,
}

impl Dense {
    pub fn new(data: &Products) -> Self {
        let n = data.n_rest;
        let needed = llt::factor::cholesky_in_place_scratch::<f64>(n, Par::Seq, Default::default());
        Self {
            n,
            schur: vec![0.0; n * n],
            factor: vec![0.0; n * n],
            inverse: Vec::new(),
            covariance: Vec::new(),
            scratch: room(needed.or(llt::inverse::inverse_scratch::<f64>(n, Par::Seq))),
        }
    }

    /// Set S̃ to the cross-products of the rows.
    pub fn begin(&mut self, data: &Products) {
        let n = self.n;
        self.schur.fill(0.0);
        for &k in &data.others {
            let (factor, q) = (&data.factors[k], data.factors[k].q);
            for (level, own) in factor.own.chunks_exact(q * q).enumerate() {
                let first = factor.offset + level * q;
                for c in 0..q {
                    for r in c..q {
                        self.schur[(first + c) * n + first + r] = own[r * q + c];
                    }
                }
            }
        }
        for (&(row, column), values) in data.pairs.iter().zip(&data.pair_values) {
            let (row, column) = (row as usize, column as usize);
            let q = data.q_at(column);
            for (r, values) in values.chunks_exact(q).enumerate() {
                for (c, value) in values.iter().enumerate() {
                    self.schur[(column + c) * n + row + r] = *value;
                }
            }
        }
    }

    /// Subtract `y yᵀ` in some columns: `y` has `q` numbers for each of them.
    #[inline(always)]
    pub fn subtract(&mut self, columns: &[u32], y: &[f64], q: usize) {
        let n = self.n;
        if q == 1 && side_by_side(columns).is_some() {
            for (k, &column) in columns.iter().enumerate() {
                let (column, own) = (column as usize, y[k]);
                let below = &mut self.schur[column * n + column..][..columns.len() - k];
                below.iter_mut().zip(&y[k..]).for_each(|(below, y)| *below -= own * y);
            }
            return;
        }
        for (k, &column) in columns.iter().enumerate() {
            let own = &y[k * q..(k + 1) * q];
            let below = &mut self.schur[column as usize * n..][..n];
            for (&row, other) in columns[k..].iter().zip(y[k * q..].chunks_exact(q)) {
                let product: f64 = own.iter().zip(other).map(|(a, b)| a * b).sum();
                below[row as usize] -= product;
            }
        }
    }

    /// Factorise S; `scales` are the factors of the covariances, q × q. Returns log|S|.
    pub fn factorise(&mut self, data: &Products, scales: &[Vec<f64>]) -> Option<f64> {
        let n = self.n;
        if n == 0 {
            return Some(0.0);
        }
        transform(data, scales, (&self.schur, &mut self.factor), n, false);
        for i in 0..n {
            self.factor[i * n + i] += 1.0;
        }
        let matrix = MatMut::from_column_major_slice_mut(&mut self.factor, n, n);
        let stack = MemStack::new(&mut self.scratch);
        let none = Default::default();
        llt::factor::cholesky_in_place(matrix, none, Par::Seq, stack, Default::default()).ok()?;
        self.log_det()
    }

    pub fn log_det(&self) -> Option<f64> {
        let diagonal = self.factor.iter().step_by(self.n + 1);
        let log_det = diagonal.map(|entry| entry.ln()).sum::<f64>();
        log_det.is_finite().then_some(2.0 * log_det)
    }

    /// The factor by columns, from the diagonal on.
    pub fn columns(&self) -> Vec<&[f64]> {
        let columns = self.factor.chunks_exact(self.n.max(1)).enumerate();
        columns.map(|(c, column)| &column[c..]).collect()
    }

    /// Where each of these columns begins, if they lie one after the other.
    pub fn diagonal(&self) -> Vec<usize> {
        let starts = (0..self.n).scan(0, |next, c| {
            let here = *next;
            *next += self.n - c;
            Some(here)
        });
        starts.collect()
    }

    pub fn columns_mut(&mut self) -> Vec<&mut [f64]> {
        let columns = self.factor.chunks_exact_mut(self.n.max(1)).enumerate();
        columns.map(|(c, column)| &mut column[c..]).collect()
    }

    fn factor(&self) -> MatRef<'_, f64> {
        MatRef::from_column_major_slice(&self.factor, self.n, self.n)
    }

    /// `L⁻¹x` in place for some columns.
    pub fn solve(&self, x: &mut [f64]) {
        if let Some(columns) = x.len().checked_div(self.n) {
            let x = MatMut::from_column_major_slice_mut(x, self.n, columns);
            solve_lower_triangular_in_place(self.factor(), x, Par::Seq);
        }
    }

    /// `L⁻ᵀx` in place for some columns.
    pub fn solve_transposed(&self, x: &mut [f64]) {
        if let Some(columns) = x.len().checked_div(self.n) {
            let x = MatMut::from_column_major_slice_mut(x, self.n, columns);
            solve_upper_triangular_in_place(self.factor().transpose(), x, Par::Seq);
        }
    }

    /// Fill T.
    pub fn invert(&mut self, data: &Products, scales: &[Vec<f64>]) {
        let n = self.n;
        if n == 0 {
            return;
        }
        self.inverse.resize(n * n, 0.0);
        self.covariance.resize(n * n, 0.0);
        let out = MatMut::from_column_major_slice_mut(&mut self.inverse, n, n);
        let factor = MatRef::from_column_major_slice(&self.factor, n, n);
        llt::inverse::inverse(out, factor, Par::Seq, MemStack::new(&mut self.scratch));
        transform(data, scales, (&self.inverse, &mut self.covariance), n, true);
    }

    fn entry(matrix: &[f64], n: usize, r: usize, c: usize) -> f64 {
        matrix[r.min(c) * n + r.max(c)]
    }

    pub fn schur(&self, r: usize, c: usize) -> f64 {
        Self::entry(&self.schur, self.n, r, c)
    }

    /// An entry of T, once `invert` was called.
    #[inline(always)]
    pub fn covariance(&self, r: usize, c: usize) -> f64 {
        Self::entry(&self.covariance, self.n, r, c)
    }

    /// A column of T from its diagonal down to a row.
    pub fn covariances(&self, column: usize, end: usize) -> &[f64] {
        &self.covariance[column * self.n..][column..end]
    }

    pub fn product(&self, a: usize, b: usize) -> f64 {
        (0..self.n).map(|l| self.schur(a, l) * self.covariance(l, b)).sum()
    }

    /// `S̃x` for some columns.
    pub fn times_schur(&self, x: &[f64], out: &mut [f64]) {
        let n = self.n;
        for (x, out) in x.chunks_exact(n.max(1)).zip(out.chunks_exact_mut(n.max(1))) {
            out.fill(0.0);
            for c in 0..n {
                let below = &self.schur[c * n + c..(c + 1) * n];
                let xc = x[c];
                let mut sum = below[0] * xc;
                let others = out[c + 1..].iter_mut().zip(&x[c + 1..]);
                for (entry, (out, x)) in below[1..].iter().zip(others) {
                    *out += entry * xc;
                    sum += entry * x;
                }
                out[c] += sum;
            }
        }
    }
}

/// `ΛᵀAΛ`, or `ΛAΛᵀ`, block by block: from and to lower triangles.
fn transform(
    data: &Products,
    scales: &[Vec<f64>],
    (from, to): (&[f64], &mut [f64]),
    n: usize,
    outward: bool,
) {
    let largest = data.others.iter().map(|&k| data.factors[k].q).max().unwrap_or(0);
    let mut half = vec![0.0; largest * largest];
    for (position, &k) in data.others.iter().enumerate() {
        let (left, p) = (&scales[k], data.factors[k].q);
        for level in 0..data.factors[k].n_levels {
            let c0 = data.factors[k].columns(level).start;
            for &h in &data.others[position..] {
                let (right, q) = (&scales[h], data.factors[h].q);
                let rows = if h == k { c0 } else { data.factors[h].offset };
                let end = data.factors[h].offset + q * data.factors[h].n_levels;
                if p == 1 && q == 1 {
                    let factor = left[0] * right[0];
                    let (from, to) = (&from[c0 * n..][rows..end], &mut to[c0 * n..][rows..end]);
                    for (to, from) in to.iter_mut().zip(from) {
                        *to = factor * from;
                    }
                    continue;
                }
                for r0 in (rows..end).step_by(q) {
                    // half = A Λ (columns), then Λᵀ half (rows); the other way round outward.
                    for r in 0..q {
                        for c in 0..p {
                            half[r * p + c] = (0..p)
                                .map(|i| {
                                    let a = Dense::entry(from, n, r0 + r, c0 + i);
                                    a * if outward { left[c * p + i] } else { left[i * p + c] }
                                })
                                .sum();
                        }
                    }
                    for r in 0..q {
                        for c in 0..p {
                            if r0 + r < c0 + c {
                                continue;
                            }
                            to[(c0 + c) * n + r0 + r] = (0..q)
                                .map(|i| {
                                    let s =
                                        if outward { right[r * q + i] } else { right[i * q + r] };
                                    s * half[i * p + c]
                                })
                                .sum();
                        }
                    }
                }
            }
        }
    }
}
