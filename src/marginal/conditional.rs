//! The exact conditional of the group coefficients given φ and the population coefficients.
//!
//! With r = Λξ, A = RΛ/σ and e = B_y − B_x c, `ξ | … ~ N(M⁻¹Aᵀe/σ, M⁻¹)`, `M = I + AᵀA`. Levels
//! are independent given the rest, so each has a random stream of its own and any range of levels
//! can be had at any time, on any number of threads, with the same numbers.

use super::crossproducts::{CrossProducts, upper};
use crate::lanes::LANES;
use crate::linalg::{cholesky, solve_lower, solve_lower_transposed};
use crate::parallel::in_parts;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::ops::Range;

/// A diagonal of R below this share of its column means that rows do not determine a coefficient.
pub const SINGULAR: f64 = 1e-9;

/// Posterior draws of everything that the group coefficients depend on.
pub struct Given {
    draws: usize,
    q: usize,
    /// Per draw: Λ, q × q; empty where the group coefficients have a flat prior.
    lambda: Vec<f64>,
    sigma: Vec<f64>,
    /// Per draw: `(−c, 1)`, so that e = B · this.
    contrast: Vec<f64>,
    /// From the core's coefficients to those that are reported, q × q.
    back: Vec<f64>,
}

impl Given {
    /// `covariance` holds Σ per draw (q × q; none for a flat prior), `coefficients` c per draw
    /// (working columns of X). What comes out is `back · r`.
    pub fn new(covariance: &[f64], sigma: &[f64], coefficients: &[f64], back: &[f64]) -> Self {
        let q = back.len().isqrt();
        let draws = sigma.len();
        let mut lambda = covariance.to_vec();
        for l in lambda.chunks_exact_mut((q * q).max(1)) {
            semidefinite_factor(l, q);
        }
        let p = coefficients.len() / draws.max(1);
        let mut contrast = Vec::with_capacity(draws * (p + 1));
        for s in 0..draws {
            contrast.extend(coefficients[s * p..(s + 1) * p].iter().map(|c| -c));
            contrast.push(1.0);
        }
        Self { draws, q, lambda, sigma: sigma.to_vec(), contrast, back: back.to_vec() }
    }
}

/// Cholesky factor with zero columns where Σ is singular (an sd of 0), upper triangle cleared.
pub fn semidefinite_factor(a: &mut [f64], n: usize) {
    for j in 0..n {
        let pivot = a[j * n + j] - (0..j).map(|k| a[j * n + k].powi(2)).sum::<f64>();
        let root = pivot.max(0.0).sqrt();
        for i in j..n {
            let s = a[i * n + j] - (0..j).map(|k| a[i * n + k] * a[j * n + k]).sum::<f64>();
            a[i * n + j] = if root > 0.0 { s / root } else { 0.0 };
        }
        for i in 0..j {
            a[i * n + j] = 0.0;
        }
    }
}

/// Working storage for one level.
struct Level {
    r: Vec<f64>,
    b: Vec<f64>,
    a: Vec<f64>,
    m: Vec<f64>,
    e: Vec<f64>,
    xi: Vec<f64>,
    column: Vec<f64>,
}

impl Level {
    fn new(q: usize, width: usize) -> Self {
        Self {
            r: vec![0.0; q * (q + 1) / 2],
            b: vec![0.0; q * width],
            a: vec![0.0; q * q],
            m: vec![0.0; q * q],
            e: vec![0.0; q],
            xi: vec![0.0; q],
            column: vec![0.0; q],
        }
    }

    fn load(&mut self, data: &CrossProducts, level: usize) {
        let (block, lane) = (level / LANES, level % LANES);
        let (triangle, size) = (self.r.len(), self.b.len());
        for (k, r) in self.r.iter_mut().enumerate() {
            *r = data.r[block * triangle + k][lane];
        }
        for (k, b) in self.b.iter_mut().enumerate() {
            *b = data.b[block * size + k][lane];
        }
    }

    /// With a flat prior r = R⁻¹(e + σz): ξ stands for r, and `m` for (R/σ)ᵀ, so that the steps
    /// after this one are the same. Levels that cannot determine r give NaN.
    fn condition_flat(&mut self, given: &Given, draw: usize) {
        let (q, width) = (given.q, self.b.len() / given.q);
        let contrast = &given.contrast[draw * width..(draw + 1) * width];
        for i in 0..q {
            self.xi[i] = (0..width).map(|k| self.b[i * width + k] * contrast[k]).sum::<f64>();
            for c in i..q {
                self.m[c * q + i] = self.r[upper(q, i, c)];
            }
        }
        for i in 0..q {
            let length: f64 = (0..=i).map(|k| self.m[i * q + k].powi(2)).sum::<f64>().sqrt();
            if self.m[i * q + i].abs() <= SINGULAR * length {
                self.m[i * q + i] = f64::NAN;
            }
        }
        solve_lower_transposed(&self.m, q, &mut self.xi);
        for m in &mut self.m {
            *m /= given.sigma[draw];
        }
    }

    /// Mean of ξ into `xi`, the factor of M into `m`.
    fn condition(&mut self, given: &Given, draw: usize) {
        if given.lambda.is_empty() {
            return self.condition_flat(given, draw);
        }
        let q = given.q;
        let width = self.b.len() / q;
        let lambda = &given.lambda[draw * q * q..(draw + 1) * q * q];
        let contrast = &given.contrast[draw * width..(draw + 1) * width];
        let sigma = given.sigma[draw];
        for i in 0..q {
            self.e[i] = (0..width).map(|k| self.b[i * width + k] * contrast[k]).sum::<f64>();
            for j in 0..q {
                let s: f64 = (i..q).map(|c| self.r[upper(q, i, c)] * lambda[c * q + j]).sum();
                self.a[i * q + j] = s / sigma;
            }
        }
        for i in 0..q {
            for j in 0..=i {
                let s: f64 = (0..q).map(|c| self.a[c * q + i] * self.a[c * q + j]).sum();
                self.m[i * q + j] = s + f64::from(u8::from(i == j));
            }
            self.xi[i] = (0..q).map(|c| self.a[c * q + i] * self.e[c]).sum::<f64>() / sigma;
        }
        // M ≥ I, so this cannot fail for finite numbers; otherwise NaN tells.
        if cholesky(&mut self.m, q).is_none() {
            self.xi.fill(f64::NAN);
        }
        solve_lower(&self.m, q, &mut self.xi);
        solve_lower_transposed(&self.m, q, &mut self.xi);
    }

