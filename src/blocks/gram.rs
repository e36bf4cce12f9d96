//! Cross-products as one sparse symmetric matrix, and back: what files keep of the rows.
//!
//! Its columns are those of all factors, level by level, then `[X y]`.

use super::products::{Factor, Products, Shape};
use std::collections::BTreeMap;

/// Entries of the lower triangle: (row, column, value).
pub type Entries = Vec<(usize, usize, f64)>;

/// Where the columns of each factor begin, and those of `[X y]`.
fn starts(shapes: impl Iterator<Item = (usize, usize)>) -> Vec<usize> {
    let mut starts = vec![0];
    for (q, n_levels) in shapes {
        starts.push(starts[starts.len() - 1] + q * n_levels);
    }
    starts
}

impl Products {
    /// All entries that may differ from 0.
    pub fn gram(&self) -> Entries {
        let starts = starts(self.factors.iter().map(|factor| (factor.q, factor.n_levels)));
        let (w, end) = (self.width, starts[self.factors.len()]);
        let mut entries = Entries::new();
        for (factor, &start) in self.factors.iter().zip(&starts) {
            let q = factor.q;
            for level in 0..factor.n_levels {
                let first = start + level * q;
                for i in 0..q {
                    for j in 0..=i {
                        entries.push((first + i, first + j, factor.own(level)[i * q + j]));
                    }
                    for c in 0..w {
                        entries.push((end + c, first + i, factor.with_b(level, w)[i * w + c]));
                    }
                }
            }
        }
        // A column of the others → where it stands among all.
        let place = |column: usize| {
            let of = |&&k: &&usize| self.factors[k].offset <= column;
            let k = self.others.iter().rev().find(of).copied().unwrap_or(0);
            starts[k] + column - self.factors[k].offset
        };
        let mut put = |a: usize, b: usize, value: f64| entries.push((a.max(b), a.min(b), value));
        let q = self.lead().q;
        for level in 0..self.lead().n_levels {
            for link in self.links(level) {
                for a in 0..q {
                    let column = place(self.linked[link] as usize);
                    let value = self.link_values[link * q + a];
                    put(starts[self.lead] + level * q + a, column, value);
                }
            }
        }
        for (&(row, column), values) in self.pairs.iter().zip(&self.pair_values) {
            let q = self.q_at(column as usize);
            for (e, &value) in values.iter().enumerate() {
                put(place(row as usize + e / q), place(column as usize + e % q), value);
            }
        }
        for i in 0..w {
            for j in 0..=i {
                put(end + i, end + j, self.total[i * w + j]);
            }
        }
        entries
    }

    /// The products that `gram` gave; `None` where entries do not fit the shapes.
    pub fn from_gram(
        shapes: &[Shape],
        (width, n_rows): (usize, usize),
        entries: &Entries,
    ) -> Option<Self> {
        let starts = starts(shapes.iter().map(|shape| (shape.q, shape.n_levels)));
        let end = starts[shapes.len()];
        if entries.iter().any(|&(row, column, _)| column > row || row >= end + width) {
            return None;
        }
        let mut factors: Vec<Factor> = Vec::new();
        for shape in shapes {
            let first = factors.iter().map(|factor| factor.q).sum();
            factors.push(Factor::new(shape, first, width));
        }
        let mut filled =
            Filled { total: vec![0.0; width * width], crossed: BTreeMap::new(), factors, starts };
        for &(row, column, value) in entries {
            filled.put(row, column, value)?;
        }
        let Filled { total, crossed, factors, .. } = filled;
        let cross = |k: usize, h: usize| {
            let swapped = k > h;
            let found = crossed.get(&(k.min(h), k.max(h))).into_iter().flatten();
            let mut found: Vec<_> = found
                .map(|(&(a, b), values)| {
                    let (p, q) = (shapes[k.min(h)].q, shapes[k.max(h)].q);
                    if swapped {
                        ((b, a), transposed(values, p, q))
                    } else {
                        ((a, b), values.clone())
                    }
                })
                .collect();
            found.sort_by_key(|&(pair, _)| pair);
            found
        };
        Some(Self::assemble(factors, cross, total, (width, n_rows)))
    }
}

fn transposed(a: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    (0..columns).flat_map(|c| (0..rows).map(move |r| a[r * columns + c])).collect()
}

/// What entries say, sorted into its places.
struct Filled {
    starts: Vec<usize>,
    factors: Vec<Factor>,
    total: Vec<f64>,
    /// By pairs of factors: pairs of levels, with their q × p.
    crossed: BTreeMap<(usize, usize), OfLevels>,
}

/// By pairs of levels: their cross-products.
type OfLevels = BTreeMap<(u32, u32), Vec<f64>>;

impl Filled {
    /// A column's factor, level, and place among the columns of its level.
    fn find(&self, column: usize) -> (usize, usize, usize) {
        let k = self.starts.partition_point(|&start| start <= column) - 1;
        let (q, at) = (self.factors[k].q, column - self.starts[k]);
        (k, at / q, at % q)
    }

    /// Take an entry of the lower triangle; `None` where it fits nowhere.
    fn put(&mut self, row: usize, column: usize, value: f64) -> Option<()> {
        let (end, width) = (self.starts[self.factors.len()], self.total.len().isqrt());
        if column >= end {
            let (i, j) = (row - end, column - end);
            self.total[i * width + j] = value;
            self.total[j * width + i] = value;
            return Some(());
        }
        let (k, level, j) = self.find(column);
        let q = self.factors[k].q;
        if row >= end {
            self.factors[k].with_b[(level * q + j) * width + row - end] = value;
            return Some(());
        }
        let (h, other, i) = self.find(row);
        if h == k {
            let own = &mut self.factors[k].own[level * q * q..][..q * q];
            (own[i * q + j], own[j * q + i]) = (value, value);
            return (level == other).then_some(());
        }
        let p = self.factors[h].q;
        let of_pair = self.crossed.entry((k, h)).or_default();
        let values = of_pair.entry((level as u32, other as u32));
        values.or_insert_with(|| vec![0.0; q * p])[j * p + i] = value;
        Some(())
    }
}
