//! What the rows of each cell add up to: weight, mean, and a triangle of what is around the mean.
//!
//! A mean moves by what is new in a row, and the row's distance from it is rotated into the triangle
//! (Givens), so nothing is subtracted from a sum: a column keeps its digits however far from 0 it
//! is. Parts add up likewise (Chan, Golub & LeVeque 1983).
//!
//! Cells are dealt out to shards, and threads take shards and read all rows: a cell meets its rows
//! in their order, on any number of threads.

use crate::parallel::in_parts;

const SHARDS: usize = 16;
/// Parts of a batch for what all rows add up to; so many, whatever the number of threads.
const PARTS: usize = 8;
/// Columns that need no memory of their own.
const FEW: usize = 8;
/// Rows whose accumulators are fetched at once: reads that wait for memory stand side by side.
const BLOCK: usize = 16;

/// Some rows, row by row.
pub struct Rows<'a> {
    /// The cell of each.
    pub codes: &'a [i64],
    /// d numbers each.
    pub values: &'a [f64],
    /// What is subtracted from each column.
    pub origin: &'a [f64],
    /// Above 0; 1 by default.
    pub weights: Option<&'a [f64]>,
}

impl Rows<'_> {
    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[row])
    }
}

/// Accumulators one after the other, each by: weight, rows, mean, triangle by rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums {
    d: usize,
    numbers: Vec<f64>,
}

/// One accumulator, read.
pub struct Sum<'a> {
    pub weight: f64,
    pub rows: f64,
    pub mean: &'a [f64],
    /// Upper triangle by rows, d (d + 1) / 2.
    pub triangle: &'a [f64],
}

impl Sums {
    pub fn new(d: usize, count: usize) -> Self {
        Self { d, numbers: vec![0.0; count * stride(d)] }
    }

    pub fn grow(&mut self, count: usize) {
        let length = count * stride(self.d);
        if length > self.numbers.len() {
            self.numbers.resize(length, 0.0);
        }
    }

    fn count(&self) -> usize {
        self.numbers.len() / stride(self.d)
    }

    pub fn get(&self, k: usize) -> Sum<'_> {
        let own = &self.numbers[k * stride(self.d)..][..stride(self.d)];
        let (mean, triangle) = own[2..].split_at(self.d);
        Sum { weight: own[0], rows: own[1], mean, triangle }
    }

    /// Add a part: what `n` rows add up to.
    pub fn join(&mut self, k: usize, part: &Sum) {
        let d = self.d;
        if part.weight <= 0.0 {
            return;
        }
        let own = &mut self.numbers[k * stride(d)..][..stride(d)];
        let mut few = [0.0; FEW];
        let mut many = vec![0.0; if d > FEW { d } else { 0 }];
        let scratch = if d > FEW { &mut many[..] } else { &mut few[..d] };
        take_in(own, d, part.mean, part.weight, part.rows, scratch);
        for a in 0..d {
            scratch[..a].fill(0.0);
            scratch[a..].copy_from_slice(&part.triangle[upper(d, a, a)..][..d - a]);
            rotate(&mut own[2 + d..], d, a, scratch);
        }
    }
}

/// What rows add up to: by cell, and all together.
#[derive(Clone, Debug)]
pub struct Cells {
    d: usize,
    count: usize,
    shards: Vec<Sums>,
    weighted: bool,
    parts: Vec<Whole>,
}

/// What some of the rows, of whatever cell, are like.
#[derive(Clone, Debug)]
struct Whole {
    /// Without weights; not needed where rows have none.
    sums: Sums,
    low: Vec<f64>,
    high: Vec<f64>,
    log_weights: f64,
}

