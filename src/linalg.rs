//! Small dense linear algebra on row-major slices; what densities call does not allocate.
//!
//! Sizes here are the number of coefficients (1 to a few dozen), where a plain loop beats a library.

/// The logarithm of a product, taken once for many factors, unless these leave the range.
pub struct LogProduct {
    /// What is a number still, and the logarithm of all before it.
    product: f64,
    log: f64,
}

impl Default for LogProduct {
    fn default() -> Self {
        Self { product: 1.0, log: 0.0 }
    }
}

impl LogProduct {
    #[inline(always)]
    pub fn times(&mut self, factor: f64) {
        let next = self.product * factor;
        if (1e-200..1e200).contains(&next) {
            self.product = next;
        } else {
            self.log += f64::ln(self.product);
            self.product = factor;
        }
    }

    /// Multiply by what has this logarithm.
    #[inline(always)]
    pub fn add(&mut self, log: f64) {
        self.log += log;
    }

    #[inline(always)]
    pub fn sum(&self) -> f64 {
        self.log + f64::ln(self.product)
    }
}

/// Overwrite the lower triangle of the symmetric `a` (`n` × `n`) with its Cholesky factor.
///
/// Returns the log determinant of `a`, or `None` where `a` is not positive definite.
#[inline(always)]
pub fn cholesky(a: &mut [f64], n: usize) -> Option<f64> {
    let mut log_det = LogProduct::default();
    for i in 0..n {
        for j in 0..=i {
            let (row, other) = (&a[i * n..i * n + j], &a[j * n..j * n + j]);
            let s = a[i * n + j] - row.iter().zip(other).map(|(x, y)| x * y).sum::<f64>();
            if i == j {
                if !(s > 0.0 && s.is_finite()) {
                    return None;
                }
                log_det.times(s);
                a[i * n + i] = s.sqrt();
            } else {
                a[i * n + j] = s / a[j * n + j];
            }
        }
    }
    Some(log_det.sum())
}

/// Solve `L x = b` in place for the lower triangular `l`.
#[inline(always)]
pub fn solve_lower(l: &[f64], n: usize, x: &mut [f64]) {
    for i in 0..n {
        let mut s = x[i];
        for k in 0..i {
            s -= l[i * n + k] * x[k];
        }
        x[i] = s / l[i * n + i];
    }
}

/// Solve `Lᵀ x = b` in place for the lower triangular `l`.
#[inline(always)]
pub fn solve_lower_transposed(l: &[f64], n: usize, x: &mut [f64]) {
    for i in (0..n).rev() {
        let mut s = x[i];
        for k in i + 1..n {
            s -= l[k * n + i] * x[k];
        }
        x[i] = s / l[i * n + i];
    }
}

/// Inverse of the lower triangular `l` into `inverse`, whose upper triangle is left alone.
#[inline(always)]
pub fn invert_lower(l: &[f64], n: usize, inverse: &mut [f64]) {
    for k in 0..n {
        let pivot = 1.0 / l[k * n + k];
        let (above, row) = inverse.split_at_mut(k * n);
        row[..k].fill(0.0);
        for c in 0..k {
            for j in 0..=c {
                row[j] -= l[k * n + c] * above[c * n + j];
            }
        }
        row[..k].iter_mut().for_each(|x| *x *= pivot);
        row[k] = pivot;
    }
}

/// [`cholesky`] with the diagonal raised a little, so that a column without information is no
/// failure.
pub fn cholesky_ridged(a: &mut [f64], n: usize) -> Option<f64> {
    let largest = (0..n).map(|i| a[i * n + i].abs()).fold(0.0, f64::max);
    for i in 0..n {
        a[i * n + i] += 1e-10 * largest + 1e-300;
    }
    cholesky(a, n)
}

/// Solve `A x = b` in place for the symmetric `a`, ridged.
pub fn solve_ridged(a: &[f64], n: usize, x: &mut [f64]) -> Option<()> {
    let mut factor = a.to_vec();
    cholesky_ridged(&mut factor, n)?;
    solve_lower(&factor, n, x);
    solve_lower_transposed(&factor, n, x);
    Some(())
}

