//! One evaluation: log|V₀| and K at a relative covariance factor. Nothing is allocated in it.

use super::products::Products;
use super::rest::Rest;
use crate::linalg::{LogProduct, cholesky, solve_lower};
use std::sync::Arc;

/// Working storage of an evaluation, and what the slopes and conditionals need of it.
#[derive(Clone, Debug)]
pub struct Elimination {
    pub data: Arc<Products>,
    /// Of each factor: Λ for its working columns, `unscale · Λ`, q × q.
    pub scales: Vec<Vec<f64>>,
    /// Of each level of the lead: `M = C⁻¹Λᵀ`, where `CCᵀ = D`; so `MᵀM = ΛD⁻¹Λᵀ`.
    pub m: Vec<f64>,
    pub rest: Rest,
    /// V, by columns of `[X y]`, and by rows while the lead is taken out.
    pub v: Vec<f64>,
    by_rows: Vec<f64>,
    /// `L⁻¹ΛᵀV`, then, once `solve` was called, `ΛS⁻¹ΛᵀV`: the mean of the others' coefficients.
    pub x: Vec<f64>,
    pub(super) solved: bool,
    y: Vec<f64>,
    d: Vec<f64>,
    half: Vec<f64>,
}

impl Elimination {
    pub fn new(data: Arc<Products>) -> Self {
        let (w, q, n) = (data.width, data.lead().q, data.n_rest);
        let most = (0..data.lead().n_levels).map(|j| data.links(j).len()).max().unwrap_or(0);
        let largest = data.factors.iter().map(|factor| factor.q).max().unwrap_or(1);
        Self {
            scales: data.factors.iter().map(|factor| vec![0.0; factor.q * factor.q]).collect(),
            m: vec![0.0; data.lead().n_levels * q * q],
            rest: Rest::new(&data),
            v: vec![0.0; n * w],
            by_rows: vec![0.0; n * w],
            x: vec![0.0; n * w],
            solved: false,
            y: vec![0.0; (most + w) * q],
            d: vec![0.0; q * q],
            half: vec![0.0; largest * largest.max(w)],
            data,
        }
    }

    /// Evaluate at `lambda`, block diagonal over factors, by rows. Fills the lower triangle of `k`;
    /// returns log|V₀|, or `None` where rounding leaves no positive definite matrix.
    pub fn evaluate(&mut self, lambda: &[f64], k: &mut [f64]) -> Option<f64> {
        let data = self.data.clone();
        self.set_scales(lambda);
        self.solved = false;
        k.copy_from_slice(&data.total);
        self.begin(&data);
        let log_det = match data.lead().q {
            1 => self.eliminate::<1>(&data, k)?,
            2 => self.eliminate::<2>(&data, k)?,
            3 => self.eliminate::<3>(&data, k)?,
            _ => self.eliminate::<0>(&data, k)?,
        };
        let rest = self.rest.factorise(&data, &self.scales)?;
        self.scale_rest(&data);
        self.rest.solve(&mut self.x);
        let (w, n) = (data.width, data.n_rest);
        if n > 0 {
            for i in 0..w {
                for j in 0..=i {
                    let (a, b) = (&self.x[i * n..(i + 1) * n], &self.x[j * n..(j + 1) * n]);
                    k[i * w + j] -= a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                }
            }
        }
        Some(log_det + rest)
    }

    pub(super) fn set_scales(&mut self, lambda: &[f64]) {
        let total = lambda.len().isqrt();
        for (factor, scale) in self.data.factors.iter().zip(&mut self.scales) {
            let (q, first) = (factor.q, factor.first);
            for a in 0..q {
                for b in 0..q {
                    scale[a * q + b] = (a..q)
                        .map(|c| {
                            factor.unscale[a * q + c] * lambda[(first + c) * total + first + b]
                        })
                        .sum();
                }
            }
        }
    }

    /// Cross-products of the others, before the lead is taken out.
    fn begin(&mut self, data: &Products) {
        let w = data.width;
        self.rest.begin(data);
        for &k in &data.others {
            let factor = &data.factors[k];
            self.by_rows[factor.offset * w..][..factor.with_b.len()]
                .copy_from_slice(&factor.with_b);
        }
    }