impl Cells {
    pub fn new(d: usize, weighted: bool) -> Self {
        let part = Whole {
            sums: Sums::new(d, 1),
            low: vec![f64::INFINITY; d],
            high: vec![f64::NEG_INFINITY; d],
            log_weights: 0.0,
        };
        Self {
            d,
            count: 0,
            shards: vec![Sums::new(d, 0); SHARDS],
            weighted,
            parts: vec![part; PARTS],
        }
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn get(&self, cell: usize) -> Sum<'_> {
        self.shards[cell % SHARDS].get(cell / SHARDS)
    }

    /// Make room for cells up to this number.
    pub fn grow(&mut self, count: usize) {
        if count > self.count {
            self.count = count;
            for (k, shard) in self.shards.iter_mut().enumerate() {
                shard.grow((count + SHARDS - 1 - k) / SHARDS);
            }
        }
    }

    /// Add rows, whose cells there are.
    pub fn add(&mut self, rows: &Rows, threads: usize) {
        let d = self.d;
        in_parts(&mut self.shards, threads, |first, some| match d {
            1 => add_rows::<1>(first, some, d, rows),
            2 => add_rows::<2>(first, some, d, rows),
            3 => add_rows::<3>(first, some, d, rows),
            4 => add_rows::<4>(first, some, d, rows),
            5 => add_rows::<5>(first, some, d, rows),
            6 => add_rows::<6>(first, some, d, rows),
            _ => add_rows::<0>(first, some, d, rows),
        });
        let (share, weighted) = (rows.codes.len().div_ceil(PARTS), self.weighted);
        in_parts(&mut self.parts, threads, |first, some| {
            for (k, part) in some.iter_mut().enumerate() {
                let end = ((first + k + 1) * share).min(rows.codes.len());
                part.add((first + k) * share..end, rows, weighted);
            }
        });
    }

    /// Add what rows of a cell add up to; `overall` does not count them.
    pub fn join(&mut self, cell: usize, part: &Sum) {
        self.grow(cell + 1);
        self.shards[cell % SHARDS].join(cell / SHARDS, part);
    }

    /// What all rows that were added are together, without weights.
    pub fn overall(&self, threads: usize) -> Sums {
        let mut whole = Sums::new(self.d, 1);
        if self.weighted {
            self.parts.iter().for_each(|part| whole.join(0, &part.sums.get(0)));
        } else {
            let mut each = vec![Sums::new(self.d, 1); SHARDS];
            in_parts(&mut each, threads, |first, some| {
                for (own, shard) in some.iter_mut().zip(&self.shards[first..]) {
                    (0..shard.count()).for_each(|cell| own.join(0, &shard.get(cell)));
                }
            });
            each.iter().for_each(|part| whole.join(0, &part.get(0)));
        }
        whole
    }

    /// The smallest and the largest of each column, and the sum of the logarithms of the weights.
    pub fn ranges(&self) -> (Vec<f64>, Vec<f64>, f64) {
        let column = |k: usize, pick: fn(f64, f64) -> f64, of: fn(&Whole) -> &[f64]| {
            self.parts.iter().map(|part| of(part)[k]).reduce(pick).unwrap_or(f64::NAN)
        };
        (
            (0..self.d).map(|k| column(k, f64::min, |part| &part.low)).collect(),
            (0..self.d).map(|k| column(k, f64::max, |part| &part.high)).collect(),
            self.parts.iter().map(|part| part.log_weights).sum(),
        )
    }
}

impl Whole {
    fn add(&mut self, range: std::ops::Range<usize>, rows: &Rows, weighted: bool) {
        let d = self.low.len();
        let mut scratch = vec![0.0; d];
        let mut shifted = vec![0.0; d];
        for i in range {
            let row = &rows.values[i * d..][..d];
            for k in 0..d {
                self.low[k] = self.low[k].min(row[k]);
                self.high[k] = self.high[k].max(row[k]);
            }
            if weighted {
                self.log_weights += rows.weight(i).ln();
                for k in 0..d {
                    shifted[k] = row[k] - rows.origin[k];
                }
                take_in(&mut self.sums.numbers, d, &shifted, 1.0, 1.0, &mut scratch);
            }
        }
    }
}

