//! The levels' coefficients averaged over nodes of φ, population coefficients integrated out.
//!
//! Given φ, `coef = shift + D (c − ĉ) + back (r − r̂)` with `D = T − back H B_x`, where T is what
//! the population coefficients add to those of a level, `r̂ = H B u` and `H = Λ M⁻¹ Aᵀ/σ` (see
//! [`super::conditional`]); so its variance is that of r given c and `D F⁻¹ Dᵀ`. Nodes stand side
//! by side in lanes.

use super::conditional::SINGULAR;
use super::crossproducts::{CrossProducts, upper};
use super::nodes::{Coefficients, Nodes};
use super::side_by_side::{by_node, cholesky, solve_lower};
use super::sums::ANY;
use crate::lanes::{LANES, Lane, ONE, ZERO, add_product, add_scaled, times};
use crate::mixture::{Mixture, Tail, weights_in_lanes};
use crate::parallel::in_parts;

/// How the core's coefficients become those of the user.
pub struct Written<'a> {
    /// q × q.
    pub back: &'a [f64],
    /// T, q × integrated coefficients.
    pub population: &'a [f64],
    /// Per node: what the level's own deviations are added to at ĉ.
    pub shift: &'a [f64],
}

/// All that does not depend on the level, lanes of nodes one after the other.
pub struct Averages<'a> {
    data: &'a CrossProducts,
    back: &'a [f64],
    population: &'a [f64],
    pub(super) n_integrated: usize,
    pub(super) weights: Vec<Lane>,
    pub(super) sigma: Vec<Lane>,
    /// Λ/σ and `back Λ/σ`, q × q each; none where priors are flat.
    lambda: Vec<Lane>,
    written: Vec<Lane>,
    pub(super) u: Vec<Lane>,
    pub(super) root: Vec<Lane>,
    shift: Vec<Lane>,
}

impl<'a> Averages<'a> {
    pub(super) fn q(&self) -> usize {
        self.data.q
    }

    pub(super) fn width(&self) -> usize {
        self.data.width
    }

    pub fn new(
        data: &'a CrossProducts,
        nodes: &Nodes,
        coefficients: &Coefficients,
        written: &Written<'a>,
        weights: &[f64],
    ) -> Self {
        let (q, n) = (data.q, weights.len());
        // Without a factor q is 0.
        let n_integrated = (coefficients.root.len() / n.max(1)).isqrt();
        let lambda = &nodes.lambda;
        let mut own = vec![0.0; lambda.len()];
        let size = (q * q).max(1);
        for (own, lambda) in own.chunks_exact_mut(size).zip(lambda.chunks_exact(size)) {
            for i in 0..q {
                for k in 0..q {
                    own[i * q + k] =
                        (k..q).map(|j| written.back[i * q + j] * lambda[j * q + k]).sum();
                }
            }
        }
        Self {
            data,
            back: written.back,
            population: written.population,
            n_integrated,
            weights: weights_in_lanes(weights),
            sigma: by_node(&nodes.sigma, n),
            lambda: by_node(lambda, n),
            written: by_node(&own, n),
            u: by_node(&coefficients.u, n),
            root: by_node(&coefficients.root, n),
            shift: by_node(written.shift, n),
        }
    }

    /// Mean, sd and two quantiles for some levels: out is level × coefficient × 4.
    pub fn summarise(&self, levels: &[usize], tails: [Tail; 2], threads: usize, out: &mut [f64]) {
        let mut each: Vec<_> = levels.iter().zip(out.chunks_exact_mut(self.data.q * 4)).collect();
        in_parts(&mut each, threads, |_, some| {
            let arch = pulp::Arch::new();
            match self.data.q {
                1 => arch.dispatch(Summarise::<1>(self, tails, some)),
                2 => arch.dispatch(Summarise::<2>(self, tails, some)),
                3 => arch.dispatch(Summarise::<3>(self, tails, some)),
                _ => arch.dispatch(Summarise::<ANY>(self, tails, some)),
            }
        });
    }
}

struct Summarise<'a, 'b, 'c, const Q: usize>(
    &'a Averages<'a>,
    [Tail; 2],
    &'a mut [(&'b usize, &'c mut [f64])],
);

impl<const Q: usize> pulp::WithSimd for Summarise<'_, '_, '_, Q> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        let Self(averages, tails, levels) = self;
        let q = if Q == ANY { averages.data.q } else { Q };
        let blocks = averages.weights.len();
        let mut level = Level::new(averages, q);
        let (mut means, mut variances) = (vec![ZERO; q * blocks], vec![ZERO; q * blocks]);
        let mut mixture = Mixture::new(&averages.weights, tails);
        for (index, out) in levels.iter_mut() {
            level.load::<Q>(**index);
            for block in 0..blocks {
                level.condition::<Q>(block);
                level.moments::<Q>(block, (&mut means, &mut variances));
            }
            for (i, out) in out.chunks_exact_mut(4).enumerate() {
                let part = i * blocks..(i + 1) * blocks;
                out.copy_from_slice(&mixture.summary(&means[part.clone()], &variances[part]));
            }
        }
    }
}

