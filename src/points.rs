//! Moments of cells → points that have the same moments.
//!
//! A cell of weight W with mean m and triangle R gets points `m + √(k/W) H R`, each of precision
//! `W/k`, where H has k − 1 orthonormal columns that add up to 0 (Helmert's). Rows of R that are
//! nothing but rounding need no point.

use crate::parallel::in_parts;

/// Rows of a triangle that are smaller, beside the cell's or the table's scatter, are rounding.
const ROUNDING: f64 = 1e-14;
const NOTHING: f64 = 1e-15;
/// Cells that a thread takes at once.
const SHARE: usize = 4096;

/// What the rows of each cell add up to, cell by cell.
pub struct Moments<'a> {
    pub weight: &'a [f64],
    /// d numbers each.
    pub mean: &'a [f64],
    /// Square and upper triangular, d² numbers each.
    pub root: &'a [f64],
}

/// What is known of the d columns.
pub struct Columns<'a> {
    /// What those that do not vary are; NaN for those that do.
    pub fixed: &'a [f64],
    /// Of all rows of the table.
    pub sd: &'a [f64],
}

/// Points, those of a cell together.
pub struct Points {
    /// By set of columns: the points' values of these, by rows.
    pub values: Vec<Vec<f64>>,
    pub precision: Vec<f64>,
    /// How many points each cell has.
    pub copies: Vec<i64>,
}

/// Make the points; `added` is added to the means, and `sets` are the columns that are wanted
/// together.
pub fn points(
    cells: &Moments,
    columns: &Columns,
    added: &[f64],
    sets: &[Vec<usize>],
    threads: usize,
) -> Points {
    let maker = Maker::new(cells, columns);
    let mut copies = vec![0; cells.weight.len()];
    in_parts(&mut copies, threads, |first, some| {
        let mut varied = Vec::new();
        for (k, copies) in some.iter_mut().enumerate() {
            maker.varied(first + k, &mut varied);
            *copies = varied.len() as i64 + 1;
        }
    });
    let n = copies.iter().sum::<i64>() as usize;
    let mut precision = vec![0.0; n];
    let mut values: Vec<_> = sets.iter().map(|set| vec![0.0; n * set.len()]).collect();
    let mut parts = Vec::new();
    let mut left = (&mut precision[..], values.iter_mut().map(|v| &mut v[..]).collect::<Vec<_>>());
    for own in copies.chunks(SHARE) {
        let own = own.iter().sum::<i64>() as usize;
        let (here, rest) = left.0.split_at_mut(own);
        let both = left.1.into_iter().zip(sets).map(|(v, set)| v.split_at_mut(own * set.len()));
        let (some, others): (Vec<_>, Vec<_>) = both.unzip();
        parts.push((here, some));
        left = (rest, others);
    }
    in_parts(&mut parts, threads, |first, some| {
        let (mut room, mut whole) = (maker.room(), columns.fixed.to_vec());
        for (k, (precision, values)) in some.iter_mut().enumerate() {
            let (mut at, mut cell) = (0, (first + k) * SHARE);
            while at < precision.len() {
                maker.each(cell, &mut room, |weight, point| {
                    for &c in maker.free() {
                        whole[c] = point[c] + added[c];
                    }
                    precision[at] = weight;
                    for (to, set) in values.iter_mut().zip(sets) {
                        for (to, &c) in to[at * set.len()..].iter_mut().zip(set) {
                            *to = whole[c];
                        }
                    }
                    at += 1;
                });
                cell += 1;
            }
        }
    });
    drop(parts);
    Points { values, precision, copies }
}

/// Makes the points of one cell after the other.
pub struct Maker<'a> {
    cells: &'a Moments<'a>,
    columns: &'a Columns<'a>,
    /// Columns that vary.
    free: Vec<usize>,
}

impl<'a> Maker<'a> {
    pub fn new(cells: &'a Moments<'a>, columns: &'a Columns<'a>) -> Self {
        let free = (0..columns.fixed.len()).filter(|&k| columns.fixed[k].is_nan()).collect();
        Self { cells, columns, free }
    }

    /// The columns that vary.
    pub fn free(&self) -> &[usize] {
        &self.free
    }

    fn root(&self, cell: usize) -> &[f64] {
        let d = self.columns.fixed.len();
        &self.cells.root[cell * d * d..][..d * d]
    }