    /// Take the lead out level by level; returns Σ log|D|.
    #[inline(always)]
    fn eliminate<const Q: usize>(&mut self, data: &Products, k: &mut [f64]) -> Option<f64> {
        let (lead, w, n) = (data.lead(), data.width, data.n_rest);
        let q = if Q == 0 { lead.q } else { Q };
        let mut log_det = LogProduct::default();
        for level in 0..lead.n_levels {
            let (scale, m) = (&self.scales[data.lead], &mut self.m[level * q * q..][..q * q]);
            let room = (&mut self.d[..], &mut self.half[..]);
            level_factor(lead.own(level), scale, q, room, m, &mut log_det)?;
            let links = data.links(level);
            let columns = &data.linked[links.clone()];
            let values = &data.link_values[links.start * q..links.end * q];
            let (y, y_b) = self.y.split_at_mut(columns.len() * q);
            for (y, a) in y.chunks_exact_mut(q).zip(values.chunks_exact(q)) {
                for i in 0..q {
                    y[i] = (0..q).map(|b| m[i * q + b] * a[b]).sum();
                }
            }
            let with_b = lead.with_b(level, w);
            for c in 0..w {
                for i in 0..q {
                    y_b[c * q + i] = (0..q).map(|b| m[i * q + b] * with_b[b * w + c]).sum();
                }
            }
            self.rest.subtract(level, columns, y, q);
            for (y, &column) in y.chunks_exact(q).zip(columns) {
                let sums = &mut self.by_rows[column as usize * w..][..w];
                if q == 1 {
                    sums.iter_mut().zip(&*y_b).for_each(|(sum, y_b)| *sum -= y[0] * y_b);
                    continue;
                }
                for (sum, y_b) in sums.iter_mut().zip(y_b.chunks_exact(q)) {
                    *sum -= y.iter().zip(y_b).map(|(a, b)| a * b).sum::<f64>();
                }
            }
            for i in 0..w {
                for j in 0..=i {
                    k[i * w + j] -= (0..q).map(|a| y_b[i * q + a] * y_b[j * q + a]).sum::<f64>();
                }
            }
        }
        for (row, sums) in self.by_rows.chunks_exact(w).enumerate() {
            for (c, sum) in sums.iter().enumerate() {
                self.v[c * n + row] = *sum;
            }
        }
        Some(log_det.sum())
    }

    /// M of all levels of the lead; returns Σ log|D|.
    pub(super) fn factor_levels(&mut self, data: &Products) -> Option<f64> {
        match data.lead().q {
            1 => self.factor_each::<1>(data),
            2 => self.factor_each::<2>(data),
            3 => self.factor_each::<3>(data),
            _ => self.factor_each::<0>(data),
        }
    }

    #[inline(always)]
    fn factor_each<const Q: usize>(&mut self, data: &Products) -> Option<f64> {
        let lead = data.lead();
        let q = if Q == 0 { lead.q } else { Q };
        let scale = &self.scales[data.lead];
        let mut log_det = LogProduct::default();
        for (level, m) in self.m.chunks_exact_mut(q * q).enumerate() {
            let room = (&mut self.d[..], &mut self.half[..]);
            level_factor(lead.own(level), scale, q, room, m, &mut log_det)?;
        }
        Some(log_det.sum())
    }

    /// `x = ΛᵀV`.
    fn scale_rest(&mut self, data: &Products) {
        let n = data.n_rest;
        for &k in &data.others {
            let (factor, q, scale) = (&data.factors[k], data.factors[k].q, &self.scales[k]);
            for (v, x) in self.v.chunks_exact(n).zip(self.x.chunks_exact_mut(n)) {
                for level in 0..factor.n_levels {
                    let at = factor.columns(level);
                    for (a, x) in x[at.clone()].iter_mut().enumerate() {
                        *x = (0..q).map(|b| scale[b * q + a] * v[at.start + b]).sum();
                    }
                }
            }
        }
    }

    /// Bring `x` from `L⁻¹ΛᵀV` to `ΛS⁻¹ΛᵀV`.
    pub fn solve(&mut self) {
        if self.solved {
            return;
        }
        self.solved = true;
        self.rest.solve_transposed(&mut self.x);
        outward(&self.data, &self.scales, &mut self.x);
    }
}

/// Multiply the coefficients of the others by Λ, in place, for some columns.
pub fn outward(data: &Products, scales: &[Vec<f64>], x: &mut [f64]) {
    let mut moved = vec![0.0; data.factors.iter().map(|factor| factor.q).max().unwrap_or(0)];
    for &k in &data.others {
        let (factor, q, scale) = (&data.factors[k], data.factors[k].q, &scales[k]);
        for x in x.chunks_exact_mut(data.n_rest.max(1)) {
            for level in 0..factor.n_levels {
                let x = &mut x[factor.columns(level)];
                for a in 0..q {
                    moved[a] = (0..q).map(|b| scale[a * q + b] * x[b]).sum();
                }
                x.copy_from_slice(&moved[..q]);
            }
        }
    }
}

/// `M = C⁻¹Λᵀ` of a level whose ZᵀZ is `own`, `CCᵀ = D = ΛᵀZᵀZΛ + I`; |D|
/// is multiplied into the product of `log_det`.
#[inline(always)]
fn level_factor(
    own: &[f64],
    scale: &[f64],
    q: usize,
    (d, half): (&mut [f64], &mut [f64]),
    m: &mut [f64],
    log_det: &mut LogProduct,
) -> Option<()> {
    if q == 1 {
        let d = scale[0] * own[0] * scale[0] + 1.0;
        m[0] = scale[0] / d.sqrt();
        log_det.times(d);
        return (d > 0.0 && d.is_finite()).then_some(());
    }
    for i in 0..q {
        for j in 0..q {
            half[i * q + j] = (0..q).map(|c| own[i * q + c] * scale[c * q + j]).sum();
        }
    }
    for i in 0..q {
        for j in 0..=i {
            let s: f64 = (0..q).map(|c| scale[c * q + i] * half[c * q + j]).sum();
            d[i * q + j] = s + f64::from(u8::from(i == j));
        }
    }
    log_det.add(cholesky(d, q)?);
    let column = &mut half[..q];
    for c in 0..q {
        for i in 0..q {
            column[i] = scale[c * q + i];
        }
        solve_lower(d, q, column);
        for i in 0..q {
            m[i * q + c] = column[i];
        }
    }
    Some(())
}
