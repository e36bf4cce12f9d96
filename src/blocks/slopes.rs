//! Slopes of log|V₀| and K by the relative covariances G = ΛΛᵀ of the factors.
//!
//! With P = ZᵀV₀⁻¹Z and C = ZᵀV₀⁻¹[X y], `d log|V₀| = tr(P dG)` and `dK = −Cᵀ dG C`; of both only
//! the diagonal blocks of levels count. For the factors that are not eliminated first,
//! `PG = S̃T`, and where G is (nearly) singular `P = S̃ − (L⁻¹ΛᵀS̃)ᵀ(L⁻¹ΛᵀS̃)`; for the lead, with
//! `N = I − ZᵀZ MᵀM` and H = Na (a: what a level shares with the others),
//! `P = ZᵀZ − (M ZᵀZ)ᵀ(M ZᵀZ) − HTHᵀ` and `C = N Zᵀ[X y] − Hx`.

use super::eliminate::Elimination;
use super::products::Factor;
use crate::linalg::{cholesky, solve_lower, solve_lower_transposed};

/// Share of a variance that correlations leave, below which G counts as singular.
const SINGULAR: f64 = 1e-8;

/// And a variance, where 1 is what rows can tell from 0.
const NOTHING: f64 = 1e-12;

impl Elimination {
    /// For each factor the symmetric `Σ (P − CΩCᵀ)` over its levels, q × q, in the user's columns.
    /// After `evaluate`.
    pub fn slopes(&mut self, omega: &[f64]) -> Vec<Vec<f64>> {
        self.solve();
        let data = self.data.clone();
        self.rest.invert(&data, &self.scales);
        let pulls = self.pulls_of_rest();
        let of_factor = |k: usize| {
            let factor = &data.factors[k];
            let mut sum = if k == data.lead {
                self.slope_of_lead(omega)
            } else {
                let mut sum = self.precisions(k);
                for level in 0..factor.n_levels {
                    let pull = self.pull_at(&pulls, factor, level);
                    subtract_form(&pull, omega, factor.q, &mut sum);
                }
                sum
            };
            symmetrise(&mut sum, factor.q);
            to_user(&sum, &factor.unscale, factor.q)
        };
        (0..data.factors.len()).map(of_factor).collect()
    }

    /// C of the others, by columns of `[X y]`. After `solve`.
    pub fn pulls_of_rest(&self) -> Vec<f64> {
        let mut pulls = vec![0.0; self.x.len()];
        self.rest.times_schur(&self.x, &mut pulls);
        for (pull, v) in pulls.iter_mut().zip(&self.v) {
            *pull = v - *pull;
        }
        pulls
    }

    /// C of one level of another factor than the lead, q × w.
    pub fn pull_at(&self, pulls: &[f64], factor: &Factor, level: usize) -> Vec<f64> {
        let n = self.data.n_rest;
        let rows = factor.columns(level);
        let entries = rows.flat_map(|row| (0..self.data.width).map(move |c| (row, c)));
        entries.map(|(row, c)| pulls[c * n + row]).collect()
    }