/// Numbers of an accumulator.
const fn stride(d: usize) -> usize {
    2 + d + d * (d + 1) / 2
}

/// Index of entry (a, c), a ≤ c, of an upper triangle stored by rows.
#[inline(always)]
fn upper(d: usize, a: usize, c: usize) -> usize {
    a * d - a * (a + 1) / 2 + c
}

/// Add the rows of the cells of some shards; D is the number of columns, 0 where it is not known.
fn add_rows<const D: usize>(first: usize, shards: &mut [Sums], d: usize, rows: &Rows) {
    let (d, count) = (if D > 0 { D } else { d }, shards.len());
    let mut fixed = [[0.0; 2]; D];
    let mut long = vec![0.0; if D > 0 { 0 } else { 2 * d }];
    let both = if D > 0 { fixed.as_flattened_mut() } else { &mut long[..] };
    let (row, scratch) = both.split_at_mut(d);
    let mut own = rows.codes.iter().enumerate().filter_map(|(i, &code)| {
        let shard = (code as usize % SHARDS).wrapping_sub(first);
        (shard < count).then_some((i, shard, code as usize / SHARDS * stride(d)))
    });
    let mut block = [(0, 0, 0); BLOCK];
    loop {
        let mut filled = 0;
        for (to, from) in block.iter_mut().zip(&mut own) {
            *to = from;
            filled += 1;
        }
        let block = &block[..filled];
        let near: f64 = block.iter().map(|&(_, k, at)| shards[k].numbers[at]).sum();
        std::hint::black_box(near);
        for &(i, k, at) in block {
            for k in 0..d {
                row[k] = rows.values[i * d + k] - rows.origin[k];
            }
            let own = &mut shards[k].numbers[at..][..stride(d)];
            take_in(own, d, row, rows.weight(i), 1.0, scratch);
        }
        if filled < BLOCK {
            return;
        }
    }
}

/// Move the mean by a point of this weight, and rotate its distance into the triangle.
#[inline(always)]
fn take_in(own: &mut [f64], d: usize, point: &[f64], w: f64, count: f64, scratch: &mut [f64]) {
    let before = own[0];
    let total = before + w;
    let share = w / total;
    let size = (before * share).sqrt();
    own[0] = total;
    own[1] += count;
    let (mean, triangle) = own[2..].split_at_mut(d);
    for k in 0..d {
        let step = point[k] - mean[k];
        mean[k] += share * step;
        scratch[k] = size * step;
    }
    rotate(triangle, d, 0, scratch);
}

/// Rotate a row, which is 0 before `first`, into a triangle.
#[inline(always)]
fn rotate(triangle: &mut [f64], d: usize, first: usize, row: &mut [f64]) {
    for a in first..d {
        if row[a] == 0.0 {
            continue;
        }
        let diagonal = triangle[upper(d, a, a)];
        let length = length(diagonal, row[a]);
        let (c, s) = (diagonal / length, row[a] / length);
        for col in a..d {
            let entry = &mut triangle[upper(d, a, col)];
            (*entry, row[col]) = (c * *entry + s * row[col], c * row[col] - s * *entry);
        }
    }
}

