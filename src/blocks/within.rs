//! What single rows have of the coefficients of all levels, given all rows.

use super::eliminate::Elimination;
use super::products::{Rows, side_by_side};
use crate::linalg::solve_lower;
use crate::predictor::dot;

/// The rows as they were reduced.
pub struct AllRows<'a> {
    pub factors: &'a [Rows],
    /// By rows, w numbers each.
    pub xy: &'a [f64],
}

/// Moments of the levels' coefficients over σ², laid out for rows.
pub struct Within<'a> {
    elimination: &'a Elimination,
    /// Means of the others' coefficients, w numbers each.
    others: Vec<f64>,
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
        if let Some(all) = side_by_side(columns)
            && let Some(below) = self.rest.covariances(all.start, all.end)
        {
            // Numbers of one kind side by side, so that loops are over what lies together.
            let m = columns.len();
            let (own, mut found) = (transposed(y, q), vec![0.0; y.len()]);
            for (k, column) in below.enumerate() {
                for (y, sums) in own.chunks_exact(m).zip(found.chunks_exact_mut(m)) {
                    let others = sums[k + 1..].iter_mut().zip(&column[1..]);
                    others.for_each(|(sum, t)| *sum += t * y[k]);
                    sums[k] += dot(column, &y[k..]);
                }
            }
            return transposed(&found, m);
        }
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

/// By columns what lies by rows of so many numbers.
fn transposed(rows: &[f64], width: usize) -> Vec<f64> {
    (0..width).flat_map(|a| rows[a..].iter().step_by(width).copied()).collect()
}

impl<'a> Within<'a> {
    /// After `solve` and `invert`.
    pub fn new(elimination: &'a Elimination) -> Self {
        let data = &elimination.data;
        let (q, w, n) = (data.lead().q, data.width, data.n_rest);
        let others = (0..n).flat_map(|row| (0..w).map(move |c| elimination.x[c * n + row]));
        let mut found = Self {
            elimination,
            others: others.collect(),
            mean: Vec::new(),
            covariance: Vec::new(),
            beside: Vec::new(),
        };
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

    /// As if the first columns of X were `X L⁻ᵀ`, L being given.
    pub fn whiten(&mut self, root: &[f64], columns: usize) {
        let w = self.elimination.data.width;
        let all = self.mean.chunks_exact_mut(w).chain(self.others.chunks_exact_mut(w));
        all.for_each(|means| solve_lower(root, columns, &mut means[..columns]));
    }

    /// zᵀTz of a row; turns its `[x y]` into the row of `V₀⁻¹[X y]`, or as many of its numbers as
    /// are given.
    pub fn inside(&self, rows: &AllRows<'_>, row: usize, rest: &mut [f64]) -> f64 {
        let (elimination, data) = (self.elimination, &self.elimination.data);
        let (w, q) = (data.width, data.lead().q);
        let of = |k: usize| {
            let (factor, p) = (&rows.factors[k], data.factors[k].q);
            (&factor.z[row * p..(row + 1) * p], factor.codes[row] as usize)
        };
        let (z, level) = of(data.lead);
        let own = &self.covariance[level * q * q..][..q * q];
        let mut inside = 0.0;
        for a in 0..q {
            inside += z[a] * (0..q).map(|b| own[a * q + b] * z[b]).sum::<f64>();
            let means = &self.mean[(level * q + a) * w..][..w];
            rest.iter_mut().zip(means).for_each(|(rest, mean)| *rest -= z[a] * mean);
        }
        let links = data.links(level);
        let columns = &data.linked[links.clone()];
        // The last of them has none after it, and often it is the only one.
        let others: usize = data.others.iter().map(|&k| data.factors[k].q).sum();
        let mut seen: Vec<(usize, f64)> = Vec::new();
        for &k in &data.others {
            let (z_other, other) = of(k);
            let at = data.factors[k].columns(other);
            let first = columns.partition_point(|&column| (column as usize) < at.start);
            for (b, (column, &z_other)) in at.zip(z_other).enumerate() {
                let beside = &self.beside[(links.start + first + b) * q..][..q];
                inside += 2.0 * z_other * beside.iter().zip(z).map(|(s, z)| s * z).sum::<f64>();
                let means = &self.others[column * w..][..w];
                rest.iter_mut().zip(means).for_each(|(rest, mean)| *rest -= z_other * mean);
                for &(before, z_before) in &seen {
                    inside +=
                        2.0 * z_other * z_before * elimination.rest.covariance(column, before);
                }
                inside += z_other * z_other * elimination.rest.covariance(column, column);
                if (seen.len() + 1) < others {
                    seen.push((column, z_other));
                }
            }
        }
        inside
    }
}

#[cfg(test)]
mod tests {
    use super::super::products::Products;
    use super::super::products::tests::rows;
    use super::*;
    use crate::linalg::inverse_ridged;
    use std::sync::Arc;