    /// Sum of the diagonal blocks of P of a factor that is not the lead.
    fn precisions(&self, k: usize) -> Vec<f64> {
        let (factor, n) = (&self.data.factors[k], self.data.n_rest);
        let q = factor.q;
        let scale = &self.scales[k];
        let mut g = vec![0.0; q * q];
        for i in 0..q {
            for j in 0..q {
                g[i * q + j] = (0..q).map(|c| scale[i * q + c] * scale[j * q + c]).sum();
            }
        }
        let schur = |column: usize| self.rest.schur(column, column);
        let largest = |i: usize| {
            (0..factor.n_levels).map(|j| schur(factor.columns(j).start + i)).fold(0.0, f64::max)
        };
        let mut root = g.clone();
        let regular = cholesky(&mut root, q).is_some()
            && (0..q).all(|i| {
                let own = g[i * q + i];
                root[i * q + i].powi(2) > SINGULAR * own && own * largest(i) > NOTHING
            });
        let mut sum = vec![0.0; q * q];
        if regular {
            // PG = S̃T.
            for level in 0..factor.n_levels {
                let first = factor.columns(level).start;
                for i in 0..q {
                    for j in 0..q {
                        let (a, b) = (first + i, first + j);
                        sum[i * q + j] += self.rest.product(a, b);
                    }
                }
            }
            for row in sum.chunks_exact_mut(q) {
                solve_lower(&root, q, row);
                solve_lower_transposed(&root, q, row);
            }
            return sum;
        }
        let mut columns = vec![0.0; n * q];
        for level in 0..factor.n_levels {
            let first = factor.columns(level).start;
            for (b, column) in columns.chunks_exact_mut(n).enumerate() {
                for (l, entry) in column.iter_mut().enumerate() {
                    *entry = self.rest.schur(l, first + b);
                }
            }
            self.inward(&mut columns);
            self.rest.solve(&mut columns);
            for i in 0..q {
                for j in 0..q {
                    let (a, b) = (&columns[i * n..][..n], &columns[j * n..][..n]);
                    let inner: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                    sum[i * q + j] += self.rest.schur(first + i, first + j) - inner;
                }
            }
        }
        sum
    }

    /// Multiply columns of the others by Λᵀ, in place.
    fn inward(&self, x: &mut [f64]) {
        let data = &self.data;
        for &k in &data.others {
            let (factor, q, scale) = (&data.factors[k], data.factors[k].q, &self.scales[k]);
            let mut moved = vec![0.0; q];
            for x in x.chunks_exact_mut(data.n_rest) {
                for level in 0..factor.n_levels {
                    let x = &mut x[factor.columns(level)];
                    for a in 0..q {
                        moved[a] = (0..q).map(|b| scale[b * q + a] * x[b]).sum();
                    }
                    x.copy_from_slice(&moved);
                }
            }
        }
    }

    fn slope_of_lead(&self, omega: &[f64]) -> Vec<f64> {
        let q = self.data.lead().q;
        let mut sum = vec![0.0; q * q];
        for level in 0..self.data.lead().n_levels {
            let (m, own) = (self.m(level), self.data.lead().own(level));
            let n = self.left_over(level);
            for i in 0..q {
                for j in 0..q {
                    let dot = |c: usize, col: usize| -> f64 {
                        (0..q).map(|b| m[c * q + b] * own[b * q + col]).sum()
                    };
                    sum[i * q + j] +=
                        own[i * q + j] - (0..q).map(|c| dot(c, i) * dot(c, j)).sum::<f64>();
                }
            }
            let shared = self.shared(level, &n);
            for (sum, shared) in sum.iter_mut().zip(&shared) {
                *sum -= shared;
            }
            subtract_form(&self.pull_of_lead(level), omega, q, &mut sum);
        }
        sum
    }

    pub fn m(&self, level: usize) -> &[f64] {
        let q = self.data.lead().q;
        &self.m[level * q * q..][..q * q]
    }

    /// `N = I − ZᵀZ MᵀM` of a level of the lead.
    fn left_over(&self, level: usize) -> Vec<f64> {
        let (q, own) = (self.data.lead().q, self.data.lead().own(level));
        let inner = self.own_covariance(level);
        let mut n = vec![0.0; q * q];
        for i in 0..q {
            for j in 0..q {
                let s: f64 = (0..q).map(|c| own[i * q + c] * inner[c * q + j]).sum();
                n[i * q + j] = f64::from(u8::from(i == j)) - s;
            }
        }
        n
    }

    /// `MᵀM`: the covariance of a level's coefficients given those of the others.
    pub fn own_covariance(&self, level: usize) -> Vec<f64> {
        let (q, m) = (self.data.lead().q, self.m(level));
        let mut out = vec![0.0; q * q];
        for i in 0..q {
            for j in 0..q {
                out[i * q + j] = (0..q).map(|c| m[c * q + i] * m[c * q + j]).sum();
            }
        }
        out
    }