    /// Turn the mean of ξ into a draw, or into a deviation-free r, and multiply by Λ.
    fn draw(&mut self, given: &Given, draw: usize, rng: &mut ChaCha8Rng, r: &mut [f64]) {
        let q = given.q;
        for z in &mut self.column {
            *z = StandardNormal.sample(rng);
        }
        solve_lower_transposed(&self.m, q, &mut self.column);
        for (noise, mean) in self.column.iter_mut().zip(&self.xi) {
            *noise += mean;
        }
        report(given, draw, &self.column, &mut self.e, r);
    }
}

/// `back · Λ ξ`, using `scratch` for Λ ξ.
fn report(given: &Given, draw: usize, xi: &[f64], scratch: &mut [f64], out: &mut [f64]) {
    let q = given.q;
    if given.lambda.is_empty() {
        scratch.copy_from_slice(xi);
    } else {
        let lambda = &given.lambda[draw * q * q..][..q * q];
        for i in 0..q {
            scratch[i] = (0..=i).map(|k| lambda[i * q + k] * xi[k]).sum();
        }
    }
    for (i, out) in out.iter_mut().enumerate() {
        *out = (0..q).map(|k| given.back[i * q + k] * scratch[k]).sum();
    }
}

fn stream(seed: u64, level: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Chains use the low streams.
    rng.set_stream((1 << 32) + level as u64);
    rng
}

/// Call `work` for each level of the range, split over threads, each with its part of `out`.
fn each_level(
    levels: Range<usize>,
    size: usize,
    out: &mut [f64],
    threads: usize,
    work: impl Fn(usize, &mut [f64], &mut Vec<f64>) + Sync,
) {
    let mut each: Vec<&mut [f64]> = out.chunks_exact_mut(size.max(1)).collect();
    in_parts(&mut each, threads, |first, some| {
        let mut scratch = Vec::new();
        for (i, out) in some.iter_mut().enumerate() {
            work(levels.start + first + i, out, &mut scratch);
        }
    });
}

/// Draws of r for a range of levels: out is level × coefficient × draw.
pub fn draw_levels(
    data: &CrossProducts,
    given: &Given,
    levels: Range<usize>,
    seed: u64,
    threads: usize,
    out: &mut [f64],
) {
    let (q, draws) = (given.q, given.draws);
    each_level(levels, q * draws, out, threads, |index, out, _| {
        let mut level = Level::new(q, data.width);
        let mut rng = stream(seed, index);
        let mut r = vec![0.0; q];
        level.load(data, index);
        for s in 0..draws {
            level.condition(given, s);
            level.draw(given, s, &mut rng, &mut r);
            for (i, r) in r.iter().enumerate() {
                out[i * draws + s] = *r;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mean_shrinks_as_the_closed_form_says() {
        // n = 4 rows of value 2 with sigma = 1, sd = 1: E r = 2 · 4/5, var = 1/5.
        let mut data = CrossProducts::new(1, 2, 1);
        for _ in 0..4 {
            data.add_row(0, &mut [1.0], &mut [1.0, 2.0]);
        }
        data.finish(&[1.0]);
        let draws = 20_000;
        let given = Given::new(&vec![1.0; draws], &vec![1.0; draws], &vec![0.0; draws], &[1.0]);
        let mut values = vec![0.0; draws];
        draw_levels(&data, &given, 0..1, 1, 2, &mut values);
        let mean = values.iter().sum::<f64>() / draws as f64;
        assert!((mean - 1.6).abs() < 4.0 * (0.2 / draws as f64).sqrt());
        let square = values.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / draws as f64;
        assert!((square / 0.2 - 1.0).abs() < 4.0 * (2.0 / draws as f64).sqrt());
    }

    #[test]
    fn a_flat_prior_gives_least_squares() {
        // y = 1 + 2x exactly at x = 0, 1, 2: r = (1, 2).
        let mut data = CrossProducts::new(2, 1, 2);
        for x in [0.0, 1.0, 2.0] {
            data.add_row(0, &mut [1.0, x], &mut [1.0 + 2.0 * x]);
            data.add_row(1, &mut [1.0, 3.0], &mut [x]);
        }
        data.finish(&[1.0, 0.0, 0.0, 1.0]);
        let given = Given::new(&[], &[2.0], &[], &[1.0, 0.0, 0.0, 1.0]);
        let mut level = Level::new(2, 1);
        level.load(&data, 0);
        level.condition(&given, 0);
        assert!((level.xi[0] - 1.0).abs() < 1e-12 && (level.xi[1] - 2.0).abs() < 1e-12);
        // The second level has one value of x only.
        level.load(&data, 1);
        level.condition(&given, 0);
        assert!(level.xi.iter().all(|x| x.is_nan()));
    }

    #[test]
    fn a_zero_sd_gives_zero_deviations() {
        let mut a = [0.0, 0.0, 0.0, 4.0];
        semidefinite_factor(&mut a, 2);
        assert_eq!(a, [0.0, 0.0, 0.0, 2.0]);
    }
}
