//! The exact conditional of the group coefficients given φ and the population coefficients.
//!
//! With r = Λξ, A = RΛ/σ and e = B_y − B_x c, `ξ | … ~ N(M⁻¹Aᵀe/σ, M⁻¹)`, `M = I + AᵀA`. Levels
//! are independent given the rest, so each has a random stream of its own and any range of levels
//! can be had at any time, on any number of threads, with the same numbers.

use super::crossproducts::{CrossProducts, upper};
use super::side_by_side::{by_node, cholesky, solve_lower, solve_lower_transposed};
use super::sums::ANY;
use crate::lanes::{LANES, Lane, ONE, ZERO, add_product, add_scaled, reciprocal, times};
use crate::parallel::in_parts;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::ops::Range;

/// A diagonal of R below this share of its column means that rows do not determine a coefficient.
pub const SINGULAR: f64 = 1e-9;

/// Posterior draws of everything that the group coefficients depend on, lanes of draws one after the
/// other.
pub struct Given {
    draws: usize,
    q: usize,
    /// Λ, q × q; empty where the group coefficients have a flat prior.
    lambda: Vec<Lane>,
    sigma: Vec<Lane>,
    /// `(−c, 1)`, so that e = B · this.
    contrast: Vec<Lane>,
    /// From the core's coefficients to those that are reported, q × q.
    back: Vec<f64>,
}

impl Given {
    /// `covariance` holds Σ per draw (q × q; none for a flat prior), `coefficients` c per draw
    /// (working columns of X). What comes out is `back · r`.
    pub fn new(covariance: &[f64], sigma: &[f64], coefficients: &[f64], back: &[f64]) -> Self {
        let (q, draws) = (back.len().isqrt(), sigma.len());
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
        Self {
            draws,
            q,
            lambda: by_node(&lambda, draws),
            sigma: by_node(sigma, draws),
            contrast: by_node(&contrast, draws),
            back: back.to_vec(),
        }
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
struct Level<'a> {
    given: &'a Given,
    r: Vec<f64>,
    b: Vec<f64>,
    a: Vec<Lane>,
    m: Vec<Lane>,
    e: Vec<Lane>,
    mean: Vec<Lane>,
    /// Normal numbers, then ξ, then r.
    x: Vec<Lane>,
}

impl<'a> Level<'a> {
    fn new(given: &'a Given, width: usize) -> Self {
        let q = given.q;
        Self {
            given,
            r: vec![0.0; q * (q + 1) / 2],
            b: vec![0.0; q * width],
            a: vec![ZERO; q * q],
            m: vec![ZERO; q * q],
            e: vec![ZERO; q],
            mean: vec![ZERO; q],
            x: vec![ZERO; q],
        }
    }

    #[inline(always)]
    fn load(&mut self, data: &CrossProducts, level: usize) {
        let (block, lane) = (level / LANES, level % LANES);
        let (triangle, size) = (self.r.len(), self.b.len());
        for (to, from) in self.r.iter_mut().zip(&data.r[block * triangle..]) {
            *to = from[lane];
        }
        for (to, from) in self.b.iter_mut().zip(&data.b[block * size..]) {
            *to = from[lane];
        }
    }

    /// e = B · contrast of the draws of a block.
    #[inline(always)]
    fn residuals<const Q: usize>(&mut self, block: usize) {
        let q = if Q == ANY { self.given.q } else { Q };
        let width = self.b.len() / q;
        let contrast = &self.given.contrast[block * width..][..width];
        for i in 0..q {
            let mut sum = ZERO;
            for (contrast, b) in contrast.iter().zip(&self.b[i * width..][..width]) {
                add_scaled(&mut sum, contrast, *b);
            }
            self.e[i] = sum;
        }
    }

    /// With a flat prior `r = R⁻¹(e + σz)`; levels that cannot determine r give NaN.
    #[inline(always)]
    fn draw_flat<const Q: usize>(&mut self, block: usize) {
        let q = if Q == ANY { self.given.q } else { Q };
        let sigma = self.given.sigma[block];
        for i in 0..q {
            for c in i..q {
                self.m[c * q + i] = [self.r[upper(q, i, c)]; LANES];
            }
            let length: f64 = (0..=i).map(|k| self.r[upper(q, k, i)].powi(2)).sum::<f64>().sqrt();
            if self.r[upper(q, i, i)].abs() <= SINGULAR * length {
                self.m[i * q + i] = [f64::NAN; LANES];
            }
            let mut sum = self.e[i];
            add_product(&mut sum, &sigma, &self.x[i]);
            self.x[i] = sum;
        }
        solve_lower_transposed::<Q>(&self.m, q, &mut self.x);
    }

