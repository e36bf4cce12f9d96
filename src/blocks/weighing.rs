//! Products of rows whose weights change: where each row's share goes is found once.

use super::products::{Factor, Products, Rows};
use super::within::AllRows;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use std::collections::HashMap;

/// Rows that are weighted at a time.
const PART: usize = 512;

/// Rows of Z and X, and the place of each in the products.
pub struct Weighing {
    rows: Vec<Rows>,
    /// By rows, p numbers each.
    x: Vec<f64>,
    p: usize,
    n: usize,
    /// Of each other factor: the first of a row's links.
    links: Vec<Vec<u32>>,
    /// Of each pair of other factors, the one of the rows first: where a row's share goes.
    pairs: Vec<(usize, usize, Vec<u32>)>,
}

impl Weighing {
    /// With products that have room for [X y], to be filled.
    pub fn new(rows: Vec<Rows>, x: Vec<f64>, n: usize) -> (Self, Option<Products>) {
        let p = x.len() / n.max(1);
        let mut weighing = Self { rows, x, p, n, links: Vec::new(), pairs: Vec::new() };
        if weighing.rows.is_empty() {
            return (weighing, None);
        }
        let room = vec![0.0; n * (p + 1)];
        let products = Products::new(&weighing.rows, &room, p + 1);
        weighing.find_places(&products);
        (weighing, Some(products))
    }

    fn find_places(&mut self, products: &Products) {
        let rows = &self.rows;
        let first = |k: usize, i: usize| {
            products.factors[k].columns(rows[k].codes[i] as usize).start as u32
        };
        let lead = &rows[products.lead].codes;
        for &k in &products.others {
            let place = |i: usize| {
                let links = products.links(lead[i] as usize);
                let column = first(k, i);
                let own = &products.linked[links.clone()];
                (links.start + own.partition_point(|&other| other < column)) as u32
            };
            self.links.push((0..self.n).map(place).collect());
        }
        let mut known: HashMap<(u32, u32), u32> = HashMap::new();
        for (at, &pair) in products.pairs.iter().enumerate() {
            known.insert(pair, at as u32);
        }
        for (at, &column) in products.others.iter().enumerate() {
            for &row in &products.others[at + 1..] {
                let place = |i: usize| known.get(&(first(row, i), first(column, i))).copied();
                let places = (0..self.n).map(|i| place(i).unwrap_or(0)).collect();
                self.pairs.push((row, column, places));
            }
        }
    }

