//! `K(θ)` and `log|V₀|(θ)` as numbers that are smooth functions of θ, each as exact as it has to be.
//!
//! With `K_XX = LLᵀ`, ĉ = K_XX⁻¹K_Xy and the residual sum of squares s, these are
//! `g = −½ log|V₀| − ½ log|K_XX| − ½ (N − p) log s`, which the log density is at the best σ: its error
//! is that of the density. The others are log s, ĉ, log L_jj and L_ij/L_jj: their errors move what is
//! drawn given θ, and are to be small beside its sds.

use crate::linalg::{cholesky, solve_lower_transposed};

/// The numbers at a point, taken apart.
#[derive(Clone, Debug)]
pub struct Least {
    p: usize,
    /// N − p
    free: f64,
    /// L, p × p, lower triangle.
    pub l: Vec<f64>,
    /// ĉ
    pub c: Vec<f64>,
    pub log_s: f64,
    /// −½ log|V₀|
    pub half_log_det: f64,
    factor: Vec<f64>,
}

impl Least {
    pub fn new(p: usize, n_rows: usize) -> Self {
        let w = p + 1;
        Self {
            p,
            free: n_rows as f64 - p as f64,
            l: vec![0.0; p * p],
            c: vec![0.0; p],
            log_s: 0.0,
            half_log_det: 0.0,
            factor: vec![0.0; w * w],
        }
    }

    pub fn n_features(p: usize) -> usize {
        2 + 2 * p + p * p.saturating_sub(1) / 2
    }

    /// σ so many sds from its best value.
    pub fn sigma(&self, sds: f64) -> f64 {
        (0.5 * (self.log_s - self.free.ln()) + sds / (2.0 * self.free).sqrt()).exp()
    }

    /// What g holds of s: where σ is known, the density has no logarithm of s.
    fn residual(&self, log_s: f64, sigma: Option<f64>) -> f64 {
        match sigma {
            None => -0.5 * self.free * log_s,
            Some(sigma) => -0.5 * log_s.exp() / (sigma * sigma),
        }
    }

    /// Fill `out` from the lower triangle of K; `None` where K is not positive definite.
    pub fn encode(
        &mut self,
        k: &[f64],
        log_det: f64,
        sigma: Option<f64>,
        out: &mut [f64],
    ) -> Option<()> {
        let (p, w) = (self.p, self.p + 1);
        self.factor.copy_from_slice(k);
        cholesky(&mut self.factor, w)?;
        let log_s = 2.0 * self.factor[w * w - 1].ln();
        let (first, rest) = out.split_at_mut(2);
        let (c, rest) = rest.split_at_mut(p);
        let (log_diagonal, below) = rest.split_at_mut(p);
        c.copy_from_slice(&self.factor[p * w..p * w + p]);
        let mut next = 0;
        for i in 0..p {
            for j in 0..=i {
                self.l[i * p + j] = self.factor[i * w + j];
                if j < i {
                    below[next] = self.factor[i * w + j] / self.factor[j * w + j];
                    next += 1;
                }
            }
            log_diagonal[i] = self.factor[i * w + i].ln();
        }
        solve_lower_transposed(&self.l, p, c);
        first[0] = -0.5 * log_det - log_diagonal.iter().sum::<f64>() + self.residual(log_s, sigma);
        first[1] = log_s;
        out.iter().all(|x| x.is_finite()).then_some(())
    }

    /// Take the numbers apart.
    pub fn decode(&mut self, features: &[f64], sigma: Option<f64>) {
        let p = self.p;
        let (first, rest) = features.split_at(2);
        let (c, rest) = rest.split_at(p);
        let (log_diagonal, below) = rest.split_at(p);
        self.c.copy_from_slice(c);
        self.log_s = first[1];
        let residual = self.residual(first[1], sigma);
        self.half_log_det = first[0] + log_diagonal.iter().sum::<f64>() - residual;
        for (j, log) in log_diagonal.iter().enumerate() {
            self.l[j * p + j] = log.exp();
        }
        let mut next = 0;
        for i in 0..p {
            for j in 0..i {
                self.l[i * p + j] = below[next] * self.l[j * p + j];
                next += 1;
            }
        }
    }

    /// How far σ (where it is `free`) and coefficients drawn given these numbers are from those given
    /// the `truth`, at most, in sds: locations, and spreads.
    pub fn apart(&self, truth: &Self, free: bool) -> f64 {
        let p = self.p;
        let sigma = truth.sigma(0.0);
        let of_s = (self.log_s - truth.log_s) * (0.5 * self.free).sqrt();
        let mut most = if free { of_s.abs() } else { 0.0 };
        for j in 0..p {
            let d = |i: usize| self.c[i] - truth.c[i];
            let location: f64 = (j..p).map(|i| truth.l[i * p + j] * d(i)).sum::<f64>() / sigma;
            most = most.max(location.abs());
        }
        // L⁻¹L of the two, less the identity, column by column.
        for j in 0..p {
            let mut column: Vec<f64> = (0..p).map(|i| self.l[i * p + j]).collect();
            column[..j].fill(0.0);
            crate::linalg::solve_lower(&truth.l, p, &mut column);
            column[j] -= 1.0;
            most = column.iter().fold(most, |most, x| most.max(x.abs()));
        }
        most
    }
}
