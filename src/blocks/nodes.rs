//! All levels' coefficients at some φ: moments with b integrated, and draws given b.

use super::eliminate::Elimination;
use super::held_out::Draws;
use super::products::Products;
use crate::linalg::{cholesky, solve_lower, solve_lower_transposed};
use crate::parallel::in_parts;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::ops::Range;
use std::sync::Arc;

/// Where moments are wanted.
pub struct NodeAt<'a> {
    pub draws: Draws<'a>,
    /// Per factor: a level's coefficients are `map · c + back · r`.
    pub maps: &'a [Vec<f64>],
    pub back: &'a [Vec<f64>],
}

/// Means and variances of a factor, by node, level and coefficient.
pub type Moments = (Vec<f64>, Vec<f64>);

/// What the population's coefficients are at some φ: `(−ĉ, 1)`, and the factor of the precision of
/// the integrated ones.
pub struct Population {
    pub u: Vec<f64>,
    pub root: Vec<f64>,
    pub n: usize,
    /// uᵀFu and log|F_II|.
    pub quadratic: f64,
    pub log_det: f64,
}

/// Moments of all levels' coefficients at all nodes; `None` where rounding leaves none.
pub fn node_moments(data: &Arc<Products>, at: &NodeAt<'_>, threads: usize) -> Option<Vec<Moments>> {
    let mut found: Vec<Option<Vec<Moments>>> = vec![None; at.draws.sigma.len()];
    in_parts(&mut found, threads, |first, part| {
        let mut elimination = Elimination::new(data.clone());
        for (k, out) in part.iter_mut().enumerate() {
            *out = moments_at(&mut elimination, at, first + k);
        }
    });
    let mut all: Vec<Moments> = data.factors.iter().map(|_| Moments::default()).collect();
    for node in found {
        for (all, (mean, variance)) in all.iter_mut().zip(node?) {
            all.0.extend(mean);
            all.1.extend(variance);
        }
    }
    Some(all)
}

fn moments_at(elimination: &mut Elimination, at: &NodeAt<'_>, node: usize) -> Option<Vec<Moments>> {
    let data = elimination.data.clone();
    let w = data.width;
    let mut k = vec![0.0; w * w];
    let (_, population) = at.draws.evaluate(elimination, &mut k, node)?;
    elimination.invert();
    let sigma = at.draws.sigma[node];
    Some(
        (0..data.factors.len())
            .map(|f| of_factor(elimination, f, &population, at, sigma))
            .collect(),
    )
}

/// `F_II = LLᵀ` and its solution, from the lower triangle of K.
pub fn population(
    k: &[f64],
    (w, sigma): (usize, f64),
    prior: &[f64],
    sampled: &[f64],
) -> Option<Population> {
    let (n, precision) = (w - 1 - sampled.len(), 1.0 / (sigma * sigma));
    let f = |i: usize, j: usize| k[i.max(j) * w + i.min(j)] * precision + prior[i * w + j];
    let mut root: Vec<f64> = (0..n * n).map(|e| f(e / n, e % n)).collect();
    let log_det = cholesky(&mut root, n)?;
    let mut u = vec![0.0; w];
    u[w - 1] = 1.0;
    for (u, c) in u[n..].iter_mut().zip(sampled) {
        *u = -c;
    }
    let mut right: Vec<f64> =
        (0..n).map(|i| -(n..w).map(|j| f(i, j) * u[j]).sum::<f64>()).collect();
    solve_lower(&root, n, &mut right);
    solve_lower_transposed(&root, n, &mut right);
    u[..n].copy_from_slice(&right);
    let quadratic = (0..w).map(|i| u[i] * (0..w).map(|j| f(i, j) * u[j]).sum::<f64>()).sum();
    Some(Population { u, root, n, quadratic, log_det })
}

fn of_factor(
    elimination: &mut Elimination,
    f: usize,
    population: &Population,
    at: &NodeAt<'_>,
    sigma: f64,
) -> Moments {
    let data = elimination.data.clone();
    let (factor, w) = (&data.factors[f], data.width);
    let (q, n) = (factor.q, population.n);
    let (map, back) = (&at.maps[f], &at.back[f]);
    let found = elimination.conditional(f);
    let mut moments = Moments::default();
    let mut error = vec![0.0; n];
    for level in 0..factor.n_levels {
        let mean = &found.mean[level * q * w..][..q * w];
        let covariance = &found.covariance[level * q * q..][..q * q];
        for i in 0..q {
            // What multiplies (−c, 1).
            let along = |c: usize| -> f64 {
                let r: f64 = (0..q).map(|a| back[i * q + a] * mean[a * w + c]).sum();
                r - if c + 1 < w { map[i * (w - 1) + c] } else { 0.0 }
            };
            moments.0.push((0..w).map(|c| along(c) * population.u[c]).sum());
            let mut own = 0.0;
            for a in 0..q {
                for b in 0..q {
                    own += back[i * q + a] * covariance[a * q + b] * back[i * q + b];
                }
            }
            for (c, error) in error.iter_mut().enumerate() {
                *error = along(c);
            }
            solve_lower(&population.root, n, &mut error);
            let of_b: f64 = error.iter().map(|x| x * x).sum();
            moments.1.push(sigma * sigma * own + of_b);
        }
    }
    moments
}

/// Draws of some of the coefficients r of all factors, which lie factor by factor, level by level; by
/// draw. Each draw of φ has a random stream of its own, so that numbers depend neither on threads nor
/// on which are wanted.
pub fn draws(
    data: &Arc<Products>,
    (lambda, sigma, contrast): (&[Vec<f64>], &[f64], &[f64]),
    wanted: Range<usize>,
    seed: u64,
    threads: usize,
) -> Option<Vec<f64>> {
    let w = data.width;
    let total: usize = data.factors.iter().map(|f| f.q * f.n_levels).sum();
    let mut found: Vec<Option<Vec<f64>>> = vec![None; sigma.len()];
    in_parts(&mut found, threads, |first, part| {
        let mut elimination = Elimination::new(data.clone());
        let (mut k, mut z) = (vec![0.0; w * w], vec![0.0; total]);
        for (i, out) in part.iter_mut().enumerate() {
            let s = first + i;
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(s as u64 + (1 << 32));
            for z in &mut z {
                *z = StandardNormal.sample(&mut rng);
            }
            if elimination.evaluate(&lambda[s], &mut k).is_some() {
                let all = elimination.draw(&contrast[s * w..(s + 1) * w], sigma[s], &z);
                *out = Some(all[wanted.clone()].to_vec());
            }
        }
    });
    let mut all = Vec::with_capacity(sigma.len() * wanted.len());
    for draw in found {
        all.extend(draw?);
    }
    Some(all)
}
