//! A polynomial of several variables, fitted to values and slopes.

use super::super::monomials::n_monomials;
use crate::halves::{add_gram, cholesky, solve};
use crate::lanes::{LANES, Lane, ZERO, add_product, add_scaled};
use ndarray::Array2;

/// All monomials up to a total degree, by degree, with coefficients.
#[derive(Clone, Debug)]
pub struct Polynomial {
    monomials: Monomials,
    coefficients: Vec<f64>,
    /// Coefficients of the slopes, by lanes of variables and by monomial.
    by_lane: Vec<Lane>,
    values: Vec<f64>,
    arch: pulp::Arch,
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
        let monomials = Monomials::new(dim, degree);
        let count = n_monomials(dim, degree);
        Self {
            coefficients: vec![0.0; count],
            by_lane: vec![ZERO; dim.div_ceil(LANES) * monomials.fewer()],
            values: vec![1.0; count],
            arch: pulp::Arch::new(),
            monomials,
        }
    }

    /// Value and slopes.
    pub fn at(&mut self, x: &[f64], slopes: &mut [f64]) -> f64 {
        self.arch.dispatch(At(self, x, slopes))
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
        let fewer = self.monomials.fewer();
        self.by_lane.fill(ZERO);
        for (variable, slopes) in self.monomials.slopes.iter().enumerate() {
            let lanes = &mut self.by_lane[variable / LANES * fewer..][..fewer];
            for &(k, exponent, lower) in slopes {
                lanes[lower][variable % LANES] += exponent * self.coefficients[k];
            }
        }
    }

    /// Fit by least squares; `None` where the samples do not determine it.
    pub fn fit(&mut self, samples: &[Sample]) -> Option<()> {
        let n = self.coefficients.len();
        let each = self.monomials.dim + 1;
        // One row for each equation; the last column is the right-hand side.
        let mut equations = Array2::zeros((samples.len() * each, n + 1));
        for (s, sample) in samples.iter().enumerate() {
            self.monomials.fill(&sample.at, &mut self.values);
            let mut row = equations.row_mut(s * each);
            for (to, value) in row.iter_mut().zip(&self.values) {
                *to = sample.weight * value;
            }
            row[n] = sample.weight * sample.value;
            for (i, slopes) in self.monomials.slopes.iter().enumerate() {
                let mut row = equations.row_mut(s * each + 1 + i);
                for &(k, exponent, lower) in slopes {
                    row[k] = sample.weight * exponent * self.values[lower];
                }
                row[n] = sample.weight * sample.slopes[i];
            }
        }
        let mut gram = Array2::zeros((n + 1, n + 1));
        add_gram(equations.t(), gram.view_mut());
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

/// [`Polynomial::at`], in code for the widest vectors of the machine at hand.
struct At<'a>(&'a mut Polynomial, &'a [f64], &'a mut [f64]);

impl pulp::WithSimd for At<'_> {
    type Output = f64;

    /// Of a homogeneous part of degree k, x · slopes = k · value (Euler): the value comes with the
    /// slopes, whose monomials are fewer.
    #[inline(always)]
    fn with_simd<T: pulp::Simd>(self, _simd: T) -> f64 {
        let At(Polynomial { monomials, coefficients, by_lane, values, .. }, x, slopes) = self;
        let fewer = monomials.fewer();
        monomials.fill(x, &mut values[..fewer]);
        slopes.fill(0.0);
        let mut value = coefficients[0];
        let by_lane = by_lane.chunks_exact(fewer);
        for (by_lane, (x, slopes)) in by_lane.zip(x.chunks(LANES).zip(slopes.chunks_mut(LANES))) {
            for (k, bounds) in monomials.begins.windows(2).enumerate() {
                let part = bounds[0]..bounds[1];
                let sum = weighted_sum(&values[part.clone()], &by_lane[part]);
                let mut along = 0.0;
                for ((slope, x), sum) in slopes.iter_mut().zip(x).zip(sum) {
                    *slope += sum;
                    along += x * sum;
                }
                value += along / (k + 1) as f64;
            }
        }
        value
    }
}

/// Two sums at a time, so that additions need not wait for each other.
#[inline(always)]
fn weighted_sum(weights: &[f64], lanes: &[Lane]) -> Lane {
    let (mut even, mut odd) = (ZERO, ZERO);
    let (pairs, lane_pairs) = (weights.chunks_exact(2), lanes.chunks_exact(2));
    if let ([weight], [lane]) = (pairs.remainder(), lane_pairs.remainder()) {
        add_scaled(&mut even, lane, *weight);
    }
    for (weights, lanes) in pairs.zip(lane_pairs) {
        add_scaled(&mut even, &lanes[0], weights[0]);
        add_scaled(&mut odd, &lanes[1], weights[1]);
    }
    add_product(&mut even, &odd, &[1.0; LANES]);
    even
}

