//! Rows → cross-products of the pairs of levels that occur; the rows are not needed again.

use super::rest::Pattern;
use crate::marginal::Reduced;
use crate::marginal::conditional::semidefinite_factor;
use std::ops::Range;
use std::sync::Arc;

/// The shape of one grouping factor.
#[derive(Clone, Debug)]
pub struct Shape {
    pub q: usize,
    pub n_levels: usize,
    /// `Z_user = Z · unscale`, q × q.
    pub unscale: Vec<f64>,
}

/// One grouping factor of the rows: its working columns and the level of each row.
pub struct Rows {
    pub shape: Shape,
    /// By rows, `q` numbers each.
    pub z: Vec<f64>,
    pub codes: Vec<u32>,
}

/// What is kept of a factor.
#[derive(Clone, Debug)]
pub struct Factor {
    pub q: usize,
    pub n_levels: usize,
    /// Its first column among those of Λ.
    pub first: usize,
    /// Among the columns of the factors that are not eliminated first.
    pub offset: usize,
    pub unscale: Vec<f64>,
    /// The inverse of `unscale`.
    pub back: Vec<f64>,
    /// ZᵀZ (q × q) and Zᵀ[X y] (q × w) of each level.
    pub own: Vec<f64>,
    pub with_b: Vec<f64>,
}

impl Factor {
    /// A factor without rows.
    pub fn new(shape: &Shape, first: usize, width: usize) -> Self {
        let Shape { q, n_levels, .. } = *shape;
        Self {
            q,
            n_levels,
            first,
            offset: 0,
            back: inverse_upper(&shape.unscale, q),
            unscale: shape.unscale.clone(),
            own: vec![0.0; n_levels * q * q],
            with_b: vec![0.0; n_levels * q * width],
        }
    }

    pub fn own(&self, level: usize) -> &[f64] {
        &self.own[level * self.q * self.q..][..self.q * self.q]
    }

    pub fn with_b(&self, level: usize, w: usize) -> &[f64] {
        &self.with_b[level * self.q * w..][..self.q * w]
    }

    /// Columns of a level among those that are not eliminated first.
    pub fn columns(&self, level: usize) -> Range<usize> {
        let start = self.offset + level * self.q;
        start..start + self.q
    }
}

/// The rows, reduced.
#[derive(Clone, Debug)]
pub struct Products {
    pub width: usize,
    pub n_rows: usize,
    /// In the order of the model.
    pub factors: Vec<Factor>,
    /// The factor that is eliminated first, and the others.
    pub lead: usize,
    pub others: Vec<usize>,
    /// Columns of the others.
    pub n_rest: usize,
    /// For each level of the lead: where its links begin.
    pub links: Vec<usize>,
    /// The columns of the others that share rows with the level, in order, and `Z_jᵀz` for each.
    pub linked: Vec<u32>,
    pub link_values: Vec<f64>,
    /// Cross-products of different others: (row, column) of its first entry, q × q.
    pub pairs: Vec<(u32, u32)>,
    pub pair_values: Vec<Vec<f64>>,
    /// `[X y]ᵀ[X y]`, w × w.
    pub total: Vec<f64>,
    /// The entries of the others' matrix, where it is worth while to know them.
    pub pattern: Option<Arc<Pattern>>,
}

impl Reduced for Products {
    fn q(&self) -> usize {
        self.factors.iter().map(|factor| factor.q).sum()
    }

    fn width(&self) -> usize {
        self.width
    }

    fn n_rows(&self) -> usize {
        self.n_rows
    }

    fn information(&self) -> Vec<f64> {
        let of_factor = |factor: &Factor| {
            let (q, mut sum) = (factor.q, vec![0.0; factor.q * factor.q]);
            for own in factor.own.chunks_exact(q * q) {
                sum.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
            }
            let along = |c: usize, i: usize| -> f64 {
                (0..q).map(|j| sum[i * q + j] * factor.unscale[j * q + c]).sum()
            };
            let square =
                |c: usize| -> f64 { (0..q).map(|i| factor.unscale[i * q + c] * along(c, i)).sum() };
            (0..q).map(|c| square(c) / factor.n_levels as f64).collect::<Vec<f64>>()
        };
        self.factors.iter().flat_map(of_factor).collect()
    }
}