/// √(a² + b²), also where squares leave the numbers that there are.
#[inline(always)]
fn length(a: f64, b: f64) -> f64 {
    let square = a * a + b * b;
    if square > 1e-280 && square < 1e280 { square.sqrt() } else { a.hypot(b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any numbers, the same each time, between −1 and 1.
    fn numbers(count: usize) -> Vec<f64> {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    fn added(d: usize, codes: &[i64], values: &[f64], weights: &[f64], threads: usize) -> Cells {
        let mut cells = Cells::new(d, true);
        cells.grow(5);
        let origin = vec![0.5; d];
        for at in (0..codes.len()).step_by(40) {
            let end = (at + 40).min(codes.len());
            let rows = Rows {
                codes: &codes[at..end],
                values: &values[at * d..end * d],
                origin: &origin,
                weights: Some(&weights[at..end]),
            };
            cells.add(&rows, threads);
        }
        cells
    }

    #[test]
    fn means_and_triangles_are_those_of_the_rows() {
        for d in 1..9 {
            let n = 300;
            let values: Vec<f64> = numbers(n * d).iter().map(|x| 1e6 + x).collect();
            let codes: Vec<i64> = (0..n).map(|i| (i * i % 5) as i64).collect();
            let weights: Vec<f64> = numbers(n).iter().map(|x| 1.5 + x).collect();
            let cells = added(d, &codes, &values, &weights, 3);
            for cell in 0..5 {
                let own: Vec<usize> = (0..n).filter(|&i| codes[i] == cell as i64).collect();
                let found = cells.get(cell);
                assert_eq!(found.rows, own.len() as f64);
                if own.is_empty() {
                    continue;
                }
                let total: f64 = own.iter().map(|&i| weights[i]).sum();
                assert!((found.weight - total).abs() < 1e-12 * total);
                let mean = |k: usize| {
                    own.iter().map(|&i| weights[i] * (values[i * d + k] - 1e6)).sum::<f64>() / total
                };
                for a in 0..d {
                    assert!((found.mean[a] - (mean(a) + 1e6 - 0.5)).abs() < 1e-9);
                    for c in a..d {
                        let brute: f64 = own
                            .iter()
                            .map(|&i| {
                                let off = |k: usize| values[i * d + k] - 1e6 - mean(k);
                                weights[i] * off(a) * off(c)
                            })
                            .sum();
                        let triangle = |k: usize, c: usize| found.triangle[upper(d, k, c)];
                        let own: f64 = (0..=a).map(|k| triangle(k, a) * triangle(k, c)).sum();
                        assert!((brute - own).abs() < 1e-8 * total, "{brute} {own}");
                    }
                }
            }
        }
    }

    #[test]
    fn threads_change_no_bit_and_parts_add_up() {
        let (n, d) = (500, 3);
        let (values, weights) = (numbers(n * d), vec![1.0; n]);
        let codes: Vec<i64> = (0..n).map(|i| (i % 37) as i64).collect();
        let mut one = Cells::new(d, false);
        one.grow(37);
        let mut other = one.clone();
        let (mut front, mut back) = (one.clone(), one.clone());
        let rows = |from: usize, to: usize| Rows {
            codes: &codes[from..to],
            values: &values[from * d..to * d],
            origin: &[0.0; 3],
            weights: Some(&weights[from..to]),
        };
        one.add(&rows(0, n), 1);
        other.add(&rows(0, n), 5);
        assert_eq!(one.shards, other.shards);
        front.add(&rows(0, 123), 2);
        back.add(&rows(123, n), 2);
        for cell in 0..37 {
            front.join(cell, &back.get(cell));
            let (got, wanted) = (front.get(cell), one.get(cell));
            assert_eq!(got.rows, wanted.rows);
            for (a, b) in got.mean.iter().zip(wanted.mean) {
                assert!((a - b).abs() < 1e-14);
            }
            for (a, b) in got.triangle.iter().zip(wanted.triangle) {
                assert!((a - b).abs() < 1e-13);
            }
        }
    }

    #[test]
    fn what_does_not_vary_in_a_cell_has_exactly_no_spread() {
        let mut cells = Cells::new(2, false);
        cells.grow(1);
        let values: Vec<f64> = (0..1000).flat_map(|i| [0.1, 1e9 + (i % 7) as f64]).collect();
        let rows = Rows { codes: &[0; 1000], values: &values, origin: &[0.3, 1e9], weights: None };
        cells.add(&rows, 2);
        let found = cells.get(0);
        assert_eq!((found.triangle[0], found.triangle[1]), (0.0, 0.0));
        assert_eq!(found.mean[0], 0.1 - 0.3);
        assert_eq!(cells.ranges().0, [0.1, 1e9]);
    }
}
