//! Linear predictors of rows averaged over nodes of φ, population coefficients integrated out.
//!
//! A row is `a·(−c, 1) + zᵀ back r + ε`, with the r of one level and ε of variance `σ² noise`. Given
//! φ it is normal: of c and r as in [`super::averaged`], its variance is `σ² (|v z|² + noise)` and,
//! with `d = −a − (back H B_x)ᵀ z` for the integrated coefficients, `dᵀ F⁻¹ d`.

use super::averaged::{Averages, Level};
use super::sums::ANY;
use crate::lanes::{Lane, ZERO, add_product, add_scaled, times};
use crate::mixture::{Mixture, Tail};
use crate::parallel::in_parts;

/// Rows, in which those of a level stand together.
pub struct Rows<'a> {
    /// Index of the level; from the number of levels on, one without rows of its own.
    pub levels: &'a [i64],
    /// row × width: what `u = (−c, 1)` is multiplied by.
    pub a: &'a [f64],
    /// row × q.
    pub z: &'a [f64],
    pub noise: &'a [f64],
}

/// Mean, sd and two quantiles of some rows: out is row × 4.
pub fn summarise(
    averages: &Averages,
    rows: &Rows,
    tails: [Tail; 2],
    threads: usize,
    out: &mut [f64],
) {
    let mut each: Vec<_> = out.chunks_exact_mut(4).collect();
    in_parts(&mut each, threads, |first, some| {
        let arch = pulp::Arch::new();
        match averages.q() {
            1 => arch.dispatch(Summarise::<1>(averages, rows, tails, first, some)),
            2 => arch.dispatch(Summarise::<2>(averages, rows, tails, first, some)),
            3 => arch.dispatch(Summarise::<3>(averages, rows, tails, first, some)),
            _ => arch.dispatch(Summarise::<ANY>(averages, rows, tails, first, some)),
        }
    });
}

struct Summarise<'a, 'b, 'c, const Q: usize>(
    &'a Averages<'a>,
    &'a Rows<'a>,
    [Tail; 2],
    usize,
    &'b mut [&'c mut [f64]],
);

impl<const Q: usize> pulp::WithSimd for Summarise<'_, '_, '_, Q> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        let Self(averages, rows, tails, first, some) = self;
        let q = if Q == ANY { averages.q() } else { Q };
        let (w, blocks) = (averages.width(), averages.weights.len());
        let mut own = Own::new(averages, q);
        let (mut means, mut variances) = (vec![ZERO; blocks], vec![ZERO; blocks]);
        let mut mixture = Mixture::new(&averages.weights, tails);
        let mut last = None;
        for (k, out) in some.iter_mut().enumerate() {
            let row = first + k;
            if last != Some(rows.levels[row]) {
                last = Some(rows.levels[row]);
                own.take::<Q>(usize::try_from(rows.levels[row]).unwrap_or(usize::MAX));
            }
            let (a, z) = (&rows.a[row * w..][..w], &rows.z[row * q..][..q]);
            for (block, (mean, variance)) in means.iter_mut().zip(&mut variances).enumerate() {
                (*mean, *variance) = own.moments::<Q>(block, (a, z), rows.noise[row]);
            }
            out.copy_from_slice(&mixture.summary(&means, &variances));
        }
    }
}

/// What the rows of one level share, block by block.
struct Own<'a> {
    of: &'a Averages<'a>,
    level: Level<'a>,
    /// `back r̂` at ĉ: q.
    mean: Vec<Lane>,
    /// `back H B_x`: q × integrated coefficients.
    follows: Vec<Lane>,
    /// Rows whose squares are the variances of `back r` given c: q × q.
    root: Vec<Lane>,
    d: Vec<Lane>,
}

impl<'a> Own<'a> {
    fn new(of: &'a Averages<'a>, q: usize) -> Self {
        let (p, blocks) = (of.n_integrated, of.weights.len());
        Self {
            of,
            level: Level::new(of, q),
            mean: vec![ZERO; blocks * q],
            follows: vec![ZERO; blocks * q * p],
            root: vec![ZERO; blocks * q * q],
            d: vec![ZERO; p],
        }
    }

