//! Small matrices of several nodes or draws, side by side in lanes.

use super::sums::ANY;
use crate::lanes::{LANES, Lane, ZERO, reciprocal, square_root, subtract_product, times};
use crate::mixture::in_lanes;

/// What belongs to each of `n` nodes, from one node after the other to nodes side by side; the last
/// one again fills the lanes.
pub fn by_node(values: &[f64], n: usize) -> Vec<Lane> {
    let size = values.len() / n.max(1);
    let blocks = n.div_ceil(LANES);
    let mut out = vec![ZERO; blocks * size];
    for k in 0..size {
        let lanes = in_lanes((0..n).map(|node| values[node * size + k]));
        for (block, lane) in lanes.into_iter().enumerate() {
            out[block * size + k] = lane;
        }
    }
    out
}

/// Cholesky factor in the lower triangle, in place.
#[inline(always)]
pub fn cholesky<const Q: usize>(a: &mut [Lane], n: usize) {
    let n = if Q == ANY { n } else { Q };
    for j in 0..n {
        for i in j..n {
            let mut sum = a[i * n + j];
            for k in 0..j {
                let (left, right) = (a[i * n + k], a[j * n + k]);
                subtract_product(&mut sum, &left, &right);
            }
            a[i * n + j] =
                if i == j { square_root(&sum) } else { times(&sum, &reciprocal(&a[j * n + j])) };
        }
    }
}

/// Solve `L X = B` in place for some columns.
#[inline(always)]
pub fn solve_lower<const Q: usize>(l: &[Lane], n: usize, x: &mut [Lane], columns: usize) {
    let n = if Q == ANY { n } else { Q };
    for i in 0..n {
        let inverse = reciprocal(&l[i * n + i]);
        for column in 0..columns {
            let mut sum = x[i * columns + column];
            for k in 0..i {
                let above = x[k * columns + column];
                subtract_product(&mut sum, &l[i * n + k], &above);
            }
            x[i * columns + column] = times(&sum, &inverse);
        }
    }
}

/// Solve `Lᵀ x = b` in place.
#[inline(always)]
pub fn solve_lower_transposed<const Q: usize>(l: &[Lane], n: usize, x: &mut [Lane]) {
    let n = if Q == ANY { n } else { Q };
    for i in (0..n).rev() {
        let mut sum = x[i];
        for k in i + 1..n {
            let below = x[k];
            subtract_product(&mut sum, &l[k * n + i], &below);
        }
        x[i] = times(&sum, &reciprocal(&l[i * n + i]));
    }
}
