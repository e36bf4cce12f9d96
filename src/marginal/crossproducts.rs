//! What the Gaussian likelihood needs of the rows: one pass, then never the rows again.
//!
//! For each level, the rows of `[Z X y]` are reduced by Givens rotations to the triangular factor R
//! of Z with the rotated rows B of `[X y]`; what is orthogonal to Z goes into one shared
//! cross-product W. So `[X y]ᵀV⁻¹[X y] = (W + Σ_j B_jᵀ(I + R_j Σ R_jᵀ/σ²)⁻¹B_j)/σ²`: a sum of
//! squares without cancellation, whatever the ratio of the sds, and for levels of any size.
//! Parts add up (rotate one's rows into the other), so they may be computed in pieces.

use super::Reduced;
use crate::lanes::{LANES, Lane};
use crate::parallel::in_parts;
use crate::points::Maker;

/// Share of a row's largest entry below which an entry counts as rounding error.
const NOISE: f64 = 1e-11;
/// Blocks of levels whose rows are added up side by side with those of others.
const SHARE: usize = 4096;

/// Reduced data, levels in blocks of [`LANES`]; the last block is padded with empty levels.
#[derive(Clone, Debug)]
pub struct CrossProducts {
    /// Columns of Z.
    pub q: usize,
    /// Columns of `[X y]`.
    pub width: usize,
    pub n_rows: usize,
    pub n_levels: usize,
    /// Per block: R by rows, upper triangle, `q (q + 1) / 2` lanes.
    pub r: Vec<Lane>,
    /// Per block: B by rows, `q · width` lanes.
    pub b: Vec<Lane>,
    /// `width` × `width`, symmetric.
    pub w: Vec<f64>,
}

/// Index of entry (a, c), a ≤ c, of an upper triangle stored by rows.
#[inline(always)]
pub fn upper(q: usize, a: usize, c: usize) -> usize {
    a * q - a * (a + 1) / 2 + c
}

impl Reduced for CrossProducts {
    fn q(&self) -> usize {
        self.q
    }

    fn width(&self) -> usize {
        self.width
    }

    fn n_rows(&self) -> usize {
        self.n_rows
    }

    fn information(&self) -> Vec<f64> {
        let (q, mut squares) = (self.q, vec![0.0; self.q]);
        for r in self.r.chunks_exact((q * (q + 1) / 2).max(1)) {
            for a in 0..q {
                for c in a..q {
                    squares[c] += r[upper(q, a, c)].iter().map(|r| r * r).sum::<f64>();
                }
            }
        }
        squares.iter().map(|s| s / self.n_levels as f64).collect()
    }
}

impl CrossProducts {
    pub fn new(q: usize, width: usize, n_levels: usize) -> Self {
        let blocks = if q == 0 { 0 } else { n_levels.div_ceil(LANES) };
        Self {
            q,
            width,
            n_rows: 0,
            n_levels,
            r: vec![[0.0; LANES]; blocks * q * (q + 1) / 2],
            b: vec![[0.0; LANES]; blocks * q * width],
            w: vec![0.0; width * width],
        }
    }

    pub fn n_blocks(&self) -> usize {
        if self.q == 0 { 0 } else { self.n_levels.div_ceil(LANES) }
    }

    /// Add one row of Z and `[X y]` (both are scratch afterwards), which belongs to `level`.
    pub fn add_row(&mut self, level: usize, z: &mut [f64], xy: &mut [f64]) {
        let (r, b, w) = (&mut self.r[..], &mut self.b[..], &mut self.w[..]);
        Share { q: self.q, width: self.width, r, b, w }.add_row(level, z, xy);
        self.n_rows += 1;
    }

