//! A linear predictor `eta = offset + X c + Σ Z r[level]`, a chunk of rows at a time.
//!
//! Columns are contiguous, so that a chunk of one is a plain slice; levels are reached by integer
//! codes. What goes back is the slope by eta, gathered into slopes by c and r.

use std::ops::Range;

/// Rows per chunk: eta and its slope stay in the first-level cache.
pub const CHUNK: usize = 256;

/// The rows of one grouping factor.
#[derive(Clone, Debug)]
pub struct Grouping {
    pub codes: Vec<u32>,
    pub n_levels: usize,
    pub q: usize,
    /// Columns one after another, `q` × `n`.
    pub z: Vec<f64>,
    /// Columns that are 1 in every row need no product.
    ones: Vec<bool>,
    /// Whether the rows of a level stand side by side.
    sorted: bool,
}

impl Grouping {
    pub fn new(codes: Vec<u32>, n_levels: usize, z: Vec<f64>) -> Self {
        let n = codes.len();
        let q = z.len() / n.max(1);
        let ones = z.chunks_exact(n.max(1)).map(|c| c.iter().all(|x| *x == 1.0)).collect();
        let sorted = codes.is_sorted();
        Self { codes, n_levels, q, z, ones, sorted }
    }

    pub fn column(&self, k: usize, range: &Range<usize>) -> &[f64] {
        &self.z[k * self.codes.len()..][range.clone()]
    }

    /// Add `Z r[level]` to eta; `r` is level by level.
    #[inline(always)]
    pub fn add(&self, range: Range<usize>, r: &[f64], eta: &mut [f64]) {
        let codes = &self.codes[range.clone()];
        if self.q == 1 && self.ones[0] {
            for (eta, &code) in eta.iter_mut().zip(codes) {
                *eta += r[code as usize];
            }
            return;
        }
        if self.q == 2 && self.ones[0] {
            let pairs = r.as_chunks::<2>().0;
            for ((eta, &code), z) in eta.iter_mut().zip(codes).zip(self.column(1, &range)) {
                let [intercept, slope] = pairs[code as usize];
                *eta += intercept + slope * z;
            }
            return;
        }
        for k in 0..self.q {
            if self.ones[k] {
                for (eta, &code) in eta.iter_mut().zip(codes) {
                    *eta += r[code as usize * self.q + k];
                }
            } else {
                for ((eta, &code), z) in eta.iter_mut().zip(codes).zip(self.column(k, &range)) {
                    *eta += r[code as usize * self.q + k] * z;
                }
            }
        }
    }

    /// Gather slopes by eta into slopes by r.
    #[inline(always)]
    pub fn gather(&self, range: Range<usize>, slope: &[f64], by_r: &mut [f64]) {
        let codes = &self.codes[range.clone()];
        if self.sorted {
            return self.gather_runs(codes, range.start, slope, by_r);
        }
        for k in 0..self.q {
            if self.ones[k] {
                for (slope, &code) in slope.iter().zip(codes) {
                    by_r[code as usize * self.q + k] += slope;
                }
            } else {
                for ((slope, &code), z) in slope.iter().zip(codes).zip(self.column(k, &range)) {
                    by_r[code as usize * self.q + k] += slope * z;
                }
            }
        }
    }
}

impl Grouping {
    /// Gather level by level: sums of many rows stay in registers.
    #[inline(always)]
    fn gather_runs(&self, codes: &[u32], first: usize, slope: &[f64], by_r: &mut [f64]) {
        let mut begin = 0;
        for run in codes.chunk_by(|a, b| a == b) {
            let end = begin + run.len();
            let slope = &slope[begin..end];
            let by_r = &mut by_r[run[0] as usize * self.q..][..self.q];
            for (k, by_r) in by_r.iter_mut().enumerate() {
                *by_r += if self.ones[k] {
                    sum(slope)
                } else {
                    dot(self.column(k, &(first + begin..first + end)), slope)
                };
            }
            begin = end;
        }
    }
}

/// The rows of a linear predictor.
#[derive(Clone, Debug)]
pub struct Columns {
    pub n: usize,
    pub p: usize,
    /// Working population columns one after another, `p` × `n`.
    pub x: Vec<f64>,
    /// Empty where there is none.
    pub offset: Vec<f64>,
    pub groupings: Vec<Grouping>,
}

impl Columns {
    pub fn column(&self, k: usize, range: &Range<usize>) -> &[f64] {
        &self.x[k * self.n..][range.clone()]
    }