    #[inline(always)]
    fn take<const Q: usize>(&mut self, level: usize) {
        let q = if Q == ANY { self.of.q() } else { Q };
        let (w, p) = (self.of.width(), self.of.n_integrated);
        self.level.load::<Q>(level);
        for block in 0..self.of.weights.len() {
            self.level.condition::<Q>(block);
            let Level { h, v, b, .. } = &self.level;
            let u = &self.of.u[block * w..][..w];
            for i in 0..q {
                let mut mean = ZERO;
                for c in 0..q {
                    let mut rest = ZERO;
                    for (u, b) in u.iter().zip(&b[c * w..][..w]) {
                        add_scaled(&mut rest, u, *b);
                    }
                    add_product(&mut mean, &h[i * q + c], &rest);
                }
                self.mean[block * q + i] = mean;
                for l in 0..p {
                    let mut follows = ZERO;
                    for c in 0..q {
                        add_scaled(&mut follows, &h[i * q + c], b[c * w + l]);
                    }
                    self.follows[(block * q + i) * p + l] = follows;
                }
            }
            self.root[block * q * q..][..q * q].copy_from_slice(&v[..q * q]);
        }
    }

    /// Mean and variance of a row at the nodes of a block.
    #[inline(always)]
    fn moments<const Q: usize>(
        &mut self,
        block: usize,
        (a, z): (&[f64], &[f64]),
        noise: f64,
    ) -> (Lane, Lane) {
        let of = self.of;
        let q = if Q == ANY { of.q() } else { Q };
        let (w, p) = (of.width(), of.n_integrated);
        let mut mean = ZERO;
        for (u, a) in of.u[block * w..][..w].iter().zip(a) {
            add_scaled(&mut mean, u, *a);
        }
        for (own, z) in self.mean[block * q..][..q].iter().zip(z) {
            add_scaled(&mut mean, own, *z);
        }
        let mut own = [noise; crate::lanes::LANES];
        for row in self.root[block * q * q..][..q * q].chunks_exact(q.max(1)) {
            let mut along = ZERO;
            for (root, z) in row.iter().zip(z) {
                add_scaled(&mut along, root, *z);
            }
            add_product(&mut own, &along, &along);
        }
        let sigma = &of.sigma[block];
        let mut variance = times(&times(sigma, sigma), &own);
        for (l, d) in self.d.iter_mut().enumerate() {
            *d = [-a[l]; crate::lanes::LANES];
            for (i, z) in z.iter().enumerate() {
                add_scaled(d, &self.follows[(block * q + i) * p + l], -z);
            }
        }
        let root = &of.root[block * p * p..][..p * p];
        for (k, row) in root.chunks_exact(p.max(1)).enumerate() {
            // Row k ends with entry k, its diagonal.
            let mut along = ZERO;
            for (root, d) in row[..=k].iter().zip(&self.d) {
                add_product(&mut along, root, d);
            }
            add_product(&mut variance, &along, &along);
        }
        (mean, variance)
    }
}

#[cfg(test)]
mod tests {
    use super::super::averaged::Written;
    use super::super::crossproducts::CrossProducts;
    use super::super::nodes::{Nodes, coefficients};
    use super::*;

    #[test]
    fn a_row_is_normal_as_the_closed_form_says() {
        // 4 rows of value 2 in level 0, sigma = 1, sd = 1, c known to be 10: given these, r is
        // N((2 − 10)·4/5, 1/5), and a level without rows has N(0, 1).
        let mut data = CrossProducts::new(1, 2, 3);
        for _ in 0..4 {
            data.add_row(0, &mut [1.0], &mut [1.0, 2.0]);
        }
        data.finish(&[1.0]);
        let nodes = Nodes::new(1, vec![1.0; 5], vec![1.0; 5]);
        let u = [-10.0, 1.0].repeat(5);
        let found = coefficients(&data, &[0.0; 4], &nodes, 0, u, 1);
        let written = Written { back: &[1.0], population: &[], shift: &[0.0; 5] };
        let averages = Averages::new(&data, &nodes, &found, &written, &[0.2; 5]);
        let rows = Rows {
            levels: &[0, 0, 2, 3],
            a: &[-1.0, 0.5, -2.0, 0.0, -1.0, 0.0, 0.0, 0.0],
            z: &[1.0, 2.0, 1.0, 3.0],
            noise: &[0.0, 1.0, 0.0, 0.25],
        };
        let expected =
            [(10.5 - 6.4, 0.2f64), (20.0 - 12.8, 0.8 + 1.0), (10.0, 1.0), (0.0, 9.0 + 0.25)];
        for threads in [1, 3] {
            let mut out = [0.0; 16];
            let tails = [0.025, 0.975].map(Tail::new);
            summarise(&averages, &rows, tails, threads, &mut out);
            for (found, (mean, variance)) in out.chunks(4).zip(expected) {
                let sd = variance.sqrt();
                let (low, high) = (mean - 1.959963984540054 * sd, mean + 1.959963984540054 * sd);
                for (found, expected) in found.iter().zip([mean, sd, low, high]) {
                    assert!((found - expected).abs() < 1e-9, "{found} {expected}");
                }
            }
        }
    }
}
