//! Another response through an elimination that was made: in a climb, rows pull elsewhere at each
//! step, while what they count may stay.

use super::eliminate::{Elimination, outward};

impl Elimination {
    /// Solve for the response alone, the last column of `[X y]`, whose cross-products have changed
    /// since `evaluate`: fills the last row of `k`, but for its end.
    pub fn respond(&mut self, k: &mut [f64]) {
        self.solve();
        let data = self.data.clone();
        let (lead, w, n) = (data.lead(), data.width, data.n_rest);
        let (q, last) = (lead.q, w - 1);
        k[last * w..].copy_from_slice(&data.total[last * w..]);
        let v = &mut self.v[last * n..];
        for &other in &data.others {
            let factor = &data.factors[other];
            let own = factor.with_b.iter().skip(last).step_by(w);
            v[factor.offset..].iter_mut().zip(own).for_each(|(v, own)| *v = *own);
        }
        let (mut inner, mut pull) = (vec![0.0; q], vec![0.0; q]);
        for level in 0..lead.n_levels {
            let (m, with_b) = (&self.m[level * q * q..][..q * q], lead.with_b(level, w));
            for i in 0..q {
                inner[i] = (0..q).map(|b| m[i * q + b] * with_b[b * w + last]).sum();
            }
            for (b, pull) in pull.iter_mut().enumerate() {
                *pull = (0..q).map(|i| m[i * q + b] * inner[i]).sum();
            }
            let links = data.links(level);
            let values = data.link_values[links.start * q..links.end * q].chunks_exact(q);
            for (a, &column) in values.zip(&data.linked[links]) {
                v[column as usize] -= a.iter().zip(&pull).map(|(a, pull)| a * pull).sum::<f64>();
            }
            for (with_b, pull) in with_b.chunks_exact(w).zip(&pull) {
                let row = k[last * w..][..last].iter_mut().zip(with_b);
                row.for_each(|(sum, own)| *sum -= own * pull);
            }
        }
        if n == 0 {
            return;
        }
        let x = &mut self.x[last * n..];
        for &other in &data.others {
            let (factor, scale) = (&data.factors[other], &self.scales[other]);
            let q = factor.q;
            for level in 0..factor.n_levels {
                let at = factor.columns(level);
                for a in 0..q {
                    x[at.start + a] = (0..q).map(|b| scale[b * q + a] * v[at.start + b]).sum();
                }
            }
        }
        self.rest.solve(x);
        self.rest.solve_transposed(x);
        outward(&data, &self.scales, x);
        for (j, v) in self.v.chunks_exact(n).take(last).enumerate() {
            k[last * w + j] -= v.iter().zip(&*x).map(|(v, x)| v * x).sum::<f64>();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::products::Products;
    use super::super::products::tests::rows;
    use super::*;
    use std::sync::Arc;

    #[test]
    fn another_response_is_as_if_it_had_been_there_from_the_start() {
        let (n, w) = (60, 3);
        for factors in [
            vec![rows(2, 7, 3, n)],
            vec![rows(2, 7, 3, n), rows(1, 5, 2, n)],
            vec![rows(1, 5, 2, n), rows(2, 7, 3, n), rows(1, 4, 5, n)],
        ] {
            let with = |shift: f64| -> Vec<f64> {
                let of = |k: usize| if k % w == w - 1 { shift } else { 0.0 };
                (0..n * w).map(|k| (0.9 * k as f64 + of(k)).cos()).collect()
            };
            let products = |shift| Products::new(&factors, &with(shift), w);
            let lambda: Vec<Vec<f64>> = factors
                .iter()
                .map(|rows| if rows.shape.q == 1 { vec![0.7] } else { vec![0.8, 0.0, 0.3, 0.5] })
                .collect();
            let joined = products(0.0).join(&lambda);
            let mut expected = Elimination::new(Arc::new(products(1.7)));
            let (mut k_expected, mut k) = (vec![0.0; w * w], vec![0.0; w * w]);
            expected.evaluate(&joined, &mut k_expected).unwrap();
            let mut found = Elimination::new(Arc::new(products(0.0)));
            found.evaluate(&joined, &mut k).unwrap();
            assert!((k[2 * w] - k_expected[2 * w]).abs() > 1e-3);
            let (data, other) = (Arc::make_mut(&mut found.data), products(1.7));
            (data.factors, data.total) = (other.factors, other.total);
            found.respond(&mut k);
            let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-10, "{a} {b}");
            (0..w - 1).for_each(|j| close(k[2 * w + j], k_expected[2 * w + j]));
            for factor in 0..factors.len() {
                let both = found.means(factor).into_iter().zip(expected.means(factor));
                both.for_each(|(a, b)| close(a, b));
            }
        }
    }
}
