//! The exact conditionals of the levels' coefficients given φ: means as functions of `[X y]`,
//! covariances given b, and draws, in the user's columns.

use super::eliminate::{Elimination, outward};
use super::products::{Factor, side_by_side};
use crate::predictor::dot;

/// What is known of the coefficients of one factor at some φ.
pub struct Conditional {
    /// Per level: q × w; times `(−b, 1)` the mean of r given b.
    pub mean: Vec<f64>,
    /// Per level: q × q; times σ² the covariance of r given b.
    pub covariance: Vec<f64>,
}

impl Elimination {
    /// C of every level of a factor, in the user's columns: q × w each. After `evaluate`.
    pub fn pulls(&mut self, k: usize) -> Vec<f64> {
        self.solve();
        let (data, pulls) = (self.data.clone(), self.pulls_of_rest());
        let (factor, w) = (&data.factors[k], data.width);
        let mut out = Vec::with_capacity(factor.n_levels * factor.q * w);
        for level in 0..factor.n_levels {
            let pull = if k == data.lead {
                self.pull_of_lead(level)
            } else {
                self.pull_at(&pulls, factor, level)
            };
            for i in 0..factor.q {
                for c in 0..w {
                    let along = |a: usize| factor.unscale[a * factor.q + i] * pull[a * w + c];
                    out.push((0..factor.q).map(along).sum());
                }
            }
        }
        out
    }

    /// Means of a factor's levels, q × w each, in working columns. After `evaluate`.
    pub fn means(&mut self, k: usize) -> Vec<f64> {
        self.solve();
        let (factor, w) = (&self.data.factors[k], self.data.width);
        if k == self.data.lead {
            let of = |level| self.with_others(level, &self.own_covariance(level));
            return (0..factor.n_levels).flat_map(of).collect();
        }
        let n = self.data.n_rest;
        let rows = factor.offset..factor.offset + factor.n_levels * factor.q;
        rows.flat_map(|row| (0..w).map(move |c| (row, c)))
            .map(|(row, c)| self.x[c * n + row])
            .collect()
    }

    /// Means and covariances of a factor's levels. After `evaluate`; fills T if it is not.
    pub fn conditional(&mut self, k: usize) -> Conditional {
        self.solve();
        let data = self.data.clone();
        let (factor, w) = (&data.factors[k], data.width);
        let q = factor.q;
        let mut found = Conditional { mean: Vec::new(), covariance: Vec::new() };
        for level in 0..factor.n_levels {
            let (mean, covariance) = if k == data.lead {
                let own = self.own_covariance(level);
                let mut covariance = self.shared(level, &own);
                for (covariance, own) in covariance.iter_mut().zip(&own) {
                    *covariance += own;
                }
                (self.with_others(level, &own), covariance)
            } else {
                let at = factor.columns(level);
                let n = data.n_rest;
                let rows = at.clone().flat_map(|row| (0..w).map(move |c| (row, c)));
                let pairs = at.clone().flat_map(|r| at.clone().map(move |c| (r, c)));
                (
                    rows.map(|(row, c)| self.x[c * n + row]).collect(),
                    pairs.map(|(r, c)| self.rest.covariance(r, c)).collect(),
                )
            };
            found.mean.extend(to_user_rows(factor, &mean, w));
            let half = to_user_rows(factor, &covariance, q);
            found.covariance.extend(to_user_columns(factor, &half, q));
        }
        found
    }

    /// Fill T, which `conditional` needs. After `evaluate`.
    pub fn invert(&mut self) {
        let data = self.data.clone();
        self.rest.invert(&data, &self.scales);
    }

    /// Turn independent normal numbers into a draw of all levels' coefficients given b, in the
    /// user's columns: `u = (−b, 1)`; `z` and the draw lie factor by factor. After `evaluate`.
    pub fn draw(&mut self, u: &[f64], sigma: f64, z: &[f64]) -> Vec<f64> {
        self.solve();
        let data = self.data.clone();
        let (n, w) = (data.n_rest, data.width);
        let starts = starts(&data.factors);
        let mut rest = vec![0.0; n];
        for &k in &data.others {
            let factor = &data.factors[k];
            let size = factor.q * factor.n_levels;
            rest[factor.offset..][..size].copy_from_slice(&z[starts[k]..][..size]);
        }
        self.rest.solve_transposed(&mut rest);
        outward(&data, &self.scales, &mut rest);
        for (r, value) in rest.iter_mut().enumerate() {
            let mean: f64 = (0..w).map(|c| self.x[c * n + r] * u[c]).sum();
            *value = mean + sigma * *value;
        }
        let (mut out, mut room) = (vec![0.0; z.len()], DrawRoom::default());
        for (k, factor) in data.factors.iter().enumerate() {
            let q = factor.q;
            for level in 0..factor.n_levels {
                let at = starts[k] + level * q;
                let value = if k == data.lead {
                    let (given, z) = ((u, sigma), &z[at..at + q]);
                    match q {
                        1 => self.draw_of_lead::<1>(level, given, &rest, z, &mut room),
                        2 => self.draw_of_lead::<2>(level, given, &rest, z, &mut room),
                        _ => self.draw_of_lead::<0>(level, given, &rest, z, &mut room),
                    }
                } else {
                    &rest[factor.columns(level)]
                };
                for (own, back) in out[at..at + q].iter_mut().zip(factor.back.chunks_exact(q)) {
                    *own = back.iter().zip(value).map(|(back, value)| back * value).sum();
                }
            }
        }
        out
    }