    /// The rows, with X alone.
    pub fn all_rows(&self) -> AllRows<'_> {
        AllRows { factors: &self.rows, xy: &self.x }
    }

    /// `[X y]ᵀH[X y]` but for yᵀHy; `pulls` are Hy. Its lower triangle counts.
    pub fn total(&self, weights: &[f64], pulls: &[f64], total: &mut [f64]) {
        let (p, w) = (self.p, self.p + 1);
        total.fill(0.0);
        self.pull(pulls, total);
        match p {
            0 => return,
            1 => return self.total_of::<1>(weights, total),
            2 => return self.total_of::<2>(weights, total),
            3 => return self.total_of::<3>(weights, total),
            _ => {}
        }
        let mut scaled = vec![0.0; PART * p];
        for (x, weights) in self.x.chunks(PART * p).zip(weights.chunks(PART)) {
            let rows = x.chunks_exact(p).zip(scaled.chunks_exact_mut(p)).zip(weights);
            for ((x, scaled), weight) in rows {
                scaled.iter_mut().zip(x).for_each(|(scaled, x)| *scaled = weight * x);
            }
            let n = weights.len();
            let into = MatMut::from_row_major_slice_with_stride_mut(total, p, p, w);
            let x = MatRef::from_row_major_slice(x, n, p);
            let scaled = MatRef::from_row_major_slice(&scaled[..n * p], n, p);
            matmul(into, Accum::Add, x.transpose(), scaled, 1.0, Par::Seq);
        }
    }

    /// The last row of `total`.
    pub fn pull(&self, pulls: &[f64], total: &mut [f64]) {
        let (p, w) = (self.p, self.p + 1);
        let sums = &mut total[p * w..p * w + p];
        sums.fill(0.0);
        for (x, pull) in self.x.chunks_exact(p.max(1)).zip(pulls) {
            sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += pull * x);
        }
    }

    /// Fill what has to do with the response alone.
    pub fn respond(&self, pulls: &[f64], products: &mut Products) {
        let (p, w) = (self.p, self.p + 1);
        self.pull(pulls, &mut products.total);
        for (factor, rows) in products.factors.iter_mut().zip(&self.rows) {
            let q = factor.q;
            factor.with_b.iter_mut().skip(p).step_by(w).for_each(|sum| *sum = 0.0);
            for ((z, &code), pull) in rows.z.chunks_exact(q).zip(&rows.codes).zip(pulls) {
                let with_b = &mut factor.with_b[code as usize * q * w..][..q * w];
                for (row, z) in with_b.chunks_exact_mut(w).zip(z) {
                    row[p] += pull * z;
                }
            }
        }
    }

    /// Fill the products: ZᵀHZ, and ZᵀH[X y], `pulls` being Hy.
    pub fn fill(&self, weights: &[f64], pulls: &[f64], products: &mut Products) {
        self.total(weights, pulls, &mut products.total);
        for (factor, rows) in products.factors.iter_mut().zip(&self.rows) {
            match (factor.q, self.p) {
                (1, 1) => self.fill_by_runs::<1, 1>(weights, pulls, rows, factor),
                (1, 2) => self.fill_by_runs::<1, 2>(weights, pulls, rows, factor),
                (1, 3) => self.fill_by_runs::<1, 3>(weights, pulls, rows, factor),
                (2, 1) => self.fill_by_runs::<2, 1>(weights, pulls, rows, factor),
                (2, 2) => self.fill_by_runs::<2, 2>(weights, pulls, rows, factor),
                (2, 3) => self.fill_by_runs::<2, 3>(weights, pulls, rows, factor),
                (1, _) => self.fill_factor::<1>(weights, pulls, rows, factor),
                (2, _) => self.fill_factor::<2>(weights, pulls, rows, factor),
                _ => self.fill_factor::<0>(weights, pulls, rows, factor),
            }
        }
        self.fill_links(weights, products);
        self.fill_pairs(weights, products);
    }

    #[inline(always)]
    fn fill_factor<const Q: usize>(
        &self,
        weights: &[f64],
        pulls: &[f64],
        rows: &Rows,
        factor: &mut Factor,
    ) {
        let (p, w) = (self.p, self.p + 1);
        let q = if Q == 0 { factor.q } else { Q };
        factor.own.fill(0.0);
        factor.with_b.fill(0.0);
        for (i, &code) in rows.codes.iter().enumerate() {
            let (z, x, code) = (&rows.z[i * q..][..q], &self.x[i * p..][..p], code as usize);
            let own = &mut factor.own[code * q * q..][..q * q];
            let with_b = &mut factor.with_b[code * q * w..][..q * w];
            for a in 0..q {
                let scaled = weights[i] * z[a];
                for b in 0..q {
                    own[a * q + b] += scaled * z[b];
                }
                let with_b = &mut with_b[a * w..][..w];
                for (sum, &x) in with_b[..p].iter_mut().zip(x) {
                    *sum += scaled * x;
                }
                with_b[p] += pulls[i] * z[a];
            }
        }
    }

    /// The same for few columns: sums of rows of a level that stand side by side stay in registers.
    fn fill_by_runs<const Q: usize, const P: usize>(
        &self,
        weights: &[f64],
        pulls: &[f64],
        rows: &Rows,
        factor: &mut Factor,
    ) {
        factor.own.fill(0.0);
        factor.with_b.fill(0.0);
        let (mut z, mut x) = (rows.z.as_chunks::<Q>().0, self.x.as_chunks::<P>().0);
        let (mut weights, mut pulls) = (weights, pulls);
        for run in rows.codes.chunk_by(|a, b| a == b) {
            let (mut own, mut with_x, mut with_y) = ([[0.0; Q]; Q], [[0.0; P]; Q], [0.0; Q]);
            let of_columns = take(&mut z, run.len()).iter().zip(take(&mut x, run.len()));
            let of_rows = take(&mut weights, run.len()).iter().zip(take(&mut pulls, run.len()));
            for ((z, x), (weight, pull)) in of_columns.zip(of_rows) {
                for a in 0..Q {
                    let scaled = weight * z[a];
                    for b in 0..Q {
                        own[a][b] += scaled * z[b];
                    }
                    for c in 0..P {
                        with_x[a][c] += scaled * x[c];
                    }
                    with_y[a] += pull * z[a];
                }
            }
            let level = run[0] as usize;
            let to = &mut factor.own[level * Q * Q..][..Q * Q];
            add(to, own.as_flattened());
            let to = &mut factor.with_b[level * Q * (P + 1)..][..Q * (P + 1)];
            for (to, (with_x, with_y)) in to.chunks_exact_mut(P + 1).zip(with_x.iter().zip(with_y))
            {
                add(&mut to[..P], with_x);
                to[P] += with_y;
            }
        }
    }

    /// The lower triangle of `XᵀHX` for few columns.
    fn total_of<const P: usize>(&self, weights: &[f64], total: &mut [f64]) {
        let mut sums = [[0.0; P]; P];
        for (x, weight) in self.x.as_chunks::<P>().0.iter().zip(weights) {
            for a in 0..P {
                let scaled = weight * x[a];
                for b in 0..=a {
                    sums[a][b] += scaled * x[b];
                }
            }
        }
        for (to, sums) in total.chunks_exact_mut(P + 1).zip(&sums) {
            add(&mut to[..P], sums);
        }
    }

    fn fill_links(&self, weights: &[f64], products: &mut Products) {
        products.link_values.fill(0.0);
        let lead = &self.rows[products.lead];
        let q = lead.shape.q;
        for (&k, places) in products.others.iter().zip(&self.links) {
            let other = &self.rows[k];
            let q_other = other.shape.q;
            for (i, &place) in places.iter().enumerate() {
                let (z, z_other) = (&lead.z[i * q..][..q], &other.z[i * q_other..][..q_other]);
                let values = &mut products.link_values[place as usize * q..][..q * q_other];
                for (values, b) in values.chunks_exact_mut(q).zip(z_other) {
                    for (value, a) in values.iter_mut().zip(z) {
                        *value += weights[i] * a * b;
                    }
                }
            }
        }
    }

    fn fill_pairs(&self, weights: &[f64], products: &mut Products) {
        products.pair_values.iter_mut().for_each(|values| values.fill(0.0));
        for (row, column, places) in &self.pairs {
            let (g, h) = (&self.rows[*row], &self.rows[*column]);
            let (p, q) = (g.shape.q, h.shape.q);
            for (i, &place) in places.iter().enumerate() {
                let values = &mut products.pair_values[place as usize];
                for (values, a) in values.chunks_exact_mut(q).zip(&g.z[i * p..][..p]) {
                    for (value, b) in values.iter_mut().zip(&h.z[i * q..][..q]) {
                        *value += weights[i] * a * b;
                    }
                }
            }
        }
    }
}

