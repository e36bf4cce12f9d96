//! A polynomial of several variables, fitted to values and slopes.

use super::super::monomials::{monomials, n_monomials};
use crate::halves::{add_gram, cholesky, solve};
use ndarray::Array2;

/// All monomials up to a total degree, by degree, with coefficients.
#[derive(Clone, Debug)]
pub struct Polynomial {
    dim: usize,
    /// How each monomial but the first follows from an earlier one: times which variable.
    from: Vec<(usize, usize)>,
    /// For each variable: (monomial, exponent, monomial with one power less).
    slopes: Vec<Vec<(usize, f64, usize)>>,
    coefficients: Vec<f64>,
    /// Coefficients of the slopes, by variable.
    by_variable: Vec<Vec<f64>>,
    monomials: Vec<f64>,
}

/// What a polynomial is fitted to: where, the value there, and its slopes.
pub struct Sample {
    pub at: Vec<f64>,
    pub value: f64,
    pub slopes: Vec<f64>,
    pub weight: f64,
}

impl Polynomial {
    pub fn new(dim: usize, degree: usize) -> Self {
        let (exponents, from) = monomials(dim, degree);
        let slopes: Vec<Vec<(usize, f64, usize)>> = (0..dim)
            .map(|i| {
                let powers = exponents.iter().enumerate().filter(|(_, e)| e[i] > 0);
                powers
                    .filter_map(|(k, e)| {
                        let mut lower = e.clone();
                        lower[i] -= 1;
                        let lower = exponents.iter().position(|e| *e == lower)?;
                        Some((k, e[i] as f64, lower))
                    })
                    .collect()
            })
            .collect();
        let fewer = n_monomials(dim, degree.saturating_sub(1));
        Self {
            dim,
            coefficients: vec![0.0; exponents.len()],
            by_variable: vec![vec![0.0; fewer]; dim],
            monomials: vec![1.0; exponents.len()],
            from,
            slopes,
        }
    }

    fn fill(&mut self, x: &[f64]) {
        for (k, &(earlier, variable)) in self.from.iter().enumerate() {
            self.monomials[k + 1] = self.monomials[earlier] * x[variable];
        }
    }

    /// Value and slopes.
    pub fn at(&mut self, x: &[f64], slopes: &mut [f64]) -> f64 {
        self.fill(x);
        let dot = |c: &[f64]| c.iter().zip(&self.monomials).map(|(c, m)| c * m).sum::<f64>();
        for (slope, c) in slopes.iter_mut().zip(&self.by_variable) {
            *slope = dot(c);
        }
        dot(&self.coefficients)
    }

    /// Change every coefficient by a share of itself, one up and the next down.
    #[cfg(test)]
    pub fn spoil(&mut self, share: f64) {
        for (k, c) in self.coefficients.iter_mut().enumerate() {
            *c *= if k % 2 == 0 { 1.0 + share } else { 1.0 - share };
        }
        self.differentiate();
    }

    fn differentiate(&mut self) {
        for (c, slopes) in self.by_variable.iter_mut().zip(&self.slopes) {
            c.fill(0.0);
            for &(k, exponent, lower) in slopes {
                c[lower] += exponent * self.coefficients[k];
            }
        }
    }

    /// Fit by least squares; `None` where the samples do not determine it.
    pub fn fit(&mut self, samples: &[Sample]) -> Option<()> {
        let n = self.coefficients.len();
        // One column for each equation; the last row is the right-hand side.
        let mut equations = Array2::zeros((n + 1, samples.len() * (self.dim + 1)));
        for (s, sample) in samples.iter().enumerate() {
            self.fill(&sample.at);
            let first = s * (self.dim + 1);
            for k in 0..n {
                equations[[k, first]] = sample.weight * self.monomials[k];
            }
            equations[[n, first]] = sample.weight * sample.value;
            for (i, slopes) in self.slopes.iter().enumerate() {
                for &(k, exponent, lower) in slopes {
                    equations[[k, first + 1 + i]] =
                        sample.weight * exponent * self.monomials[lower];
                }
                equations[[n, first + 1 + i]] = sample.weight * sample.slopes[i];
            }
        }
        let mut gram = Array2::zeros((n + 1, n + 1));
        add_gram(equations.view(), gram.view_mut());
        let lower = gram.clone();
        gram = Array2::from_shape_fn((n, n), |(i, j)| lower[[i.max(j), i.min(j)]]);
        for k in 0..n {
            gram[[k, k]] *= 1.0 + 1e-12;
        }
        cholesky(gram.view_mut())?;
        let mut right = Array2::from_shape_fn((n, 1), |(k, _)| lower[[n, k]]);
        solve(gram.view(), right.view_mut());
        for k in (0..n).rev() {
            let later: f64 = (k + 1..n).map(|j| gram[[k, j]] * self.coefficients[j]).sum();
            self.coefficients[k] = (right[[k, 0]] - later) / gram[[k, k]];
        }
        self.differentiate();
        self.coefficients.iter().all(|c| c.is_finite()).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cubic(x: &[f64]) -> (f64, Vec<f64>) {
        let (a, b) = (x[0], x[1]);
        let value = 2.0 - a + 3.0 * a * b - 0.5 * b * b * b + a * a;
        (value, vec![-1.0 + 3.0 * b + 2.0 * a, 3.0 * a - 1.5 * b * b])
    }

    #[test]
    fn a_polynomial_is_found_from_few_values_and_slopes() {
        let points = [[0.0, 0.0], [1.0, 0.3], [-0.7, 0.8], [0.2, -0.9], [-0.5, -0.4]];
        let samples: Vec<Sample> = points
            .iter()
            .map(|p| {
                let (value, slopes) = cubic(p);
                Sample { at: p.to_vec(), value, slopes, weight: 1.0 }
            })
            .collect();
        let mut found = Polynomial::new(2, 3);
        assert!(found.fit(&samples).is_some());
        let (value, slopes) = cubic(&[0.4, 0.6]);
        let mut out = [0.0; 2];
        assert!((found.at(&[0.4, 0.6], &mut out) - value).abs() < 1e-8);
        assert!((out[0] - slopes[0]).abs() < 1e-8 && (out[1] - slopes[1]).abs() < 1e-8);
    }
}
