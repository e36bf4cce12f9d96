//! Polynomials of many quantities at once, fitted to what they are at some places.

use crate::explore::monomials::{monomials, n_monomials};
use crate::linalg::{cholesky_ridged, solve_lower, solve_lower_transposed};

/// Quantities that stay in the first-level cache.
const NEAR: usize = 128;

/// How many times the largest leverage of a node a place may have.
const FURTHER: f64 = 2.0;

/// Polynomials of several quantities.
#[derive(Clone, Default)]
pub struct Polynomials {
    /// How each monomial but the first follows from an earlier one.
    from: Vec<(usize, usize)>,
    /// By monomial, then by quantity.
    coefficients: Vec<f64>,
    pub n: usize,
    /// The factor of the normal equations, and the largest leverage at which a place is no further
    /// out than nodes, or little: beyond, polynomials may be anything.
    root: Vec<f64>,
    reach: f64,
}

/// Normal equations, all quantities at once.
pub struct Sums {
    from: Vec<(usize, usize)>,
    gram: Vec<f64>,
    values: Vec<Vec<f64>>,
}

impl Sums {
    pub fn new(d: usize, degree: usize, n: usize) -> Self {
        let m = n_monomials(d, degree);
        let from = monomials(d, degree).1;
        Self { from, gram: vec![0.0; m * m], values: vec![vec![0.0; n]; m] }
    }

    /// Nothing where there are no values.
    pub fn add(&mut self, z: &[f64], weight: f64, values: &[f64]) {
        if values.is_empty() {
            return;
        }
        let basis = basis(&self.from, z);
        let m = basis.len();
        for (i, a) in basis.iter().enumerate() {
            for (j, b) in basis.iter().enumerate() {
                self.gram[i * m + j] += weight * a * b;
            }
            for (sum, value) in self.values[i].iter_mut().zip(values) {
                *sum += weight * a * value;
            }
        }
    }

    pub fn solve(mut self, nodes: &[Vec<f64>]) -> Option<Polynomials> {
        let (m, n) = (self.values.len(), self.values[0].len());
        cholesky_ridged(&mut self.gram, m)?;
        let mut coefficients = vec![0.0; n * m];
        // Columns of the inverse, so that quantities stay side by side.
        for (k, own) in coefficients.chunks_exact_mut(n.max(1)).enumerate() {
            let mut column = vec![0.0; m];
            column[k] = 1.0;
            solve_lower(&self.gram, m, &mut column);
            solve_lower_transposed(&self.gram, m, &mut column);
            for (sum, a) in self.values.iter().zip(&column) {
                own.iter_mut().zip(sum).for_each(|(own, sum)| *own += a * sum);
            }
        }
        let reach = f64::INFINITY;
        let mut found = Polynomials { from: self.from, coefficients, n, root: self.gram, reach };
        let largest = nodes.iter().map(|z| found.leverage(z)).fold(0.0, f64::max);
        found.reach = FURTHER * largest;
        Some(found)
    }
}

/// In code for the machine's vectors.
struct Adding<'a>(&'a Polynomials, &'a [Vec<f64>], &'a mut [Vec<f64>]);

impl pulp::WithSimd for Adding<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        self.0.add(self.1, self.2);
    }
}

impl Polynomials {
    /// Whether a place is hardly further out than those that they are through.
    pub fn reaches(&self, z: &[f64]) -> bool {
        self.leverage(z) <= self.reach
    }

    /// How far out a place is.
    fn leverage(&self, z: &[f64]) -> f64 {
        let mut basis = basis(&self.from, z);
        let m = basis.len();
        solve_lower(&self.root, m, &mut basis);
        basis.iter().map(|x| x * x).sum()
    }

    /// The first quantities at some places; what a place has does not depend on the others, nor on
    /// how many quantities are wanted.
    pub fn at(&self, places: &[Vec<f64>], count: usize) -> Vec<Vec<f64>> {
        let bases: Vec<Vec<f64>> = places.iter().map(|z| basis(&self.from, z)).collect();
        let mut found: Vec<Vec<f64>> = places.iter().map(|_| vec![0.0; count]).collect();
        pulp::Arch::new().dispatch(Adding(self, &bases, &mut found));
        found
    }

    /// Coefficients are read once for all places.
    #[inline(always)]
    fn add(&self, bases: &[Vec<f64>], found: &mut [Vec<f64>]) {
        let count = found.first().map_or(0, Vec::len);
        for first in (0..count).step_by(NEAR) {
            let part = first..(first + NEAR).min(count);
            for (k, row) in self.coefficients.chunks_exact(self.n).enumerate() {
                let row = &row[part.clone()];
                for (values, basis) in found.iter_mut().zip(bases) {
                    let (values, a) = (&mut values[part.clone()], basis[k]);
                    values.iter_mut().zip(row).for_each(|(value, own)| *value += a * own);
                }
            }
        }
    }
}

fn basis(from: &[(usize, usize)], z: &[f64]) -> Vec<f64> {
    let mut basis = vec![1.0];
    for &(earlier, variable) in from {
        basis.push(basis[earlier] * z[variable]);
    }
    basis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_place_has_does_not_depend_on_the_others() {
        let (from, n) = (monomials(2, 3).1, 2 * NEAR + 7);
        let coefficients = (0..n * (from.len() + 1)).map(|k| (1.3 * k as f64).sin()).collect();
        let polynomials = Polynomials { from, coefficients, n, ..Polynomials::default() };
        let places: Vec<Vec<f64>> =
            (0..5).map(|k| vec![0.3 * k as f64 - 0.7, 0.1 * k as f64]).collect();
        let together = polynomials.at(&places, n);
        for (place, found) in places.iter().zip(&together) {
            let basis = basis(&polynomials.from, place);
            let rows = polynomials.coefficients.chunks_exact(n).zip(&basis);
            let last: f64 = rows.map(|(row, b)| row[n - 1] * b).sum();
            assert!((found[n - 1] - last).abs() < 1e-12);
            let alone = std::slice::from_ref(place);
            assert_eq!(found, &polynomials.at(alone, n)[0]);
            assert_eq!(found[..5], polynomials.at(alone, 5)[0]);
        }
    }
}