    /// What normal numbers of the lead's levels add to their draw with σ = 1. After `evaluate`.
    pub fn steps_of_lead(&self, z: &[f64]) -> Vec<f64> {
        let lead = self.data.lead();
        let (q, mut out) = (lead.q, vec![0.0; z.len()]);
        let mut value = vec![0.0; q];
        for (level, (z, out)) in z.chunks_exact(q).zip(out.chunks_exact_mut(q)).enumerate() {
            let m = self.m(level);
            for (i, value) in value.iter_mut().enumerate() {
                *value = (0..q).map(|c| m[c * q + i] * z[c]).sum();
            }
            for (own, back) in out.iter_mut().zip(lead.back.chunks_exact(q)) {
                *own = back.iter().zip(&value).map(|(back, value)| back * value).sum();
            }
        }
        out
    }

    #[inline(always)]
    fn draw_of_lead<'a, const Q: usize>(
        &self,
        level: usize,
        (u, sigma): (&[f64], f64),
        rest: &[f64],
        z: &[f64],
        DrawRoom { e, inner, value }: &'a mut DrawRoom,
    ) -> &'a [f64] {
        let (lead, w) = (self.data.lead(), self.data.width);
        let (q, m) = (if Q == 0 { lead.q } else { Q }, self.m(level));
        e.clear();
        let of_row = |row: &[f64]| row.iter().zip(u).map(|(own, u)| own * u).sum::<f64>();
        e.extend(lead.with_b(level, w).chunks_exact(w).map(of_row));
        let links = self.data.links(level);
        let columns = &self.data.linked[links.clone()];
        let values = &self.data.link_values[links.start * q..links.end * q];
        match side_by_side(columns) {
            Some(all) if q == 1 => e[0] -= dot(values, &rest[all]),
            _ => {
                for (a, &column) in values.chunks_exact(q).zip(columns) {
                    for k in 0..q {
                        e[k] -= a[k] * rest[column as usize];
                    }
                }
            }
        }
        inner.clear();
        let along = |row: &[f64]| row.iter().zip(&*e).map(|(m, e)| m * e).sum::<f64>();
        inner.extend(m.chunks_exact(q).zip(z).map(|(row, z)| along(row) + sigma * z));
        value.clear();
        value.extend((0..q).map(|i| (0..q).map(|c| m[c * q + i] * inner[c]).sum::<f64>()));
        value
    }
}

/// Working storage of the draw of one level.
#[derive(Default)]
struct DrawRoom {
    e: Vec<f64>,
    inner: Vec<f64>,
    value: Vec<f64>,
}

/// Where the coefficients of each factor begin when they lie factor by factor.
fn starts(factors: &[Factor]) -> Vec<usize> {
    let mut start = 0;
    let mut next = |factor: &Factor| {
        let here = start;
        start += factor.q * factor.n_levels;
        here
    };
    factors.iter().map(&mut next).collect()
}

/// `back · A`, A being q × `columns`.
fn to_user_rows(factor: &Factor, a: &[f64], columns: usize) -> Vec<f64> {
    let q = factor.q;
    let entries = (0..q).flat_map(|i| (0..columns).map(move |c| (i, c)));
    let along = |i: usize, c: usize| {
        (0..q).map(|b| factor.back[i * q + b] * a[b * columns + c]).sum::<f64>()
    };
    entries.map(|(i, c)| along(i, c)).collect()
}

/// `A · backᵀ`, A being q × q.
fn to_user_columns(factor: &Factor, a: &[f64], q: usize) -> Vec<f64> {
    let entries = (0..q).flat_map(|i| (0..q).map(move |j| (i, j)));
    entries
        .map(|(i, j)| (0..q).map(|b| a[i * q + b] * factor.back[j * q + b]).sum::<f64>())
        .collect()
}