impl Products {
    /// Reduce rows of Z, factor by factor, and of `[X y]` (`width` numbers each).
    pub fn new(rows: &[Rows], xy: &[f64], width: usize) -> Self {
        let mut factors: Vec<Factor> = Vec::new();
        for rows in rows {
            let first = factors.iter().map(|factor| factor.q).sum();
            factors.push(factor(rows, xy, width, first));
        }
        let mut total = vec![0.0; width * width];
        for row in xy.chunks_exact(width.max(1)) {
            add_outer(row, row, &mut total);
        }
        let n_rows = xy.len() / width.max(1);
        Self::assemble(factors, |g, h| cross(&rows[g], &rows[h]), total, (width, n_rows))
    }

    /// Put products together; `cross` gives those of pairs of levels of two factors, in order.
    pub fn assemble(
        mut factors: Vec<Factor>,
        cross: impl Fn(usize, usize) -> Crossed,
        total: Vec<f64>,
        (width, n_rows): (usize, usize),
    ) -> Self {
        let size = |&k: &usize| factors[k].q * factors[k].n_levels;
        let lead = (0..factors.len()).rev().max_by_key(size).unwrap_or(0);
        let others: Vec<usize> = (0..factors.len()).filter(|&k| k != lead).collect();
        let mut n_rest = 0;
        for &k in &others {
            factors[k].offset = n_rest;
            n_rest += factors[k].q * factors[k].n_levels;
        }
        let (links, linked, link_values) = links(&cross, &factors, lead, &others);
        let (pairs, pair_values) = pairs(&cross, &factors, &others);
        let mut products = Self {
            width,
            n_rows,
            factors,
            lead,
            others,
            n_rest,
            links,
            linked,
            link_values,
            pairs,
            pair_values,
            total,
            pattern: None,
        };
        products.pattern = Pattern::of(&products).map(Arc::new);
        products
    }

    pub fn lead(&self) -> &Factor {
        &self.factors[self.lead]
    }

    /// Columns that a level has, of the other factor to which a column belongs.
    pub fn q_at(&self, column: usize) -> usize {
        let of = |&&k: &&usize| self.factors[k].offset <= column;
        self.others.iter().rev().find(of).map_or(1, |&k| self.factors[k].q)
    }

    /// The factors of several covariances, as one matrix that is block diagonal over factors.
    pub fn join(&self, factors: &[Vec<f64>]) -> Vec<f64> {
        let total = self.q();
        let mut lambda = vec![0.0; total * total];
        for (factor, own) in self.factors.iter().zip(factors) {
            for (i, row) in own.chunks_exact(factor.q).enumerate() {
                lambda[(factor.first + i) * total + factor.first..][..factor.q]
                    .copy_from_slice(row);
            }
        }
        lambda
    }

    /// Λ/σ from the covariances of all factors.
    pub fn relative(&self, covariances: impl Iterator<Item = Vec<f64>>, sigma: f64) -> Vec<f64> {
        let factors: Vec<Vec<f64>> = (covariances.zip(&self.factors))
            .map(|(mut covariance, factor)| {
                semidefinite_factor(&mut covariance, factor.q);
                covariance.iter().map(|entry| entry / sigma).collect()
            })
            .collect();
        self.join(&factors)
    }

    /// Links of a level of the lead.
    pub fn links(&self, level: usize) -> Range<usize> {
        self.links[level]..self.links[level + 1]
    }
}

/// Columns that stand side by side, as where every level meets every other.
#[inline(always)]
pub fn side_by_side(columns: &[u32]) -> Option<Range<usize>> {
    let (first, last) = columns.first().zip(columns.last())?;
    let all = *first as usize..*last as usize + 1;
    (all.len() == columns.len()).then_some(all)
}

/// Add `left · rightᵀ` to `sum`.
fn add_outer(left: &[f64], right: &[f64], sum: &mut [f64]) {
    for (sum, &a) in sum.chunks_exact_mut(right.len()).zip(left) {
        for (sum, &b) in sum.iter_mut().zip(right) {
            *sum += a * b;
        }
    }
}

