//! Polynomials of several variables in a ball, one for each of many quantities, by least squares:
//! one factorisation for all.

use super::super::monomials::monomials;
use crate::halves::{add_gram, cholesky, solve};
use ndarray::Array2;

/// Coefficients are expected to fall by so much with each degree, and errors to be so small a share
/// of them that points are met: polynomials of more coefficients than there are points then bend as
/// little as these allow.
const DECAY: f64 = 1.7;
const RIDGE: f64 = 1e-13;

/// In Chebyshev polynomials of each variable, which are hardly alike.
#[derive(Clone, Debug)]
pub struct Polynomials {
    dim: usize,
    degree: usize,
    /// For each basis function but the first: an earlier one, times T_e of which variable.
    from: Vec<(usize, usize, usize)>,
    /// What each coefficient is expected to be like.
    sizes: Vec<f64>,
    /// By basis function, then by quantity.
    coefficients: Vec<f64>,
    outputs: usize,
    basis: Vec<f64>,
    chebyshev: Vec<f64>,
}

impl Polynomials {
    pub fn new(dim: usize, degree: usize, outputs: usize) -> Self {
        let exponents = monomials(dim, degree).0;
        let factor = |e: &Vec<usize>| {
            let variable = e.iter().rposition(|&e| e > 0)?;
            let mut without = e.clone();
            without[variable] = 0;
            let earlier = exponents.iter().position(|e| *e == without)?;
            Some((earlier, variable, e[variable]))
        };
        Self {
            dim,
            degree,
            from: exponents.iter().filter_map(factor).collect(),
            sizes: (exponents.iter())
                .map(|e| DECAY.powi(-(e.iter().sum::<usize>() as i32)))
                .collect(),
            coefficients: vec![0.0; exponents.len() * outputs],
            outputs,
            basis: vec![1.0; exponents.len()],
            chebyshev: vec![1.0; dim * (degree + 1)],
        }
    }

    fn fill(&mut self, x: &[f64]) {
        let n = self.degree + 1;
        for (t, x) in self.chebyshev.chunks_exact_mut(n).zip(x) {
            for e in 1..n {
                t[e] = if e == 1 { *x } else { 2.0 * x * t[e - 1] - t[e - 2] };
            }
        }
        for (k, &(earlier, variable, e)) in self.from.iter().enumerate() {
            self.basis[k + 1] = self.basis[earlier] * self.chebyshev[variable * n + e];
        }
    }

    /// All quantities at `x`.
    pub fn at(&mut self, x: &[f64], out: &mut [f64]) {
        self.fill(x);
        out.fill(0.0);
        for (b, row) in self.basis.iter().zip(self.coefficients.chunks_exact(self.outputs)) {
            for (out, c) in out.iter_mut().zip(row) {
                *out += b * c;
            }
        }
    }

    /// Fit to values at points, with their weights; `None` where they do not determine it.
    pub fn fit(&mut self, points: &[(Vec<f64>, &[f64], f64)]) -> Option<()> {
        let (n, r) = (self.basis.len(), self.outputs);
        let (_, origin, _) = *points.first()?;
        let origin = origin.to_vec();
        let mut equations = Array2::zeros((n + r, points.len()));
        for (column, (x, values, weight)) in points.iter().enumerate() {
            debug_assert_eq!(x.len(), self.dim);
            self.fill(x);
            for k in 0..n {
                equations[[k, column]] = weight * self.sizes[k] * self.basis[k];
            }
            for k in 0..r {
                equations[[n + k, column]] = weight * (values[k] - origin[k]);
            }
        }
        let mut gram = Array2::zeros((n + r, n + r));
        add_gram(equations.view(), gram.view_mut());
        let mut upper = Array2::from_shape_fn((n, n), |(i, j)| gram[[i.max(j), i.min(j)]]);
        let largest = (0..n).map(|k| upper[[k, k]]).fold(0.0, f64::max);
        for k in 0..n {
            upper[[k, k]] += RIDGE * largest;
        }
        cholesky(upper.view_mut())?;
        let mut right = Array2::from_shape_fn((n, r), |(k, o)| gram[[n + o, k]]);
        solve(upper.view(), right.view_mut());
        for k in (0..n).rev() {
            for o in 0..r {
                let later: f64 =
                    (k + 1..n).map(|j| upper[[k, j]] * self.coefficients[j * r + o]).sum();
                self.coefficients[k * r + o] = (right[[k, o]] - later) / upper[[k, k]];
            }
        }
        for (row, size) in self.coefficients.chunks_exact_mut(r).zip(&self.sizes) {
            row.iter_mut().for_each(|c| *c *= size);
        }
        for (c, origin) in self.coefficients.iter_mut().zip(origin) {
            *c += origin;
        }
        self.coefficients.iter().all(|c| c.is_finite()).then_some(())
    }

    /// Change every coefficient of the first quantity by a share of itself, up and down in turn.
    #[cfg(test)]
    pub fn spoil(&mut self, share: f64) {
        for (k, row) in self.coefficients.chunks_exact_mut(self.outputs).enumerate() {
            row[0] *= if k % 2 == 0 { 1.0 + share } else { 1.0 - share };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_polynomials_are_found_at_once() {
        let of = |x: &[f64]| {
            let (a, b) = (x[0], x[1]);
            [2.0 - a + 3.0 * a * b - 0.5 * b * b * b, 1e6 + a * a * b - a]
        };
        let places: Vec<Vec<f64>> =
            (0..24).map(|k| vec![(k as f64).sin(), (1.7 * k as f64).cos()]).collect();
        let values: Vec<[f64; 2]> = places.iter().map(|x| of(x)).collect();
        let points: Vec<(Vec<f64>, &[f64], f64)> = places
            .iter()
            .zip(&values)
            .map(|(x, v)| (x.clone(), v.as_slice(), 1.0 + x[0] * x[0]))
            .collect();
        let mut found = Polynomials::new(2, 4, 2);
        assert!(found.fit(&points).is_some());
        let (mut out, at) = ([0.0; 2], [0.31, -0.64]);
        found.at(&at, &mut out);
        for (out, known) in out.iter().zip(of(&at)) {
            assert!((out - known).abs() < 1e-8, "{out} {known}");
        }
        // Too few places for all of their functions.
        assert!(Polynomials::new(2, 4, 2).fit(&[]).is_none());
    }
}