    /// `Y T Yᵀ` with `Y = left · a`, for a level of the lead. After T was filled.
    pub fn shared(&self, level: usize, left: &[f64]) -> Vec<f64> {
        let q = self.data.lead().q;
        let y = self.linked(level, left);
        let columns = &self.data.linked[self.data.links(level)];
        let mut out = vec![0.0; q * q];
        let mut inner = vec![0.0; q];
        for (c, &row) in columns.iter().enumerate() {
            // Below the diagonal twice, and half of what is on it twice.
            let own = &y[c * q..(c + 1) * q];
            let half = 0.5 * self.rest.covariance(row as usize, row as usize);
            inner.iter_mut().zip(own).for_each(|(inner, y)| *inner = half * y);
            for (y, &column) in y.chunks_exact(q).zip(&columns[..c]) {
                let t = self.rest.covariance(row as usize, column as usize);
                inner.iter_mut().zip(y).for_each(|(inner, y)| *inner += t * y);
            }
            for i in 0..q {
                for j in 0..q {
                    out[i * q + j] += own[i] * inner[j] + inner[i] * own[j];
                }
            }
        }
        out
    }

    /// `left · a` of a level of the lead: q numbers for each link.
    pub fn linked(&self, level: usize, left: &[f64]) -> Vec<f64> {
        let q = self.data.lead().q;
        let links = self.data.links(level);
        let values = self.data.link_values[links.start * q..links.end * q].chunks_exact(q);
        let rows = values.flat_map(|a| (0..q).map(move |i| (a, i)));
        rows.map(|(a, i)| (0..q).map(|b| left[i * q + b] * a[b]).sum()).collect()
    }

    /// `left (Zᵀ[X y] − a x)`, q × w, of a level of the lead. After `solve`.
    pub fn with_others(&self, level: usize, left: &[f64]) -> Vec<f64> {
        let (lead, w, n) = (self.data.lead(), self.data.width, self.data.n_rest);
        let q = lead.q;
        let mut e = lead.with_b(level, w).to_vec();
        let links = self.data.links(level);
        let values = self.data.link_values[links.start * q..links.end * q].chunks_exact(q);
        for (a, &column) in values.zip(&self.data.linked[links]) {
            for c in 0..w {
                let x = self.x[c * n + column as usize];
                for i in 0..q {
                    e[i * w + c] -= a[i] * x;
                }
            }
        }
        let mut out = vec![0.0; q * w];
        for i in 0..q {
            for c in 0..w {
                out[i * w + c] = (0..q).map(|b| left[i * q + b] * e[b * w + c]).sum();
            }
        }
        out
    }

    /// C of a level of the lead, q × w. After `solve`.
    pub fn pull_of_lead(&self, level: usize) -> Vec<f64> {
        self.with_others(level, &self.left_over(level))
    }
}

/// Subtract `CΩCᵀ`, C being q × w.
fn subtract_form(c: &[f64], omega: &[f64], q: usize, sum: &mut [f64]) {
    let w = omega.len().isqrt();
    for i in 0..q {
        for a in 0..w {
            let left: f64 = (0..w).map(|b| c[i * w + b] * omega[b * w + a]).sum();
            for j in 0..q {
                sum[i * q + j] -= left * c[j * w + a];
            }
        }
    }
}

fn symmetrise(a: &mut [f64], q: usize) {
    for i in 0..q {
        for j in 0..i {
            let mean = 0.5 * (a[i * q + j] + a[j * q + i]);
            (a[i * q + j], a[j * q + i]) = (mean, mean);
        }
    }
}

/// `unscaleᵀ A unscale`.
fn to_user(a: &[f64], unscale: &[f64], q: usize) -> Vec<f64> {
    let mut out = vec![0.0; q * q];
    for i in 0..q {
        for j in 0..q {
            for k in 0..q {
                for l in 0..q {
                    out[i * q + j] += unscale[k * q + i] * a[k * q + l] * unscale[l * q + j];
                }
            }
        }
    }
    out
}