    /// Add rows, of which each item has some; what a thread makes gives them to what adds them, as
    /// Z and `[X y]`. `codes` are the levels of the items.
    ///
    /// Where there are many levels, whose items stand together and in order, shares of the levels are
    /// added up side by side: as many as levels make, whatever the number of threads.
    pub fn add_items<Rows: FnMut(usize, &mut dyn FnMut(&mut [f64], &mut [f64]))>(
        &mut self,
        codes: &[i64],
        make: impl Fn() -> Rows + Sync,
        threads: usize,
    ) {
        let (q, width) = (self.q, self.width);
        let (r, b) = (SHARE * q * (q + 1) / 2, SHARE * q * width);
        let many = q > 0 && self.n_blocks() > SHARE && codes.is_sorted();
        let shares = if many { self.n_blocks().div_ceil(SHARE) } else { 1 };
        let mut sums = vec![0.0; shares * width * width];
        let mut first = 0;
        let mut parts = Vec::with_capacity(shares);
        let lengths = if many { (r, b) } else { (self.r.len().max(1), self.b.len().max(1)) };
        let (mut left_r, mut left_b) = (&mut self.r[..], &mut self.b[..]);
        for (k, w) in sums.chunks_exact_mut(width * width).enumerate() {
            let (r, rest_r) = left_r.split_at_mut(lengths.0.min(left_r.len()));
            let (b, rest_b) = left_b.split_at_mut(lengths.1.min(left_b.len()));
            (left_r, left_b) = (rest_r, rest_b);
            let end = ((k + 1) * SHARE * LANES) as i64;
            let last = if many { codes.partition_point(|&code| code < end) } else { codes.len() };
            parts.push((first..last, Share { q, width, r, b, w }));
            first = last;
        }
        in_parts(&mut parts, threads, |at, some| {
            let mut rows = make();
            for (k, (items, share)) in some.iter_mut().enumerate() {
                let first = (at + k) * SHARE * LANES;
                for i in items.clone() {
                    let level = if q == 0 { 0 } else { codes[i] as usize - first };
                    rows(i, &mut |z, xy| share.add_row(level, z, xy));
                }
            }
        });
        for part in sums.chunks_exact(width * width) {
            self.w.iter_mut().zip(part).for_each(|(w, own)| *w += own);
        }
        self.n_rows += codes.len();
    }

    /// Add rows, which `row` writes into what it is given, an item each.
    pub fn add_rows(
        &mut self,
        codes: &[i64],
        row: impl Fn(usize, &mut [f64], &mut [f64]) + Sync,
        threads: usize,
    ) {
        let (q, width) = (self.q, self.width);
        let make = || {
            let (mut z, mut xy) = (vec![0.0; q], vec![0.0; width]);
            let row = &row;
            move |i: usize, add: &mut dyn FnMut(&mut [f64], &mut [f64])| {
                row(i, &mut z, &mut xy);
                add(&mut z, &mut xy);
            }
        };
        self.add_items(codes, make, threads);
    }

    /// Add the points that have the moments of cells. Working columns are affine in those of the
    /// cells, so that they are told by their values at corners.
    pub fn add_cells(&mut self, codes: &[i64], maker: &Maker, at: &Corners, threads: usize) {
        let (q, width) = (self.q, self.width);
        let steps = at.steps(maker.free(), q, width);
        let (steps, base) = (&steps, &at.values[..q + width]);
        let make = || {
            let (mut room, mut row) = (maker.room(), vec![0.0; q + width]);
            move |cell: usize, add: &mut dyn FnMut(&mut [f64], &mut [f64])| {
                maker.each(cell, &mut room, |weight, point| {
                    row.copy_from_slice(base);
                    for (&c, step) in maker.free().iter().zip(steps.chunks_exact(q + width)) {
                        row.iter_mut().zip(step).for_each(|(to, step)| *to += point[c] * step);
                    }
                    let root = weight.sqrt();
                    row.iter_mut().for_each(|value| *value *= root);
                    let (z, xy) = row.split_at_mut(q);
                    add(z, xy);
                });
            }
        };
        self.add_items(codes, make, threads);
    }

    /// Mirror W and bring R from working columns of Z back to the user's: `R ← R · unscale`
    /// (`unscale` is upper triangular, q × q).
    pub fn finish(&mut self, unscale: &[f64]) {
        let (q, width) = (self.q, self.width);
        for i in 0..width {
            for j in 0..i {
                self.w[j * width + i] = self.w[i * width + j];
            }
        }
        for r in self.r.chunks_exact_mut((q * (q + 1) / 2).max(1)) {
            for a in 0..q {
                for c in (a..q).rev() {
                    let mut sum = [0.0; LANES];
                    for k in a..=c {
                        let factor = unscale[k * q + c];
                        for lane in 0..LANES {
                            sum[lane] += r[upper(q, a, k)][lane] * factor;
                        }
                    }
                    r[upper(q, a, c)] = sum;
                }
            }
        }
    }
}