fn take<'a, T>(from: &mut &'a [T], n: usize) -> &'a [T] {
    let (own, rest) = from.split_at(n);
    *from = rest;
    own
}

fn add(to: &mut [f64], sums: &[f64]) {
    to.iter_mut().zip(sums).for_each(|(to, sum)| *to += sum);
}

#[cfg(test)]
mod tests {
    use super::super::Shape;
    use super::*;

    fn rows(q: usize, n_levels: usize, codes: Vec<u32>, weights: &[f64]) -> Rows {
        let n = codes.len();
        let unscale = (0..q * q).map(|k| f64::from(u8::from(k % (q + 1) == 0))).collect();
        let z = (0..n * q).map(|k| weights[k / q].sqrt() * (1.3 * k as f64).sin()).collect();
        Rows { shape: Shape { q, n_levels, unscale }, z, codes }
    }

    /// Three factors, of which some pairs of levels do not meet.
    fn all(n: usize, weights: &[f64]) -> Vec<Rows> {
        let codes = |k: usize, levels: usize| (0..n).map(|i| (i * k % levels) as u32).collect();
        vec![
            rows(2, 7, codes(3, 7), weights),
            rows(1, 5, codes(2, 5), weights),
            rows(2, 4, codes(5, 4), weights),
        ]
    }

    #[test]
    fn weighted_products_are_those_of_weighted_rows() {
        let (n, p) = (40, 2);
        let ones = vec![1.0; n];
        let weights: Vec<f64> = (0..n).map(|i| 0.3 + (0.7 * i as f64).cos().abs()).collect();
        let y: Vec<f64> = (0..n).map(|i| (2.1 * i as f64).sin()).collect();
        let x: Vec<f64> = (0..n * p).map(|k| (0.9 * k as f64).cos()).collect();
        let mut xy = Vec::new();
        for (i, root) in weights.iter().map(|w| w.sqrt()).enumerate() {
            xy.extend([root * x[i * p], root * x[i * p + 1], root * y[i]]);
        }
        let expected = Products::new(&all(n, &weights), &xy, p + 1);
        let (weighing, found) = Weighing::new(all(n, &ones), x, n);
        let mut found = found.unwrap();
        let pulls: Vec<f64> = weights.iter().zip(&y).map(|(w, y)| w * y).collect();
        for weights in [&ones, &weights] {
            weighing.fill(weights, &pulls, &mut found); // the last one counts
        }
        let own = found.clone();
        weighing.respond(&vec![0.3; n], &mut found); // and back
        assert!((found.factors[0].with_b[p] - own.factors[0].with_b[p]).abs() > 1e-3);
        weighing.respond(&pulls, &mut found);
        let close = |a: &[f64], b: &[f64]| {
            assert_eq!(a.len(), b.len());
            assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12), "{a:?} {b:?}");
        };
        for (found, expected) in found.factors.iter().zip(&expected.factors) {
            close(&found.own, &expected.own);
            close(&found.with_b, &expected.with_b);
        }
        close(&found.link_values, &expected.link_values);
        close(&found.pair_values.concat(), &expected.pair_values.concat());
        for i in 0..=p {
            let below = i * (p + 1)..i * (p + 1) + (i + 1).min(p);
            close(&found.total[below.clone()], &expected.total[below]);
        }
    }
}