fn factor(rows: &Rows, xy: &[f64], w: usize, first: usize) -> Factor {
    let (mut factor, q) = (Factor::new(&rows.shape, first, w), rows.shape.q);
    for (i, &code) in rows.codes.iter().enumerate() {
        let (z, code) = (&rows.z[i * q..][..q], code as usize);
        add_outer(z, z, &mut factor.own[code * q * q..][..q * q]);
        add_outer(z, &xy[i * w..][..w], &mut factor.with_b[code * q * w..][..q * w]);
    }
    factor
}

/// Inverse of an upper triangular matrix.
fn inverse_upper(u: &[f64], n: usize) -> Vec<f64> {
    let mut inverse = vec![0.0; n * n];
    for c in 0..n {
        for i in (0..=c).rev() {
            let s: f64 = (i + 1..=c).map(|k| u[i * n + k] * inverse[k * n + c]).sum();
            inverse[i * n + c] = (f64::from(u8::from(i == c)) - s) / u[i * n + i];
        }
    }
    inverse
}

/// Pairs of levels of two factors that share rows, in order, with their `Z_gᵀZ_h`.
pub type Crossed = Vec<((u32, u32), Vec<f64>)>;

/// The pairs of levels of two factors, from rows.
fn cross(g: &Rows, h: &Rows) -> Crossed {
    let (p, q) = (g.shape.q, h.shape.q);
    let mut keys: Vec<(u64, u32)> = (g.codes.iter().zip(&h.codes).enumerate())
        .map(|(i, (&a, &b))| ((u64::from(a) << 32) | u64::from(b), i as u32))
        .collect();
    keys.sort_unstable();
    let mut found = Crossed::new();
    for (key, i) in keys {
        let pair = ((key >> 32) as u32, key as u32);
        if found.last().is_none_or(|(last, _)| *last != pair) {
            found.push((pair, vec![0.0; p * q]));
        }
        if let Some((_, sum)) = found.last_mut() {
            let i = i as usize;
            add_outer(&g.z[i * p..][..p], &h.z[i * q..][..q], sum);
        }
    }
    found
}

type Links = (Vec<usize>, Vec<u32>, Vec<f64>);

/// What the levels of the lead share with those of the others.
fn links(
    cross: &impl Fn(usize, usize) -> Crossed,
    factors: &[Factor],
    lead: usize,
    others: &[usize],
) -> Links {
    let Some(first) = factors.get(lead) else { return (vec![0], Vec::new(), Vec::new()) };
    let mut all: Vec<(u32, u32, Vec<f64>)> = Vec::new();
    for &k in others {
        let (factor, q) = (&factors[k], factors[k].q);
        for ((level, other), values) in cross(lead, k) {
            for (c, column) in factor.columns(other as usize).enumerate() {
                let values = (0..first.q).map(|a| values[a * q + c]).collect();
                all.push((level, column as u32, values));
            }
        }
    }
    all.sort_unstable_by_key(|&(level, column, _)| (level, column));
    let mut starts = vec![0; first.n_levels + 1];
    for (level, ..) in &all {
        starts[*level as usize + 1] += 1;
    }
    for level in 0..first.n_levels {
        starts[level + 1] += starts[level];
    }
    let linked = all.iter().map(|&(_, column, _)| column).collect();
    (starts, linked, all.into_iter().flat_map(|(.., values)| values).collect())
}

/// What the levels of different others share, below the diagonal.
fn pairs(
    cross: &impl Fn(usize, usize) -> Crossed,
    factors: &[Factor],
    others: &[usize],
) -> (Vec<(u32, u32)>, Vec<Vec<f64>>) {
    let mut found = Vec::new();
    for (k, &column) in others.iter().enumerate() {
        for &row in &others[k + 1..] {
            for ((i, j), values) in cross(row, column) {
                let at = |factor: usize, level: u32| {
                    factors[factor].columns(level as usize).start as u32
                };
                found.push(((at(row, i), at(column, j)), values));
            }
        }
    }
    found.into_iter().unzip()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Rows of a factor whose levels come in steps, with columns like no others.
    pub fn rows(q: usize, n_levels: usize, step: usize, n: usize) -> Rows {
        let unscale = (0..q * q).map(|k| f64::from(u8::from(k % (q + 1) == 0))).collect();
        let z = (0..n * q).map(|k| (1.3 * k as f64 + q as f64).sin()).collect();
        let codes = (0..n).map(|i| (i * step % n_levels) as u32).collect();
        Rows { shape: Shape { q, n_levels, unscale }, z, codes }
    }
}