/// Working columns at corners: where the columns of cells are what is added to them, and for each
/// of these where it alone is higher.
pub struct Corners<'a> {
    /// Z and `[X y]`, a corner after the other.
    pub values: &'a [f64],
    /// How much higher each column is at its corner.
    pub steps: &'a [f64],
}

impl Corners<'_> {
    /// What a unit of each of these columns adds to the working ones.
    fn steps(&self, columns: &[usize], q: usize, width: usize) -> Vec<f64> {
        let (base, corners) = self.values.split_at(q + width);
        let one = |&c: &usize| {
            let corner = &corners[c * (q + width)..][..q + width];
            corner.iter().zip(base).map(move |(high, low)| (high - low) / self.steps[c])
        };
        columns.iter().flat_map(one).collect()
    }
}

/// Some of the levels, and what their rows add to W.
struct Share<'a> {
    q: usize,
    width: usize,
    r: &'a mut [Lane],
    b: &'a mut [Lane],
    w: &'a mut [f64],
}

impl Share<'_> {
    fn add_row(&mut self, level: usize, z: &mut [f64], xy: &mut [f64]) {
        let (q, width) = (self.q, self.width);
        let (block, lane) = (level / LANES, level % LANES);
        let r = &mut self.r[block * q * (q + 1) / 2..];
        // What rounding leaves of a column that earlier ones explain must not pass for information.
        let noise = NOISE * z.iter().fold(0.0, |largest: f64, z| largest.max(z.abs()));
        for a in 0..q {
            if z[a].abs() <= noise {
                z[a] = 0.0;
                continue;
            }
            let diagonal = r[upper(q, a, a)][lane];
            let length = diagonal.hypot(z[a]);
            let (c, s) = (diagonal / length, z[a] / length);
            for col in a..q {
                let entry = &mut r[upper(q, a, col)][lane];
                (*entry, z[col]) = (c * *entry + s * z[col], c * z[col] - s * *entry);
            }
            let b = &mut self.b[(block * q + a) * width..];
            for (entry, value) in b.iter_mut().zip(xy.iter_mut()) {
                (entry[lane], *value) =
                    (c * entry[lane] + s * *value, c * *value - s * entry[lane]);
            }
        }
        for i in 0..width {
            for j in 0..=i {
                self.w[i * width + j] += xy[i] * xy[j];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::{Columns, Moments, points};

    #[test]
    fn reduced_rows_keep_all_cross_products() {
        // Z'Z = R'R, Z'[X y] = R'B and [X y]'[X y] = W + ΣB'B, whatever the order of rows.
        let z = [[1.0, 0.5], [1.0, -1.0], [1.0, 2.0], [1.0, 2.0]];
        let xy = [[1.0, 3.0], [0.2, -1.0], [0.7, 4.0], [0.0, 5.0]];
        let mut parts = CrossProducts::new(2, 2, 1);
        for (z, xy) in z.iter().zip(&xy) {
            parts.add_row(0, &mut z.clone(), &mut xy.clone());
        }
        parts.finish(&[1.0, 0.0, 0.0, 1.0]);
        let r = [[parts.r[0][0], parts.r[1][0]], [0.0, parts.r[2][0]]];
        let b = [[parts.b[0][0], parts.b[1][0]], [parts.b[2][0], parts.b[3][0]]];
        for i in 0..2 {
            for j in 0..2 {
                let zz: f64 = z.iter().map(|z| z[i] * z[j]).sum();
                let rr: f64 = (0..2).map(|k| r[k][i] * r[k][j]).sum();
                assert!((zz - rr).abs() < 1e-13);
                let zx: f64 = z.iter().zip(&xy).map(|(z, x)| z[i] * x[j]).sum();
                let rb: f64 = (0..2).map(|k| r[k][i] * b[k][j]).sum();
                assert!((zx - rb).abs() < 1e-13);
                let xx: f64 = xy.iter().map(|x| x[i] * x[j]).sum();
                let bb: f64 = (0..2).map(|k| b[k][i] * b[k][j]).sum();
                assert!((xx - bb - parts.w[i * 2 + j]).abs() < 1e-13);
            }
        }
    }

    #[test]
    fn levels_in_order_are_added_up_side_by_side() {
        let levels = 2 * SHARE * LANES + 7;
        let codes: Vec<i64> = (0..3 * levels).map(|i| (i / 3) as i64).collect();
        let row = |i: usize, z: &mut [f64], xy: &mut [f64]| {
            z.copy_from_slice(&[1.0, (i % 11) as f64]);
            xy.copy_from_slice(&[(i % 7) as f64 - 3.0, (i % 13) as f64]);
        };
        let mut one = CrossProducts::new(2, 2, levels);
        for i in 0..codes.len() {
            let (mut z, mut xy) = ([0.0; 2], [0.0; 2]);
            row(i, &mut z, &mut xy);
            one.add_row(i / 3, &mut z, &mut xy);
        }
        let [two, three] = [1, 3].map(|threads| {
            let mut parts = CrossProducts::new(2, 2, levels);
            parts.add_rows(&codes, row, threads);
            parts
        });
        assert_eq!((&two.r, &two.b, &two.w), (&three.r, &three.b, &three.w));
        assert_eq!((&two.r, &two.b, two.n_rows), (&one.r, &one.b, one.n_rows));
        for (two, one) in two.w.iter().zip(&one.w) {
            assert!((two - one).abs() <= 1e-12 * one.abs());
        }
    }

    #[test]
    fn cells_are_added_as_their_points_are() {
        // Columns 1, x, y of the cells; working ones are [1, 2x − 3] and [x + y, y − 5].
        let cells = Moments {
            weight: &[2.5, 7.0],
            mean: &[0.0, 1.0, 2.0, 0.0, -5.0, 6.0],
            root: &[0.0, 0.0, 0.0, 0.0, 2.0, 4.0, 0.0, 0.0, 1.5].repeat(2),
        };
        let columns = Columns { fixed: &[1.0, f64::NAN, f64::NAN], sd: &[0.0, 1.0, 2.0] };
        let work = |x: f64, y: f64| [1.0, 2.0 * x - 3.0, x + y, y - 5.0];
        let corners = [(10.0, 20.0), (10.0, 20.0), (14.0, 20.0), (10.0, 20.5)];
        let corners = corners.map(|(x, y)| work(x, y)).concat();
        let at = Corners { values: &corners, steps: &[1.0, 4.0, 0.5] };
        let mut found = CrossProducts::new(2, 2, 3);
        found.add_cells(&[0, 2], &Maker::new(&cells, &columns), &at, 2);
        let all = points(&cells, &columns, &[0.0, 10.0, 20.0], &[vec![1, 2]], 1);
        let mut wanted = CrossProducts::new(2, 2, 3);
        for (i, row) in all.values[0].chunks_exact(2).enumerate() {
            let mut own = work(row[0], row[1]).map(|value| value * all.precision[i].sqrt());
            let (z, xy) = own.split_at_mut(2);
            wanted.add_row([0, 0, 0, 2, 2, 2][i], z, xy);
        }
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-11);
        assert!(close(found.r.as_flattened(), wanted.r.as_flattened()));
        assert!(close(found.b.as_flattened(), wanted.b.as_flattened()));
        assert!(close(&found.w, &wanted.w) && found.w[0] > 1.0);
    }

    #[test]
    fn rows_that_repeat_leave_their_residual_outside() {
        // One value of x: the second coefficient is not determined, and W keeps all of the scatter.
        let mut parts = CrossProducts::new(2, 1, 1);
        for k in 0..1000 {
            let y = if k % 2 == 0 { 1.0 } else { -1.0 };
            parts.add_row(0, &mut [1.0, 0.3], &mut [y]);
        }
        assert_eq!(parts.r[2][0], 0.0);
        assert!((parts.w[0] - 1000.0).abs() < 1e-9);
    }

    #[test]
    fn unscale_multiplies_from_the_right() {
        let mut parts = CrossProducts::new(2, 1, 1);
        parts.add_row(0, &mut [2.0, 0.0], &mut [0.0]);
        parts.add_row(0, &mut [0.0, 3.0], &mut [0.0]);
        parts.finish(&[1.0, 10.0, 0.0, 0.5]);
        let r: Vec<f64> = parts.r.iter().map(|lane| lane[0].abs()).collect();
        assert_eq!(r, [2.0, 20.0, 1.5]);
    }
}