    /// With a normal prior `Lᵀξ = L⁻¹Aᵀe/σ + z`, L being the factor of M, and `r = Λξ`.
    #[inline(always)]
    fn draw_normal<const Q: usize>(&mut self, block: usize) {
        let q = if Q == ANY { self.given.q } else { Q };
        let lambda = &self.given.lambda[block * q * q..][..q * q];
        let inverse = reciprocal(&self.given.sigma[block]);
        for i in 0..q {
            for j in 0..q {
                let mut sum = ZERO;
                for c in i.max(j)..q {
                    add_scaled(&mut sum, &lambda[c * q + j], self.r[upper(q, i, c)]);
                }
                self.a[i * q + j] = times(&sum, &inverse);
            }
            self.e[i] = times(&self.e[i], &inverse);
        }
        for i in 0..q {
            for j in 0..=i {
                let mut sum = if i == j { ONE } else { ZERO };
                for c in 0..q {
                    add_product(&mut sum, &self.a[c * q + i], &self.a[c * q + j]);
                }
                self.m[i * q + j] = sum;
            }
            let mut sum = ZERO;
            for c in 0..q {
                add_product(&mut sum, &self.a[c * q + i], &self.e[c]);
            }
            self.mean[i] = sum;
        }
        // M ≥ I, so this cannot fail for finite numbers; others come out as NaN.
        cholesky::<Q>(&mut self.m, q);
        solve_lower::<Q>(&self.m, q, &mut self.mean, 1);
        for i in 0..q {
            add_scaled(&mut self.x[i], &self.mean[i], 1.0);
        }
        solve_lower_transposed::<Q>(&self.m, q, &mut self.x);
        for i in (0..q).rev() {
            let mut sum = ZERO;
            for k in 0..=i {
                add_product(&mut sum, &lambda[i * q + k], &self.x[k]);
            }
            self.x[i] = sum;
        }
    }

    /// All draws, by coefficient, from a stream of normal numbers.
    #[inline(always)]
    fn draw<const Q: usize>(&mut self, rng: &mut ChaCha8Rng, out: &mut [f64]) {
        let (given, draws) = (self.given, self.given.draws);
        let q = if Q == ANY { given.q } else { Q };
        for (block, first) in (0..draws).step_by(LANES).enumerate() {
            let count = LANES.min(draws - first);
            for lane in 0..count {
                for x in &mut self.x {
                    x[lane] = StandardNormal.sample(rng);
                }
            }
            self.residuals::<Q>(block);
            if given.lambda.is_empty() {
                self.draw_flat::<Q>(block);
            } else {
                self.draw_normal::<Q>(block);
            }
            for i in 0..q {
                let mut sum = ZERO;
                for k in 0..q {
                    add_scaled(&mut sum, &self.x[k], given.back[i * q + k]);
                }
                out[i * draws + first..][..count].copy_from_slice(&sum[..count]);
            }
        }
    }
}

fn stream(seed: u64, level: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Chains use the low streams.
    rng.set_stream((1 << 32) + level as u64);
    rng
}

/// Some levels from one on, each with its part of the output, in code for the machine's vectors.
struct Draw<'a, 'b, const Q: usize> {
    data: &'a CrossProducts,
    given: &'a Given,
    seed: u64,
    first: usize,
    out: &'a mut [&'b mut [f64]],
}

impl<const Q: usize> pulp::WithSimd for Draw<'_, '_, Q> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        let mut level = Level::new(self.given, self.data.width);
        for (index, out) in (self.first..).zip(self.out) {
            level.load(self.data, index);
            level.draw::<Q>(&mut stream(self.seed, index), out);
        }
    }
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
    let mut each: Vec<&mut [f64]> = out.chunks_exact_mut((given.q * given.draws).max(1)).collect();
    in_parts(&mut each, threads, |first, out| {
        let (arch, first) = (pulp::Arch::new(), levels.start + first);
        match given.q {
            1 => arch.dispatch(Draw::<1> { data, given, seed, first, out }),
            2 => arch.dispatch(Draw::<2> { data, given, seed, first, out }),
            3 => arch.dispatch(Draw::<3> { data, given, seed, first, out }),
            _ => arch.dispatch(Draw::<ANY> { data, given, seed, first, out }),
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
        let given = Given::new(&[], &[1e-9], &[], &[1.0, 0.0, 0.0, 1.0]);
        let mut values = [0.0; 4];
        draw_levels(&data, &given, 0..2, 1, 1, &mut values);
        assert!((values[0] - 1.0).abs() < 1e-7 && (values[1] - 2.0).abs() < 1e-7);
        // The second level has one value of x only.
        assert!(values[2..].iter().all(|r| r.is_nan()));
    }

    #[test]
    fn a_zero_sd_gives_zero_deviations() {
        let mut a = [0.0, 0.0, 0.0, 4.0];
        semidefinite_factor(&mut a, 2);
        assert_eq!(a, [0.0, 0.0, 0.0, 2.0]);
    }
}
