//! What single rows have of the coefficients of all levels, given all rows.

use super::eliminate::Elimination;
use super::products::Rows;

/// The rows as they were reduced.
pub struct AllRows<'a> {
    pub factors: &'a [Rows],
    /// By rows, w numbers each.
    pub xy: &'a [f64],
}

/// Moments of the levels' coefficients over σ², laid out for rows.
pub struct Within<'a> {
    elimination: &'a Elimination,
    /// Of each level of the lead: its coefficients' means (q × w), their covariance (q × q), and that
    /// with those of the others that are linked (q a link).
    mean: Vec<f64>,
    covariance: Vec<f64>,
    beside: Vec<f64>,
}

impl Elimination {
    /// T times q numbers a column, in some columns. After T was filled.
    fn times_rest(&self, columns: &[u32], y: &[f64], q: usize) -> Vec<f64> {
        let mut sums = vec![0.0; y.len()];
        for (k, &column) in columns.iter().enumerate() {
            let (before, here) = sums.split_at_mut((k + 1) * q);
            let (own, sum) = (&y[k * q..(k + 1) * q], &mut before[k * q..]);
            let t = self.rest.covariance(column as usize, column as usize);
            sum.iter_mut().zip(own).for_each(|(sum, y)| *sum += t * y);
            // Down a column of T, whose numbers lie together; above the diagonal they are the same.
            let below = here.chunks_exact_mut(q).zip(y[(k + 1) * q..].chunks_exact(q));
            for ((here, y), &row) in below.zip(&columns[k + 1..]) {
                let t = self.rest.covariance(row as usize, column as usize);
                for a in 0..q {
                    here[a] += t * own[a];
                    sum[a] += t * y[a];
                }
            }
        }
        sums
    }
}

impl<'a> Within<'a> {
    /// After `solve` and `invert`.
    pub fn new(elimination: &'a Elimination) -> Self {
        let data = &elimination.data;
        let (mean, covariance, beside) = (Vec::new(), Vec::new(), Vec::new());
        let mut found = Self { elimination, mean, covariance, beside };
        let q = data.lead().q;
        for level in 0..data.lead().n_levels {
            let own = elimination.own_covariance(level);
            found.mean.extend(elimination.with_others(level, &own));
            let y = elimination.linked(level, &own);
            let beside = elimination.times_rest(&data.linked[data.links(level)], &y, q);
            let shared = |a: usize, b: usize| -> f64 {
                let each = y.chunks_exact(q).zip(beside.chunks_exact(q));
                each.map(|(y, beside)| y[a] * beside[b]).sum()
            };
            found.covariance.extend((0..q * q).map(|k| own[k] + shared(k / q, k % q)));
            found.beside.extend(beside.iter().map(|beside| -beside));
        }
        found
    }

    /// zᵀTz of a row; turns its `[x y]` into the row of `V₀⁻¹[X y]`.
    pub fn inside(&self, rows: &AllRows<'_>, row: usize, rest: &mut [f64]) -> f64 {
        let (elimination, data) = (self.elimination, &self.elimination.data);
        let (w, n, q) = (data.width, data.n_rest, data.lead().q);
        let of = |k: usize| {
            let (factor, p) = (&rows.factors[k], data.factors[k].q);
            (&factor.z[row * p..(row + 1) * p], factor.codes[row] as usize)
        };
        let (z, level) = of(data.lead);
        let own = &self.covariance[level * q * q..][..q * q];
        let mut inside = 0.0;
        for a in 0..q {
            inside += z[a] * (0..q).map(|b| own[a * q + b] * z[b]).sum::<f64>();
            for (c, rest) in rest.iter_mut().enumerate() {
                *rest -= z[a] * self.mean[(level * q + a) * w + c];
            }
        }
        let links = data.links(level);
        let columns = &data.linked[links.clone()];
        let mut seen: Vec<(usize, f64)> = Vec::new();
        for &k in &data.others {
            let (z_other, other) = of(k);
            let at = data.factors[k].columns(other);
            let first = columns.partition_point(|&column| (column as usize) < at.start);
            for (b, (column, &z_other)) in at.zip(z_other).enumerate() {
                let beside = &self.beside[(links.start + first + b) * q..][..q];
                inside += 2.0 * z_other * beside.iter().zip(z).map(|(s, z)| s * z).sum::<f64>();
                for (c, rest) in rest.iter_mut().enumerate() {
                    *rest -= z_other * elimination.x[c * n + column];
                }
                for &(before, z_before) in &seen {
                    inside +=
                        2.0 * z_other * z_before * elimination.rest.covariance(column, before);
                }
                inside += z_other * z_other * elimination.rest.covariance(column, column);
                seen.push((column, z_other));
            }
        }
        inside
    }
}
