//! The others as sparse matrices: a library's order and factor, and the entries of the inverse where
//! the factor has some (Takahashi, Fagan & Chin 1973).

use super::pattern::{Block, Pattern};
use crate::blocks::products::Products;
use faer::dyn_stack::MemStack;
use faer::sparse::SparseColMatRef;
use faer::sparse::SymbolicSparseColMatRef;
use faer::sparse::linalg::cholesky::simplicial::{
    factorize_simplicial_numeric_llt, factorize_simplicial_numeric_llt_scratch,
};
use std::mem::MaybeUninit;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Sparse {
    pattern: Arc<Pattern>,
    /// By entries of the pattern: S̃; S, or S⁻¹; T.
    schur: Vec<f64>,
    scaled: Vec<f64>,
    covariance: Vec<f64>,
    /// S in the other order, its factor, and entries of S⁻¹ where the factor has some.
    upper: Vec<f64>,
    pub factor: Vec<f64>,
    inverse: Vec<f64>,
    scratch: Vec<MaybeUninit<u8>>,
}

impl Sparse {
    pub fn new(pattern: Arc<Pattern>) -> Self {
        let (entries, n) = (pattern.rows.len(), pattern.n);
        let needed = factorize_simplicial_numeric_llt_scratch::<usize, f64>(n);
        Self {
            schur: vec![0.0; entries],
            scaled: vec![0.0; entries],
            covariance: Vec::new(),
            upper: vec![0.0; pattern.upper_rows.len()],
            factor: vec![0.0; pattern.symbolic.len_val()],
            inverse: Vec::new(),
            scratch: super::room(needed),
            pattern,
        }
    }

    pub fn begin(&mut self, data: &Products) {
        self.schur.fill(0.0);
        let pattern = &self.pattern;
        for &k in &data.others {
            let (factor, q) = (&data.factors[k], data.factors[k].q);
            for level in 0..factor.n_levels {
                let first = factor.columns(level).start;
                for c in 0..q {
                    let at = pattern.starts[first + c];
                    for r in c..q {
                        self.schur[at + r - c] = factor.own(level)[r * q + c];
                    }
                }
            }
        }
        for (&(row, column), values) in data.pairs.iter().zip(&data.pair_values) {
            let q = data.q_at(column as usize);
            for (e, value) in values.iter().enumerate() {
                let (r, c) = (row as usize + e / q, column as usize + e % q);
                if let Some(at) = pattern.at(r, c) {
                    self.schur[at] = *value;
                }
            }
        }
    }

    #[inline(always)]
    pub fn subtract(&mut self, level: usize, y: &[f64], q: usize) {
        let pattern = &*self.pattern;
        let at = pattern.level_starts[level]..pattern.level_starts[level + 1];
        let mut positions = pattern.positions[at].iter();
        for (k, own) in y.chunks_exact(q).enumerate() {
            for (other, &at) in y[k * q..].chunks_exact(q).zip(positions.by_ref()) {
                let product: f64 = own.iter().zip(other).map(|(a, b)| a * b).sum();
                self.schur[at as usize] -= product;
            }
        }
    }

    pub fn factorise(&mut self, data: &Products, scales: &[Vec<f64>]) -> Option<f64> {
        let pattern = self.pattern.clone();
        transform(data, scales, &pattern.blocks, (&self.schur, &mut self.scaled), false);
        for c in 0..pattern.n {
            self.scaled[pattern.starts[c]] += 1.0;
        }
        for (value, &at) in self.scaled.iter().zip(&pattern.upper) {
            self.upper[at as usize] = *value;
        }
        let (starts, rows) = (&pattern.upper_starts, &pattern.upper_rows);
        let shape = SymbolicSparseColMatRef::new_checked(pattern.n, pattern.n, starts, None, rows);
        let matrix = SparseColMatRef::new(shape, &self.upper);
        let stack = MemStack::new(&mut self.scratch);
        let none = Default::default();
        factorize_simplicial_numeric_llt(&mut self.factor, matrix, none, &pattern.symbolic, stack)
            .ok()?;
        self.log_det()
    }

    /// Where the columns of the factor begin.
    pub fn diagonal(&self) -> Vec<usize> {
        self.pattern.symbolic.col_ptr()[..self.pattern.n].to_vec()
    }

    pub fn log_det(&self) -> Option<f64> {
        let log_det: f64 = self.diagonal().iter().map(|&at| self.factor[at].ln()).sum();
        log_det.is_finite().then_some(2.0 * log_det)
    }

    pub fn solve(&self, x: &mut [f64]) {
        let pattern = &*self.pattern;
        let (heads, below) = (pattern.symbolic.col_ptr(), pattern.symbolic.row_idx());
        let mut moved = vec![0.0; pattern.n];
        for x in x.chunks_exact_mut(pattern.n) {
            for (x, &place) in x.iter().zip(&pattern.place) {
                moved[place] = *x;
            }
            for j in 0..pattern.n {
                let value = moved[j] / self.factor[heads[j]];
                moved[j] = value;
                for at in heads[j] + 1..heads[j + 1] {
                    moved[below[at]] -= self.factor[at] * value;
                }
            }
            x.copy_from_slice(&moved);
        }
    }