    /// Fill eta for a chunk; `r` holds one slice a grouping.
    #[inline(always)]
    pub fn fill(&self, range: Range<usize>, c: &[f64], r: &[Vec<f64>], eta: &mut [f64]) {
        self.fill_from(&self.offset, range, c, r, eta);
    }

    /// The same from where coefficients are 0, if that is not 0 itself; of X the first columns may do.
    #[inline(always)]
    pub fn fill_from(
        &self,
        base: &[f64],
        range: Range<usize>,
        c: &[f64],
        r: &[Vec<f64>],
        eta: &mut [f64],
    ) {
        if base.is_empty() {
            eta.fill(0.0);
        } else {
            eta.copy_from_slice(&base[range.clone()]);
        }
        for (k, c) in c.iter().enumerate() {
            for (eta, x) in eta.iter_mut().zip(self.column(k, &range)) {
                *eta += c * x;
            }
        }
        for (grouping, r) in self.groupings.iter().zip(r) {
            grouping.add(range.clone(), r, eta);
        }
    }

    /// Gather the slopes by eta of a chunk into slopes by c and r.
    #[inline(always)]
    pub fn gather(
        &self,
        range: Range<usize>,
        slope: &[f64],
        by_c: &mut [f64],
        by_r: &mut [Vec<f64>],
    ) {
        for (k, by_c) in by_c.iter_mut().enumerate() {
            *by_c += dot(self.column(k, &range), slope);
        }
        for (grouping, by_r) in self.groupings.iter().zip(by_r) {
            grouping.gather(range.clone(), slope, by_r);
        }
    }
}

/// Sum in eight strands, as [`dot`].
#[inline(always)]
pub fn sum(a: &[f64]) -> f64 {
    let mut strands = [0.0; 8];
    let chunks = a.chunks_exact(8);
    let rest: f64 = chunks.remainder().iter().sum();
    for a in chunks {
        for (s, a) in strands.iter_mut().zip(a) {
            *s += a;
        }
    }
    rest + strands.iter().sum::<f64>()
}

/// Sum of products in eight strands, which the compiler keeps in vector registers.
#[inline(always)]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut strands = [0.0; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for ((s, a), b) in strands.iter_mut().zip(a).zip(b) {
            *s += a * b;
        }
    }
    rest + strands.iter().sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eta_and_its_transpose_agree_with_plain_sums() {
        for sorted in [false, true] {
            check_against_plain_sums(sorted);
        }
    }

    fn check_against_plain_sums(sorted: bool) {
        let n = 21;
        let x: Vec<f64> = (0..2 * n).map(|i| (i as f64 * 0.37).sin()).collect();
        let mut z = vec![1.0; n];
        z.extend((0..n).map(|i| (i as f64 * 0.71).cos()));
        let code = |i: u32| if sorted { i / 6 } else { i % 4 };
        let codes: Vec<u32> = (0..n as u32).map(code).collect();
        let grouping = Grouping::new(codes.clone(), 4, z.clone());
        let offset = vec![0.5; n];
        let columns = Columns { n, p: 2, x: x.clone(), offset, groupings: vec![grouping] };
        let (c, r) = ([0.3, -1.2], vec![(0..8).map(f64::from).collect::<Vec<_>>()]);
        let mut eta = vec![0.0; n];
        let (head, tail) = eta.split_at_mut(10);
        columns.fill(0..10, &c, &r, head);
        columns.fill(10..n, &c, &r, tail);
        for i in 0..n {
            let code = codes[i] as usize;
            let group = r[0][2 * code] + r[0][2 * code + 1] * z[n + i];
            let expected = 0.5 + 0.3 * x[i] - 1.2 * x[n + i] + group;
            assert!((eta[i] - expected).abs() < 1e-14);
        }
        // ⟨slope, A v⟩ = ⟨Aᵀ slope, v⟩ for the linear part A.
        let slope: Vec<f64> = (0..n).map(|i| (i as f64).sqrt()).collect();
        let (mut by_c, mut by_r) = ([0.0; 2], vec![vec![0.0; 8]]);
        columns.gather(0..10, &slope[..10], &mut by_c, &mut by_r);
        columns.gather(10..n, &slope[10..], &mut by_c, &mut by_r);
        let left: f64 = slope.iter().zip(&eta).map(|(s, e)| s * (e - 0.5)).sum();
        let right = dot(&by_c, &c) + dot(&by_r[0], &r[0]);
        assert!((left - right).abs() < 1e-11, "{left} {right}");
    }
}