/// Working storage for one level.
pub(super) struct Level<'a> {
    of: &'a Averages<'a>,
    r: Vec<f64>,
    pub(super) b: Vec<f64>,
    /// The factor of M, the factor's inverse times `(back Λ/σ)ᵀ` and Aᵀ, and `back H`: q × q each.
    m: Vec<Lane>,
    pub(super) v: Vec<Lane>,
    y: Vec<Lane>,
    pub(super) h: Vec<Lane>,
    /// A row of D.
    d: Vec<Lane>,
}

impl<'a> Level<'a> {
    pub(super) fn new(of: &'a Averages<'a>, q: usize) -> Self {
        let square = vec![ZERO; q * q];
        Self {
            of,
            r: vec![0.0; q * (q + 1) / 2],
            b: vec![0.0; q * of.data.width],
            m: square.clone(),
            v: square.clone(),
            y: square.clone(),
            h: square,
            d: vec![ZERO; of.n_integrated],
        }
    }

    /// Take the rows of a level; beyond the last level there are none.
    #[inline(always)]
    pub(super) fn load<const Q: usize>(&mut self, level: usize) {
        let (block, lane) = (level / LANES, level % LANES);
        let (triangle, size) = (self.r.len(), self.b.len());
        if level < self.of.data.n_levels {
            for (to, from) in self.r.iter_mut().zip(&self.of.data.r[block * triangle..]) {
                *to = from[lane];
            }
            for (to, from) in self.b.iter_mut().zip(&self.of.data.b[block * size..]) {
                *to = from[lane];
            }
        } else {
            self.r.fill(0.0);
            self.b.fill(0.0);
        }
        if self.of.lambda.is_empty() {
            self.condition_flat::<Q>();
        }
    }

    /// With flat priors r = R⁻¹(B u + σz): no node matters. Levels that cannot determine r give NaN.
    #[inline(always)]
    fn condition_flat<const Q: usize>(&mut self) {
        let q = if Q == ANY { self.of.data.q } else { Q };
        for i in 0..q {
            for c in 0..=i {
                self.m[i * q + c] = [self.r[upper(q, c, i)]; LANES];
                self.v[c * q + i] = [self.of.back[i * q + c]; LANES];
                self.v[i * q + c] = [self.of.back[c * q + i]; LANES];
            }
            let length: f64 = (0..=i).map(|c| self.r[upper(q, c, i)].powi(2)).sum::<f64>().sqrt();
            if self.r[upper(q, i, i)].abs() <= SINGULAR * length {
                self.m[i * q + i] = [f64::NAN; LANES];
            }
        }
        solve_lower::<Q>(&self.m, q, &mut self.v, q);
        for i in 0..q {
            for c in 0..q {
                self.h[i * q + c] = self.v[c * q + i];
            }
        }
    }

    /// `back H` into `h`; the rows of `v` have the variances of `back r` in units of σ² as the
    /// squares of their columns.
    #[inline(always)]
    pub(super) fn condition<const Q: usize>(&mut self, block: usize) {
        if self.of.lambda.is_empty() {
            return;
        }
        let q = if Q == ANY { self.of.data.q } else { Q };
        let lambda = &self.of.lambda[block * q * q..][..q * q];
        let written = &self.of.written[block * q * q..][..q * q];
        for i in 0..q {
            for k in 0..q {
                let mut a = ZERO;
                for c in i.max(k)..q {
                    add_scaled(&mut a, &lambda[c * q + k], self.r[upper(q, i, c)]);
                }
                self.y[k * q + i] = a;
                self.v[k * q + i] = written[i * q + k];
            }
        }
        for i in 0..q {
            for j in 0..=i {
                let mut sum = if i == j { ONE } else { ZERO };
                for c in 0..q {
                    add_product(&mut sum, &self.y[i * q + c], &self.y[j * q + c]);
                }
                self.m[i * q + j] = sum;
            }
        }
        // M ≥ I, so this cannot fail for finite numbers; others come out as NaN.
        cholesky::<Q>(&mut self.m, q);
        solve_lower::<Q>(&self.m, q, &mut self.v, q);
        solve_lower::<Q>(&self.m, q, &mut self.y, q);
        for i in 0..q {
            for c in 0..q {
                let mut sum = ZERO;
                for k in 0..q {
                    add_product(&mut sum, &self.v[k * q + i], &self.y[k * q + c]);
                }
                self.h[i * q + c] = sum;
            }
        }
    }

