//! Dense linear algebra on matrices of some dozen to some hundred rows, by halves: each function
//! splits its matrix in two, so that nearly all of its work is products of large blocks, which a
//! library does near the speed of the machine. Triangular factors are upper, A = UᵀU, so that inner
//! loops run along rows. (Golub & Van Loan, Matrix Computations, §1.3, §3.1 and §4.2.)

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, Axis};

/// Rows of what is not split any further.
const SMALL: usize = 16;

/// Add `A Aᵀ` to the lower triangle of `sum`.
pub fn add_gram(a: ArrayView2<f64>, mut sum: ArrayViewMut2<f64>) {
    let n = a.nrows();
    if n <= SMALL {
        return general_mat_mul(1.0, &a, &a.t(), 1.0, &mut sum);
    }
    let (top, bottom) = a.split_at(Axis(0), n / 2);
    let (upper, lower) = sum.view_mut().split_at(Axis(0), n / 2);
    let (first, _) = upper.split_at(Axis(1), n / 2);
    let (mut beside, last) = lower.split_at(Axis(1), n / 2);
    add_gram(top, first);
    general_mat_mul(1.0, &bottom, &top.t(), 1.0, &mut beside);
    add_gram(bottom, last);
}

/// Overwrite the upper triangle of the symmetric `a` with U, A = UᵀU.
///
/// Returns `None` where `a` is not positive definite.
pub fn cholesky(mut a: ArrayViewMut2<f64>) -> Option<()> {
    let n = a.nrows();
    if n <= SMALL {
        for k in 0..n {
            let pivot = a[[k, k]];
            if !(pivot > 0.0 && pivot.is_finite()) {
                return None;
            }
            let root = pivot.sqrt();
            let (mut above, mut below) = a.view_mut().split_at(Axis(0), k + 1);
            let (_, mut above) = above.row_mut(k).split_at(Axis(0), k);
            above.mapv_inplace(|x| x / root);
            for (i, mut row) in below.rows_mut().into_iter().enumerate() {
                let (_, mut row) = row.view_mut().split_at(Axis(0), k + 1 + i);
                row.scaled_add(-above[i + 1], &above.view().split_at(Axis(0), i + 1).1);
            }
        }
        return Some(());
    }
    let (upper, lower) = a.view_mut().split_at(Axis(0), n / 2);
    let (mut first, mut beside) = upper.split_at(Axis(1), n / 2);
    let (_, mut last) = lower.split_at(Axis(1), n / 2);
    cholesky(first.view_mut())?;
    solve(first.view(), beside.view_mut());
    general_mat_mul(-1.0, &beside.t(), &beside, 1.0, &mut last);
    cholesky(last)
}

/// Solve `Uᵀ X = B` in place for the upper triangular `u`.
pub fn solve(u: ArrayView2<f64>, mut x: ArrayViewMut2<f64>) {
    let n = u.nrows();
    if n <= SMALL {
        for i in 0..n {
            let (known, mut row) = x.view_mut().split_at(Axis(0), i);
            let mut row = row.row_mut(0);
            for (k, other) in known.rows().into_iter().enumerate() {
                row.scaled_add(-u[[k, i]], &other);
            }
            let pivot = u[[i, i]];
            row.mapv_inplace(|x| x / pivot);
        }
        return;
    }
    let (upper, lower) = u.split_at(Axis(0), n / 2);
    let (first, beside) = upper.split_at(Axis(1), n / 2);
    let (_, last) = lower.split_at(Axis(1), n / 2);
    let (mut top, mut bottom) = x.view_mut().split_at(Axis(0), n / 2);
    solve(first, top.view_mut());
    general_mat_mul(-1.0, &beside.t(), &top, 1.0, &mut bottom);
    solve(last, bottom);
}

/// Write the lower triangular `U⁻ᵀ` to `out`, which is 0.
pub fn invert(u: ArrayView2<f64>, mut out: ArrayViewMut2<f64>) {
    let n = u.nrows();
    if n <= SMALL {
        out.diag_mut().fill(1.0);
        return solve(u, out);
    }
    let (upper, lower) = u.split_at(Axis(0), n / 2);
    let (first, beside) = upper.split_at(Axis(1), n / 2);
    let (_, last) = lower.split_at(Axis(1), n / 2);
    let (top, bottom) = out.view_mut().split_at(Axis(0), n / 2);
    let (mut corner, _) = top.split_at(Axis(1), n / 2);
    let (mut left, right) = bottom.split_at(Axis(1), n / 2);
    invert(first, corner.view_mut());
    general_mat_mul(-1.0, &beside.t(), &corner, 0.0, &mut left);
    solve(last.view(), left);
    invert(last, right);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// Any numbers, the same each time.
    fn numbers(rows: usize, columns: usize) -> Array2<f64> {
        Array2::from_shape_fn((rows, columns), |(i, j)| {
            ((7 * i + 3 * j * j + i * j) % 23) as f64 / 23.0 - 0.4
        })
    }

    fn largest(a: &Array2<f64>) -> f64 {
        a.iter().fold(0.0, |m: f64, x| m.max(x.abs()))
    }

    #[test]
    fn factors_solutions_and_inverses_fit_together_at_any_size() {
        for n in [1, 2, 15, 16, 17, 33, 70] {
            let rows = numbers(n, 2 * n + 5);
            let mut a = Array2::<f64>::eye(n);
            add_gram(rows.view(), a.view_mut());
            let whole = rows.dot(&rows.t()) + Array2::<f64>::eye(n);
            for i in 0..n {
                for j in 0..n {
                    if j <= i {
                        assert!((a[[i, j]] - whole[[i, j]]).abs() < 1e-11);
                    }
                }
            }
            let mut factor = whole.clone();
            assert!(cholesky(factor.view_mut()).is_some());
            let u =
                Array2::from_shape_fn((n, n), |(i, j)| if i <= j { factor[[i, j]] } else { 0.0 });
            assert!(largest(&(u.t().dot(&u) - &whole)) < 1e-11);
            let b = numbers(n, 3);
            let mut x = b.clone();
            solve(factor.view(), x.view_mut());
            assert!(largest(&(u.t().dot(&x) - &b)) < 1e-11);
            let mut inverse = Array2::zeros((n, n));
            invert(factor.view(), inverse.view_mut());
            assert!(largest(&(u.t().dot(&inverse) - Array2::<f64>::eye(n))) < 1e-11);
        }
    }

    #[test]
    fn what_is_not_positive_definite_has_no_factor() {
        for n in [1, 16, 40] {
            let mut a = Array2::<f64>::eye(n);
            a[[n - 1, n - 1]] = -1.0;
            assert!(cholesky(a.view_mut()).is_none());
            a[[n - 1, n - 1]] = f64::NAN;
            assert!(cholesky(a.view_mut()).is_none());
        }
    }
}