    pub fn solve_transposed(&self, x: &mut [f64]) {
        let pattern = &*self.pattern;
        let (heads, below) = (pattern.symbolic.col_ptr(), pattern.symbolic.row_idx());
        let mut moved = vec![0.0; pattern.n];
        for x in x.chunks_exact_mut(pattern.n) {
            for j in (0..pattern.n).rev() {
                let inner: f64 =
                    (heads[j] + 1..heads[j + 1]).map(|at| self.factor[at] * moved[below[at]]).sum();
                moved[j] = (x[j] - inner) / self.factor[heads[j]];
            }
            for (x, &place) in x.iter_mut().zip(&pattern.place) {
                *x = moved[place];
            }
        }
    }

    pub fn invert(&mut self, data: &Products, scales: &[Vec<f64>]) {
        let pattern = self.pattern.clone();
        let (heads, below) = (pattern.symbolic.col_ptr(), pattern.symbolic.row_idx());
        self.inverse.resize(self.factor.len(), 0.0);
        self.covariance.resize(self.schur.len(), 0.0);
        let (mut mark, mut sum) = (vec![usize::MAX; pattern.n], vec![0.0; pattern.n]);
        for j in (0..pattern.n).rev() {
            let own = heads[j] + 1..heads[j + 1];
            for &i in &below[own.clone()] {
                mark[i] = j;
                sum[i] = 0.0;
            }
            // Σ_k L_kj Z_ik over the entries of the column.
            for at in own.clone() {
                let (k, l) = (below[at], self.factor[at]);
                sum[k] += l * self.inverse[heads[k]];
                let mut next = at + 1;
                for inner in heads[k] + 1..heads[k + 1] {
                    let i = below[inner];
                    if mark[i] != j {
                        continue;
                    }
                    while below[next] != i {
                        next += 1;
                    }
                    sum[i] += l * self.inverse[inner];
                    sum[k] += self.factor[next] * self.inverse[inner];
                }
            }
            let pivot = 1.0 / self.factor[heads[j]];
            let mut inner = 0.0;
            for at in own {
                let value = -sum[below[at]] * pivot;
                self.inverse[at] = value;
                inner += self.factor[at] * value;
            }
            self.inverse[heads[j]] = pivot * (pivot - inner);
        }
        for (value, &at) in self.scaled.iter_mut().zip(&pattern.in_factor) {
            *value = self.inverse[at as usize];
        }
        transform(data, scales, &pattern.blocks, (&self.scaled, &mut self.covariance), true);
    }

    pub fn schur(&self, r: usize, c: usize) -> f64 {
        self.pattern.at(r, c).map_or(0.0, |at| self.schur[at])
    }

    #[inline(always)]
    pub fn covariance(&self, r: usize, c: usize) -> f64 {
        self.pattern.at(r, c).map_or(0.0, |at| self.covariance[at])
    }

    pub fn product(&self, a: usize, b: usize) -> f64 {
        let pattern = &*self.pattern;
        // Below the diagonal by columns; to its left row by row, from the other columns.
        let down = pattern.starts[a]..pattern.starts[a + 1];
        let below: f64 = (down.clone())
            .map(|at| self.schur[at] * self.covariance(pattern.rows[at] as usize, b))
            .sum();
        let left: f64 = (pattern.left_starts[a]..pattern.left_starts[a + 1])
            .map(|k| {
                let (at, column) = pattern.left[k];
                self.schur[at as usize] * self.covariance(column as usize, b)
            })
            .sum();
        below + left
    }

    pub fn times_schur(&self, x: &[f64], out: &mut [f64]) {
        let pattern = &*self.pattern;
        for (x, out) in x.chunks_exact(pattern.n).zip(out.chunks_exact_mut(pattern.n)) {
            out.fill(0.0);
            for c in 0..pattern.n {
                for at in pattern.starts[c]..pattern.starts[c + 1] {
                    let r = pattern.rows[at] as usize;
                    out[r] += self.schur[at] * x[c];
                    if r > c {
                        out[c] += self.schur[at] * x[r];
                    }
                }
            }
        }
    }
}

/// `ΛᵀAΛ`, or `ΛAΛᵀ`, block by block.
fn transform(
    data: &Products,
    scales: &[Vec<f64>],
    blocks: &[Block],
    (from, to): (&[f64], &mut [f64]),
    outward: bool,
) {
    let largest = data.others.iter().map(|&k| data.factors[k].q).max().unwrap_or(0);
    let (mut a, mut half) = (vec![0.0; largest * largest], vec![0.0; largest * largest]);
    let entry = |scale: &[f64], n: usize, i: usize, j: usize| {
        if outward { scale[j * n + i] } else { scale[i * n + j] }
    };
    for block in blocks {
        let (left, right) = (&scales[block.row_factor], &scales[block.column_factor]);
        let (q, p) = (data.factors[block.row_factor].q, data.factors[block.column_factor].q);
        if p == 1 && q == 1 {
            let at = block.starts[0] as usize;
            to[at] = left[0] * right[0] * from[at];
            continue;
        }
        for c in 0..p {
            let start = block.starts[c] as usize;
            for r in 0..q {
                if !block.diagonal {
                    a[r * p + c] = from[start + r];
                } else if r >= c {
                    a[r * p + c] = from[start + r - c];
                    a[c * p + r] = a[r * p + c];
                }
            }
        }
        for r in 0..q {
            for c in 0..p {
                half[r * p + c] = (0..p).map(|i| a[r * p + i] * entry(right, p, i, c)).sum();
            }
        }
        for c in 0..p {
            let start = block.starts[c] as usize;
            let first = if block.diagonal { c } else { 0 };
            for r in first..q {
                to[start + r - first] =
                    (0..q).map(|i| entry(left, q, i, r) * half[i * p + c]).sum();
            }
        }
    }
}