/// Which monomials there are: by degree, within a degree by their last variable, so that those of
/// the next degree are stretches of these, each times one variable.
#[derive(Clone, Debug)]
struct Monomials {
    dim: usize,
    stretches: Vec<Stretch>,
    /// Where each degree begins; the last one's monomials occur in no slope.
    begins: Vec<usize>,
    /// For each variable: (monomial, exponent, monomial with one power less).
    slopes: Vec<Vec<(usize, f64, usize)>>,
}

/// Monomials `from ..` that, times a variable, are those `to ..`.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    variable: usize,
    from: usize,
    to: usize,
    count: usize,
}

impl Monomials {
    fn new(dim: usize, degree: usize) -> Self {
        let mut made =
            Self { dim, stretches: Vec::new(), begins: vec![0], slopes: vec![Vec::new(); dim] };
        // By monomial and variable: the exponent, and the monomial with one power less.
        let mut powers = vec![vec![(0, 0); dim]];
        let mut ends = vec![1; dim]; // of the monomials of a degree up to each variable
        for k in 0..degree {
            let from = made.begins[k];
            made.begins.push(powers.len());
            for (variable, end) in ends.iter_mut().enumerate() {
                made.stretches.push(Stretch {
                    variable,
                    from,
                    to: powers.len(),
                    count: *end - from,
                });
                for earlier in from..*end {
                    let next = made.times(&powers[earlier], earlier, variable, k);
                    for (slopes, &(exponent, lower)) in made.slopes.iter_mut().zip(&next) {
                        if exponent > 0 {
                            slopes.push((powers.len(), exponent as f64, lower));
                        }
                    }
                    powers.push(next);
                }
                *end = powers.len();
            }
        }
        made
    }

    /// Powers of a monomial of degree `k` times a variable, none of whose variables come later.
    fn times(
        &self,
        powers: &[(usize, usize)],
        monomial: usize,
        variable: usize,
        k: usize,
    ) -> Vec<(usize, usize)> {
        let mut next = powers.to_vec();
        for (_, lower) in next.iter_mut().filter(|(exponent, _)| *exponent > 0) {
            // One degree lower, multiplied alike.
            let stretch = self.stretches[(k - 1) * self.dim + variable];
            *lower = stretch.to + *lower - stretch.from;
        }
        next[variable] = (next[variable].0 + 1, monomial);
        next
    }

    /// Monomials that occur in slopes.
    fn fewer(&self) -> usize {
        self.begins.last().copied().unwrap_or(0).max(1)
    }

    /// Compute all monomials at `x`, or the first ones; the very first is 1 already.
    #[inline(always)]
    fn fill(&self, x: &[f64], values: &mut [f64]) {
        for &Stretch { variable, from, to, count } in &self.stretches {
            if to >= values.len() {
                break;
            }
            let (before, after) = values.split_at_mut(to);
            for (value, earlier) in after[..count].iter_mut().zip(&before[from..from + count]) {
                *value = earlier * x[variable];
            }
        }
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
    fn monomials_are_counted_and_unlike() {
        for (dim, degree) in [(1, 5), (2, 8), (3, 4), (7, 3)] {
            let mut values = vec![1.0; n_monomials(dim, degree)];
            let primes = [2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0];
            Monomials::new(dim, degree).fill(&primes[..dim], &mut values);
            assert!(values[1..].iter().all(|value| *value > 1.0));
            values.sort_by(f64::total_cmp);
            values.dedup();
            assert_eq!(values.len(), n_monomials(dim, degree));
        }
    }

    #[test]
    fn slopes_are_those_of_the_value() {
        for (dim, degree) in [(1, 4), (3, 4), (4, 6), (5, 3), (6, 2)] {
            let mut some = Polynomial::new(dim, degree);
            let count = n_monomials(dim, degree);
            some.coefficients = (0..count).map(|k| (1.0 + k as f64 * 0.7).sin()).collect();
            some.differentiate();
            let x: Vec<f64> = (0..dim).map(|i| 0.9 - 0.4 * i as f64).collect();
            let (mut slopes, mut unused) = (vec![0.0; dim], vec![0.0; dim]);
            let value = some.at(&x, &mut slopes);
            some.monomials.fill(&x, &mut some.values);
            let terms = some.coefficients.iter().zip(&some.values);
            assert!((value - terms.map(|(c, m)| c * m).sum::<f64>()).abs() < 1e-12);
            for i in 0..dim {
                let mut at = |h: f64| {
                    let mut near = x.clone();
                    near[i] += h;
                    some.at(&near, &mut unused)
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((slope - slopes[i]).abs() < 1e-7, "{dim} {degree} {i}");
            }
        }
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
