//! The population coefficients, integrated out by products of matrices.

use super::sums::set_known;
use crate::halves::{cholesky, invert, solve};
use ndarray::linalg::{general_mat_mul, general_mat_vec_mul};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

/// Working storage for F_II and what follows from it.
#[derive(Clone, Debug)]
pub struct Population {
    /// U in the upper triangle, F_II = UᵀU.
    factor: Array2<f64>,
    /// Lower triangles of U⁻ᵀ and of F_II⁻¹.
    inverse: Array2<f64>,
    square: Array2<f64>,
    u: Vec<f64>,
}

impl Population {
    pub fn new(width: usize, n_integrated: usize) -> Self {
        let square = || Array2::zeros((n_integrated, n_integrated));
        Self { factor: square(), inverse: square(), square: square(), u: vec![0.0; width] }
    }

    /// Factorise F_II and fill u, of which `c` are the sampled entries; returns log|F_II|, or `None`
    /// where F_II is not positive definite.
    #[inline(always)]
    pub fn integrate(&mut self, f: &[f64], width: usize, c: &[f64]) -> Option<f64> {
        let (n, u) = (self.factor.nrows(), &mut self.u);
        set_known(u, n, c);
        let f = ArrayView2::from_shape((width, width), f).ok()?;
        let (f, _) = f.split_at(Axis(0), n);
        let (inner, outer) = f.split_at(Axis(1), n);
        self.factor.assign(&inner);
        cholesky(self.factor.view_mut())?;
        let (first, known) = u.split_at_mut(n);
        let mut right = Array2::zeros((n, 1));
        let known = ArrayView1::from(&*known);
        general_mat_vec_mul(-1.0, &outer, &known, 0.0, &mut right.column_mut(0));
        solve(self.factor.view(), right.view_mut());
        first.copy_from_slice(right.as_slice()?);
        solve_transposed(&self.factor, first);
        Some(2.0 * self.factor.diag().iter().map(|x| x.ln()).sum::<f64>())
    }

    /// `u = (−ĉ_I, −c_S, 1)`.
    #[inline(always)]
    pub fn u(&self) -> &[f64] {
        &self.u
    }

    /// U, in the upper triangle.
    #[inline(always)]
    pub fn factor(&self) -> ArrayView2<'_, f64> {
        self.factor.view()
    }

    /// Fill the lower triangle of F_II⁻¹ in `square`.
    #[inline(always)]
    fn invert(&mut self) {
        self.inverse.fill(0.0);
        invert(self.factor.view(), self.inverse.view_mut());
        general_mat_mul(1.0, &self.inverse.t(), &self.inverse, 0.0, &mut self.square);
    }

    /// tr(P F_II⁻¹).
    #[inline(always)]
    pub fn trace(&mut self, prior_rows: &[f64]) -> f64 {
        self.invert();
        let n = self.factor.nrows();
        let rows = prior_rows.chunks_exact(self.u.len()).take(n).zip(self.square.rows());
        rows.map(|(p, f)| p.iter().zip(&f).map(|(p, f)| p * f).sum::<f64>()).sum()
    }

    /// Ω = uuᵀ + F_II⁻¹ (embedded).
    pub fn omega(&mut self) -> Vec<f64> {
        self.invert();
        let (n, w) = (self.factor.nrows(), self.u.len());
        let mut omega: Vec<f64> =
            self.u.iter().flat_map(|a| self.u.iter().map(move |b| a * b)).collect();
        for ((i, j), value) in self.square.indexed_iter() {
            if i < n && j < n {
                omega[i * w + j] += value;
            }
        }
        omega
    }

    /// Solve `U x = z` in place: independent normal numbers become deviations with the covariance
    /// F_II⁻¹.
    pub fn scatter(&self, z: &mut [f64]) {
        solve_transposed(&self.factor, z);
    }
}

/// Solve `U x = b` in place, U in the upper triangle of `factor`.
fn solve_transposed(factor: &Array2<f64>, x: &mut [f64]) {
    for i in (0..x.len()).rev() {
        let row = factor.row(i);
        let s: f64 = row.iter().zip(&*x).skip(i + 1).map(|(u, x)| u * x).sum();
        x[i] = (x[i] - s) / row[i];
    }
}
