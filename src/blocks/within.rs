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
            let columns = &data.linked[data.links(level)];
            for &row in columns {
                for a in 0..q {
                    let t =
                        |column: u32| elimination.rest.covariance(row as usize, column as usize);
                    let along = columns.iter().enumerate().map(|(c, &col)| t(col) * y[c * q + a]);
                    found.beside.push(-along.sum::<f64>());
                }
            }
            let shared = elimination.shared(level, &own);
            found.covariance.extend(own.iter().zip(&shared).map(|(a, b)| a + b));
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
