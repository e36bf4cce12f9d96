//! Modes that are known, and what they foretell of the mode at another θ, from which to climb.

use crate::explore::monomials::{monomials, n_monomials};
use crate::laplace::point::Start;
use crate::linalg::{cholesky_ridged, solve_lower, solve_lower_transposed};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Numbers of modes that are kept.
const KEPT: usize = 20_000_000;

/// Degree of the polynomials, and known modes for each of their monomials.
const DEGREE: usize = 3;
const SHARE: f64 = 2.0;

/// A distance within which modes count alike, as a share of the largest.
const NEAR: f64 = 0.1;

/// Sum of the sizes of weights beyond which they tell nothing.
const WILD: f64 = 20.0;

/// Modes by θ, in an order that does not depend on when they were found.
#[derive(Clone, Default)]
pub struct Modes {
    known: BTreeMap<Vec<u64>, (Vec<f64>, Arc<Start>)>,
}

impl Modes {
    /// `place` is where θ lies in coordinates in which modes are smooth.
    pub fn keep(&mut self, theta: &[f64], place: Vec<f64>, mode: Start) {
        self.known.insert(key(theta), (place, Arc::new(mode)));
    }

    /// Whether there is room for more.
    pub fn take_more(&self) -> bool {
        let size = |(_, mode): &(Vec<f64>, Arc<Start>)| {
            mode.0.len() + mode.1.iter().map(Vec::len).sum::<usize>()
        };
        self.known.values().next().is_none_or(|one| self.known.len() * size(one) < KEPT)
    }

    pub fn at(&self, theta: &[f64]) -> Option<&Start> {
        self.known.get(&key(theta)).map(|(_, mode)| &**mode)
    }

    /// The mode at a place by a polynomial through the nearest that are known, about; `None` where
    /// there is none.
    pub fn foretold(&self, place: &[f64]) -> Option<Start> {
        let known: Vec<_> = self.known.values().collect();
        let weights = weights(&known.iter().map(|(at, _)| &at[..]).collect::<Vec<_>>(), place);
        let mut found: Option<Start> = None;
        for (k, weight) in weights {
            let (c, u) = &*known[k].1;
            let (sum_c, sum_u) = found.get_or_insert_with(|| {
                (vec![0.0; c.len()], u.iter().map(|u| vec![0.0; u.len()]).collect())
            });
            let add = |sum: &mut [f64], own: &[f64]| {
                sum.iter_mut().zip(own).for_each(|(sum, own)| *sum += weight * own);
            };
            add(sum_c, c);
            sum_u.iter_mut().zip(u).for_each(|(sum, own)| add(sum, own));
        }
        found
    }
}

/// The same for the same θ.
fn key(theta: &[f64]) -> Vec<u64> {
    theta.iter().map(|x| x.to_bits()).collect()
}

/// What the places count in the value of a polynomial at θ, fitted to values there, the nearest ones
/// most: each with its position.
fn weights(places: &[&[f64]], theta: &[f64]) -> Vec<(usize, f64)> {
    let d = theta.len();
    let size = |i: usize| {
        let far = places.iter().map(|at| (at[i] - theta[i]).abs()).fold(0.0, f64::max);
        far.max(1e-9)
    };
    let sizes: Vec<f64> = (0..d).map(size).collect();
    let away = |at: &[f64]| -> Vec<f64> {
        at.iter().zip(theta).zip(&sizes).map(|((at, theta), size)| (at - theta) / size).collect()
    };
    let mut near: Vec<(f64, usize, Vec<f64>)> = (places.iter().enumerate())
        .map(|(k, at)| {
            let away = away(at);
            (away.iter().map(|x| x * x).sum::<f64>(), k, away)
        })
        .collect();
    near.sort_by(|a, b| a.0.total_cmp(&b.0)); // stable
    let Some(nearest) = near.first().map(|first| first.1) else { return Vec::new() };
    let enough = |&k: &usize| n_monomials(d, k) as f64 * SHARE <= places.len() as f64;
    let degree = (0..=DEGREE).rev().find(enough).unwrap_or(0);
    let m = n_monomials(d, degree);
    near.truncate((SHARE * m as f64) as usize);
    let widest = near.last().map_or(0.0, |last| last.0).max(1e-18);
    let (mut gram, mut rows) = (vec![0.0; m * m], Vec::new());
    for (square, k, away) in &near {
        let mut basis = vec![1.0];
        for (earlier, variable) in monomials(d, degree).1 {
            basis.push(basis[earlier] * away[variable] / widest.sqrt());
        }
        let weight = 1.0 / (square / widest + NEAR * NEAR);
        for (i, a) in basis.iter().enumerate() {
            for (j, b) in basis.iter().enumerate() {
                gram[i * m + j] += weight * a * b;
            }
        }
        rows.push((*k, weight, basis));
    }
    // Its value at θ is its first coefficient.
    let mut first = vec![0.0; m];
    first[0] = 1.0;
    if cholesky_ridged(&mut gram, m).is_none() {
        return vec![(nearest, 1.0)];
    }
    solve_lower(&gram, m, &mut first);
    solve_lower_transposed(&gram, m, &mut first);
    let of = |(k, weight, basis): (usize, f64, Vec<f64>)| {
        (k, weight * basis.iter().zip(&first).map(|(a, b)| a * b).sum::<f64>())
    };
    let found: Vec<(usize, f64)> = rows.into_iter().map(of).collect();
    let total: f64 = found.iter().map(|(_, weight)| weight.abs()).sum();
    if total < WILD { found } else { vec![(nearest, 1.0)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cubic_modes_are_foretold_whatever_the_order_they_came_in() {
        let of = |theta: &[f64]| -> Start {
            let (a, b) = (theta[0], theta[1]);
            (vec![1.0 + a - 0.3 * a * b * b], vec![vec![b * b, a - 2.0 * b * b + 0.1 * a * a * a]])
        };
        let places: Vec<Vec<f64>> =
            (0..20).map(|k| vec![(1.1 * k as f64).sin(), 0.1 * (2.3 * k as f64).cos()]).collect();
        let (mut modes, mut other) = (Modes::default(), Modes::default());
        places.iter().for_each(|at| modes.keep(at, at.clone(), of(at)));
        places.iter().rev().for_each(|at| other.keep(at, at.clone(), of(at)));
        let at = [0.2, 0.03];
        let found = modes.foretold(&at).unwrap();
        assert_eq!(found, other.foretold(&at).unwrap());
        let (c, u) = of(&at);
        assert!((found.0[0] - c[0]).abs() < 1e-5 && (found.1[0][1] - u[0][1]).abs() < 1e-5);
        assert!(Modes::default().foretold(&at).is_none());
        assert_eq!(modes.at(&places[3]).unwrap(), &of(&places[3]));
    }
}