    /// Means and variances of the coefficients at the nodes of a block.
    #[inline(always)]
    fn moments<const Q: usize>(
        &mut self,
        block: usize,
        (means, variances): (&mut [Lane], &mut [Lane]),
    ) {
        let of = self.of;
        let q = if Q == ANY { of.data.q } else { Q };
        let (w, p, blocks) = (of.data.width, of.n_integrated, of.weights.len());
        let u = &of.u[block * w..][..w];
        let root = &of.root[block * p * p..][..p * p];
        let variance = times(&of.sigma[block], &of.sigma[block]);
        for (c, e) in self.y[..q].iter_mut().enumerate() {
            let mut sum = ZERO;
            for (u, b) in u.iter().zip(&self.b[c * w..][..w]) {
                add_scaled(&mut sum, u, *b);
            }
            *e = sum;
        }
        for i in 0..q {
            let mut mean = of.shift[block * q + i];
            let mut own = ZERO;
            for c in 0..q {
                add_product(&mut mean, &self.h[i * q + c], &self.y[c]);
                add_product(&mut own, &self.v[c * q + i], &self.v[c * q + i]);
            }
            for (l, d) in self.d.iter_mut().enumerate() {
                *d = [of.population[i * p + l]; LANES];
                for c in 0..q {
                    add_scaled(d, &self.h[i * q + c], -self.b[c * w + l]);
                }
            }
            let mut total = times(&variance, &own);
            for (k, row) in root.chunks_exact(p.max(1)).enumerate() {
                // Row k ends with entry k, its diagonal.
                let mut along = ZERO;
                for (root, d) in row[..=k].iter().zip(&self.d) {
                    add_product(&mut along, root, d);
                }
                add_product(&mut total, &along, &along);
            }
            means[i * blocks + block] = mean;
            variances[i * blocks + block] = total;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marginal::nodes::coefficients;

    const TAILS: [f64; 2] = [0.025, 0.975];
    const Z: f64 = 1.959_963_984_540_054;

    #[test]
    fn one_mean_shrinks_as_the_closed_form_says() {
        // n = 4 rows of value 2 with sigma = 1, sd = 1, nothing else: E r = 2 · 4/5, var = 1/5.
        let mut data = CrossProducts::new(1, 1, 5);
        for _ in 0..4 {
            data.add_row(2, &mut [1.0], &mut [2.0]);
        }
        data.finish(&[1.0]);
        let nodes = Nodes::new(1, vec![1.0; 5], vec![1.0; 5]);
        let found = coefficients(&data, &[0.0], &nodes, 0, vec![1.0; 5], 1);
        let written = Written { back: &[1.0], population: &[], shift: &[10.0; 5] };
        let averages = Averages::new(&data, &nodes, &found, &written, &[0.2; 5]);
        let mut out = [0.0; 8];
        averages.summarise(&[2, 4], TAILS.map(Tail::new), 2, &mut out);
        let sd = 0.2f64.sqrt();
        let expected = [11.6, sd, 11.6 - Z * sd, 11.6 + Z * sd, 10.0, 1.0, 10.0 - Z, 10.0 + Z];
        for (found, expected) in out.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }

    #[test]
    fn a_flat_prior_gives_least_squares() {
        // y = 1 + 2x exactly at x = 0, 1, 2: r = (1, 2), and var = σ² (Z'Z)⁻¹ = [5/6, 1/2] σ².
        let mut data = CrossProducts::new(2, 1, 2);
        for x in [0.0, 1.0, 2.0] {
            data.add_row(0, &mut [1.0, x], &mut [1.0 + 2.0 * x]);
            data.add_row(1, &mut [1.0, 3.0], &mut [x]);
        }
        data.finish(&[1.0, 0.0, 0.0, 1.0]);
        let nodes = Nodes::new(2, vec![2.0], vec![]);
        let found = Coefficients { u: vec![1.0], root: vec![] };
        let back = [1.0, 0.0, 0.0, 1.0];
        let written = Written { back: &back, population: &[], shift: &[0.0, 0.0] };
        let averages = Averages::new(&data, &nodes, &found, &written, &[1.0]);
        let mut out = [0.0; 16];
        averages.summarise(&[0, 1], TAILS.map(Tail::new), 1, &mut out);
        let sds = [4.0f64 * 5.0 / 6.0, 4.0 * 0.5].map(f64::sqrt);
        for (k, mean) in [1.0, 2.0].into_iter().enumerate() {
            assert!((out[4 * k] - mean).abs() < 1e-12 && (out[4 * k + 1] - sds[k]).abs() < 1e-12);
        }
        // The second level has one value of x only.
        assert!(out[8..].iter().all(|x| x.is_nan()));
    }
}