    /// Rows of a cell's triangle that are more than rounding.
    fn varied(&self, cell: usize, found: &mut Vec<usize>) {
        let (d, root) = (self.columns.fixed.len(), self.root(cell));
        let weight = self.cells.weight[cell].sqrt();
        found.clear();
        for &c in &self.free {
            let own: f64 = self.free.iter().map(|&a| root[a * d + c].powi(2)).sum();
            let size = ROUNDING * own.sqrt() + NOTHING * weight * self.columns.sd[c];
            for &a in &self.free {
                if root[a * d + c].abs() > size && !found.contains(&a) {
                    found.push(a);
                }
            }
        }
        found.sort_unstable();
    }

    /// Give every point of a cell to `take`: how much it weighs, and its columns less what is added
    /// to them; those that do not vary are left as `room` has them.
    pub fn each(&self, cell: usize, room: &mut Room, mut take: impl FnMut(f64, &[f64])) {
        let d = self.columns.fixed.len();
        self.varied(cell, &mut room.varied);
        let (mean, root) = (&self.cells.mean[cell * d..][..d], self.root(cell));
        let copies = (room.varied.len() + 1) as f64;
        let stretch = (copies / self.cells.weight[cell]).sqrt();
        for i in 0..=room.varied.len() {
            for &c in &self.free {
                let own = room.varied.iter().enumerate().skip(i.max(1) - 1);
                let sum: f64 = own.map(|(k, &a)| helmert(i, k + 1) * root[a * d + c]).sum();
                room.point[c] = sum * stretch + mean[c];
            }
            take(self.cells.weight[cell] / copies, &room.point);
        }
    }

    /// What a thread needs to make points.
    pub fn room(&self) -> Room {
        Room { varied: Vec::new(), point: vec![0.0; self.columns.fixed.len()] }
    }
}

/// Working storage for the points of a cell.
pub struct Room {
    varied: Vec<usize>,
    point: Vec<f64>,
}

/// Entry of row i in column k ≥ 1, which ends with row k.
fn helmert(i: usize, k: usize) -> f64 {
    (if i == k { -(k as f64) } else { 1.0 }) / ((k * (k + 1)) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_have_the_moments_of_their_cells() {
        // Columns: one that is constant, one that varies, one that is twice that one, one apart.
        let root = [
            [0.0, 0.0, 0.0, 0.0],
            [0.0, 2.0, 4.0, 1.0],
            [0.0, 0.0, 1e-17, 0.0],
            [0.0, 0.0, 0.0, 3.0],
        ];
        let cells = Moments {
            weight: &[2.5, 7.0],
            mean: &[0.0, 1.0, 2.0, 3.0, 0.0, 5.0, 6.0, 7.0],
            root: &[root.concat(), vec![0.0; 16]].concat(),
        };
        let columns =
            Columns { fixed: &[1.0, f64::NAN, f64::NAN, f64::NAN], sd: &[0.0, 1.0, 2.0, 1.0] };
        let added = [0.0, 10.0, 20.0, 0.0];
        let sets = [vec![0, 1, 2, 3], vec![3, 0]];
        let found = points(&cells, &columns, &added, &sets, 2);
        assert_eq!(found.copies, [3, 1]);
        assert_eq!(found.values[1][..4], [found.values[0][3], 1.0, found.values[0][7], 1.0]);
        assert_eq!(found.values[0][12..], [1.0, 15.0, 26.0, 7.0]);
        assert_eq!(found.precision[3], 7.0);
        let mean = [1.0, 11.0, 22.0, 3.0];
        for a in 0..4 {
            let sum: f64 = (0..3).map(|i| found.precision[i] * found.values[0][4 * i + a]).sum();
            assert!((sum / 2.5 - mean[a]).abs() < 1e-14);
            for c in 0..4 {
                let off = |i: usize, k: usize| found.values[0][4 * i + k] - mean[k];
                let sum: f64 = (0..3).map(|i| found.precision[i] * off(i, a) * off(i, c)).sum();
                let wanted: f64 = root.iter().map(|row| row[a] * row[c]).sum();
                assert!((sum - wanted).abs() < 1e-13, "{a} {c} {sum} {wanted}");
            }
        }
        let one = points(&cells, &columns, &added, &sets, 1);
        assert_eq!((one.values, one.precision), (found.values, found.precision));
    }
}