/// The inverse of the symmetric `a`, ridged.
pub fn inverse_ridged(a: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut factor = a.to_vec();
    cholesky_ridged(&mut factor, n)?;
    Some(inverse_from_factor(&factor, n))
}

/// The inverse of a matrix with the Cholesky factor `factor`.
pub fn inverse_from_factor(factor: &[f64], n: usize) -> Vec<f64> {
    let mut out = vec![0.0; n * n];
    for k in 0..n {
        let mut column = vec![0.0; n];
        column[k] = 1.0;
        solve_lower(factor, n, &mut column);
        solve_lower_transposed(factor, n, &mut column);
        for i in 0..n {
            out[i * n + k] = column[i];
        }
    }
    out
}

/// Slope by S of a function of K, the Cholesky factor of S: symmetric, so that `dℓ = tr(by_s dS)`.
#[inline(always)]
pub fn cholesky_slope(k: &[f64], by_k: &[f64], q: usize, inner: &mut [f64], by_s: &mut [f64]) {
    // With P the lower triangle of KᵀK̄, its diagonal halved: ½ K⁻ᵀ(P + Pᵀ)K⁻¹.
    for i in 0..q {
        for j in 0..=i {
            let s: f64 = (i..q).map(|a| k[a * q + i] * by_k[a * q + j]).sum();
            inner[i * q + j] = 0.5 * s;
            inner[j * q + i] = 0.5 * s;
        }
    }
    // The middle is symmetric: solve Kᵀ from the left, column by column, twice.
    for _ in 0..2 {
        for column in 0..q {
            for i in (0..q).rev() {
                let mut s = inner[i * q + column];
                for a in i + 1..q {
                    s -= k[a * q + i] * by_s[a * q + column];
                }
                by_s[i * q + column] = s / k[i * q + i];
            }
        }
        for i in 0..q {
            for j in 0..q {
                inner[i * q + j] = by_s[j * q + i];
            }
        }
    }
    by_s.copy_from_slice(inner);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cholesky_solves_a_system_known_by_hand() {
        let mut a = [4.0, 0.0, 2.0, 5.0]; // [[4, 2], [2, 5]]
        let log_det = cholesky(&mut a, 2).unwrap();
        assert!((log_det - 16f64.ln()).abs() < 1e-14);
        let mut x = [2.0, 1.0];
        solve_lower(&a, 2, &mut x);
        solve_lower_transposed(&a, 2, &mut x);
        assert!((x[0] - 0.5).abs() < 1e-15 && x[1].abs() < 1e-15);
    }

    #[test]
    fn the_inverse_of_a_triangle_solves() {
        let l = [2.0, 9.0, 9.0, 1.0, 4.0, 9.0, -3.0, 0.5, 0.25];
        let mut inverse = [7.0; 9];
        invert_lower(&l, 3, &mut inverse);
        for column in 0..3 {
            let mut x = [0.0; 3];
            x[column] = 1.0;
            solve_lower(&l, 3, &mut x);
            for row in column..3 {
                assert!((inverse[row * 3 + column] - x[row]).abs() < 1e-14);
            }
        }
        assert_eq!([inverse[1], inverse[2], inverse[5]], [7.0; 3]);
    }

    #[test]
    fn the_log_determinant_survives_pivots_of_any_size() {
        let mut a = [0.0; 16];
        for (i, pivot) in [1e150, 1e300, 1e-250, 1e-300].into_iter().enumerate() {
            a[i * 5] = pivot;
        }
        let log_det = cholesky(&mut a, 4).unwrap();
        assert!((log_det + 100.0 * 10f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn an_indefinite_matrix_is_no_panic() {
        assert!(cholesky(&mut [1.0, 0.0, 2.0, 1.0], 2).is_none());
        assert!(cholesky(&mut [f64::NAN], 1).is_none());
    }
}