    /// `(Λ⁻ᵀΛ⁻¹ + ZᵀZ)⁻¹`, and Z itself, all factors side by side.
    fn dense(factors: &[Rows], lambda: &[Vec<f64>], n: usize) -> (Vec<f64>, Vec<f64>) {
        let total: usize = factors.iter().map(|f| f.shape.q * f.shape.n_levels).sum();
        let (mut z, mut a) = (vec![0.0; n * total], vec![0.0; total * total]);
        let mut first = 0;
        for (factor, lambda) in factors.iter().zip(lambda) {
            let q = factor.shape.q;
            let square = |i: usize, j: usize| {
                (0..q).map(|k| lambda[i * q + k] * lambda[j * q + k]).sum::<f64>()
            };
            let sigma: Vec<f64> = (0..q * q).map(|k| square(k / q, k % q)).collect();
            let precision = inverse_ridged(&sigma, q).unwrap();
            for level in 0..factor.shape.n_levels {
                let at = first + level * q;
                (0..q * q).for_each(|k| a[(at + k / q) * total + at + k % q] = precision[k]);
            }
            for i in 0..n {
                let at = i * total + first + factor.codes[i] as usize * q;
                z[at..at + q].copy_from_slice(&factor.z[i * q..][..q]);
            }
            first += q * factor.shape.n_levels;
        }
        for row in z.chunks_exact(total) {
            for (i, sums) in a.chunks_exact_mut(total).enumerate().filter(|(i, _)| row[*i] != 0.0) {
                sums.iter_mut().zip(row).for_each(|(sum, z)| *sum += row[i] * z);
            }
        }
        (inverse_ridged(&a, total).unwrap(), z)
    }

    #[test]
    fn rows_have_what_dense_inverses_give() {
        let (n, w) = (60, 3);
        for factors in [
            vec![rows(2, 7, 3, n)],
            vec![rows(1, 10, 1, n), rows(1, 3, 7, n)], // all levels meet
            vec![rows(1, 12, 1, n), rows(1, 8, 1, n)],
            vec![rows(2, 10, 1, n), rows(2, 3, 7, n)],
            vec![rows(3, 10, 1, n), rows(1, 3, 7, n)],
            vec![rows(2, 7, 3, n), rows(1, 5, 2, n)],
            vec![rows(1, 5, 2, n), rows(2, 7, 3, n), rows(1, 4, 5, n)],
        ] {
            let scale = |rows: &Rows| match rows.shape.q {
                1 => vec![0.7],
                2 => vec![0.8, 0.0, 0.3, 0.5],
                _ => vec![0.8, 0.0, 0.0, 0.3, 0.5, 0.0, -0.2, 0.1, 0.6],
            };
            let lambda: Vec<Vec<f64>> = factors.iter().map(scale).collect();
            let xy: Vec<f64> = (0..n * w).map(|k| (0.9 * k as f64).cos()).collect();
            let products = Products::new(&factors, &xy, w);
            let joined = products.join(&lambda);
            let mut elimination = Elimination::new(Arc::new(products));
            elimination.evaluate(&joined, &mut vec![0.0; w * w]).unwrap();
            elimination.solve();
            elimination.invert();
            let root = [1.0, 0.0, 0.4, 1.3];
            let own = Within::new(&elimination);
            let mut white = Within::new(&elimination);
            white.whiten(&root, 2);
            let (t, z) = dense(&factors, &lambda, n);
            let (total, all) = (z.len() / n, AllRows { factors: &factors, xy: &xy });
            let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
            for i in 0..n {
                // tᵢ = Tzᵢ; of V₀⁻¹[X y] row i is [x y]ᵢ − Σⱼ (tᵢ·zⱼ) [x y]ⱼ.
                let along = |k: usize| -> f64 {
                    (0..total).map(|j| t[k * total + j] * z[i * total + j]).sum()
                };
                let ti: Vec<f64> = (0..total).map(along).collect();
                let mut rest = xy[i * w..][..w].to_vec();
                close(own.inside(&all, i, &mut rest), dot(&ti, &z[i * total..][..total]));
                for c in 0..w {
                    let of = |j: usize| dot(&ti, &z[j * total..][..total]) * xy[j * w + c];
                    close(rest[c], xy[i * w + c] - (0..n).map(of).sum::<f64>());
                }
                let mut expected = rest[..2].to_vec();
                solve_lower(&root, 2, &mut expected);
                let mut found = xy[i * w..][..2].to_vec();
                solve_lower(&root, 2, &mut found);
                white.inside(&all, i, &mut found);
                close(found[0], expected[0]);
                close(found[1], expected[1]);
            }
        }
    }

    #[test]
    fn steps_of_the_lead_are_what_its_numbers_add_to_a_draw() {
        for q in 1..4 {
            let factors = [rows(q, 9, 1, 60), rows(1, 4, 5, 60)];
            let products = Products::new(&factors, &vec![1.0; 60], 1);
            let identity = (0..q * q).map(|k| f64::from(u8::from(k % (q + 1) == 0))).collect();
            let joined = products.join(&[identity, vec![0.6]]);
            let mut elimination = Elimination::new(Arc::new(products));
            elimination.evaluate(&joined, &mut [0.0]).unwrap();
            let mut z: Vec<f64> = (0..9 * q + 4).map(|k| (2.3 * k as f64 + 0.4).sin()).collect();
            assert_eq!(elimination.data.lead, 0);
            let (whole, steps) = (elimination.draw(&[1.0], 1.0, &z), z[..9 * q].to_vec());
            z[..9 * q].fill(0.0);
            let without = elimination.draw(&[1.0], 1.0, &z);
            let steps = elimination.steps_of_lead(&steps);
            for ((whole, without), step) in whole.iter().zip(&without).zip(&steps) {
                assert!((whole - without - step).abs() < 1e-12 && step.abs() > 1e-6);
            }
        }
    }
}
