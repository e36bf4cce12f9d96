//! Unconstrained coordinates ⇄ the factor Λ of a group covariance Σ = ΛΛᵀ.
//!
//! Σ = diag(sd) · cor · diag(sd). Columns fall into blocks (one per group term of the formula);
//! correlations live within a correlated block and are 0 elsewhere. The Cholesky factor L of `cor`
//! is built from canonical partial correlations z = tanh(u), in which the LKJ density is a product
//! (Lewandowski, Kurowicka & Joe 2009, §2).

use crate::prior::Prior;

/// Columns `start..stop` of Z that belong to one group term.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    pub start: usize,
    pub stop: usize,
    pub correlated: bool,
}

/// The prior of the correlations.
#[derive(Clone, Debug)]
pub enum CorrelationPrior {
    Lkj {
        eta: f64,
    },
    /// A prior for each correlation (in pair order), restricted to valid matrices.
    Elementwise(Vec<(Prior, f64, f64)>),
}

/// The shape of one factor's covariance.
#[derive(Clone, Debug)]
pub struct Covariance {
    pub q: usize,
    pairs: Vec<Pair>,
}

/// Correlated columns: row i, column j < i.
#[derive(Clone, Debug)]
struct Pair {
    i: usize,
    j: usize,
    /// Exponent of 1 − z², with the Jacobian of tanh: that of the LKJ density, else of LKJ(1).
    exponent: f64,
    /// The prior of this correlation alone, and its bounds.
    own: Option<(Prior, f64, f64)>,
}

impl Covariance {
    pub fn new(q: usize, blocks: &[Block], prior: CorrelationPrior) -> Self {
        let mut pairs = Vec::new();
        let extra = match prior {
            CorrelationPrior::Lkj { eta } => eta - 1.0,
            CorrelationPrior::Elementwise(_) => 0.0,
        };
        for block in blocks.iter().filter(|b| b.correlated) {
            let k = block.stop - block.start;
            for i in 1..k {
                for j in 0..i {
                    let exponent = 1.0 + 0.5 * (k as f64 - 2.0 - j as f64);
                    let exponent = exponent + extra;
                    pairs.push(Pair {
                        i: block.start + i,
                        j: block.start + j,
                        exponent,
                        own: None,
                    });
                }
            }
        }
        if let CorrelationPrior::Elementwise(priors) = prior {
            for (pair, own) in pairs.iter_mut().zip(priors) {
                pair.own = Some(own);
            }
        }
        Self { q, pairs }
    }

    /// The covariance of the coefficients of several factors, which are independent.
    pub fn join(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut whole = Self { q: 0, pairs: Vec::new() };
        for part in parts {
            let first = whole.q;
            let moved = |pair: Pair| Pair { i: pair.i + first, j: pair.j + first, ..pair };
            whole.pairs.extend(part.pairs.into_iter().map(moved));
            whole.q += part.q;
        }
        whole
    }

    /// The correlated pairs of columns, the later one first.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        self.pairs.iter().map(|pair| (pair.i, pair.j))
    }

    pub fn n_correlations(&self) -> usize {
        self.pairs.len()
    }

    /// Fill the Cholesky factor `l` (q × q) of the correlation matrix at `u`; returns the log prior
    /// (with Jacobian, up to a constant), −∞ outside the support. Adds the prior's gradient to `du`.
    pub fn correlation_factor(&self, u: &[f64], l: &mut [f64], du: &mut [f64]) -> f64 {
        let q = self.q;
        l.fill(0.0);
        for i in 0..q {
            l[i * q + i] = 1.0;
        }
        let mut logp = 0.0;
        // The diagonal carries what is left of the row's unit length: s_j = Π_{k<j} sech(u_k).
        for (pair, (&u, du)) in self.pairs.iter().zip(u.iter().zip(du.iter_mut())) {
            let Pair { i, j, exponent, .. } = *pair;
            let (z, log_sech) = (u.tanh(), log_sech(u));
            let left = l[i * q + i];
            l[i * q + j] = z * left;
            l[i * q + i] = left * log_sech.exp();
            logp += 2.0 * exponent * log_sech;
            *du -= 2.0 * exponent * z;
        }
        logp
    }

    /// Log prior of element-wise correlation priors; adds its gradient to `dl`.
    pub fn elementwise_logp(&self, l: &[f64], dl: &mut [f64]) -> f64 {
        let q = self.q;
        let mut logp = 0.0;
        for &Pair { i, j, own, .. } in &self.pairs {
            let Some((prior, low, high)) = own else { continue };
            let r = self.correlation(l, i, j);
            if !(low..=high).contains(&r) {
                return f64::NEG_INFINITY;
            }
            let (value, slope) = prior.logp(r);
            logp += value;
            for k in 0..=j {
                dl[i * q + k] += slope * l[j * q + k];
                dl[j * q + k] += slope * l[i * q + k];
            }
        }
        logp
    }

    /// Pull the derivative by L back to the unconstrained coordinates, adding to `du`.
    pub fn pull_back(&self, u: &[f64], dl: &[f64], du: &mut [f64]) {
        let q = self.q;
        // Pairs of one row are consecutive: walk each row forward for s_j, then back.
        let mut end = self.pairs.len();
        while end > 0 {
            let row = self.pairs[end - 1].i;
            let mut begin = end;
            while begin > 0 && self.pairs[begin - 1].i == row {
                begin -= 1;
            }
            let mut ds = dl[row * q + row];
            let mut log_left: f64 = u[begin..end].iter().map(|&u| log_sech(u)).sum();
            for k in (begin..end).rev() {
                let (z, c) = (u[k].tanh(), log_sech(u[k]).exp());
                log_left -= log_sech(u[k]);
                let left = log_left.exp();
                let d = dl[row * q + self.pairs[k].j];
                du[k] += d * left * c * c - ds * left * z * c;
                ds = ds * c + d * z;
            }
            end = begin;
        }
    }

    /// Write the correlations in pair order; a negative sd turns the sign of its correlations
    /// (Σ is the same, and so is the LKJ density).
    pub fn correlations(&self, l: &[f64], sd: &[f64], out: &mut [f64]) {
        for (&Pair { i, j, .. }, out) in self.pairs.iter().zip(out) {
            let turned = (sd[i] < 0.0) != (sd[j] < 0.0);
            *out = self.correlation(l, i, j) * if turned { -1.0 } else { 1.0 };
        }
    }

    /// Turn the signs of a column's correlations, in unconstrained coordinates.
    pub fn mirror(&self, column: usize, u: &mut [f64]) {
        for (&Pair { i, j, .. }, u) in self.pairs.iter().zip(u) {
            if i == column || j == column {
                *u = -*u;
            }
        }
    }

    fn correlation(&self, l: &[f64], i: usize, j: usize) -> f64 {
        (0..=j).map(|k| l[i * self.q + k] * l[j * self.q + k]).sum()
    }
}

/// `log(1 / cosh u)` without overflow.
fn log_sech(u: f64) -> f64 {
    let a = u.abs();
    std::f64::consts::LN_2 - a - (-2.0 * a).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three(prior: CorrelationPrior) -> Covariance {
        Covariance::new(3, &[Block { start: 0, stop: 3, correlated: true }], prior)
    }

    /// A smooth function of L to differentiate through.
    fn objective(cov: &Covariance, u: &[f64]) -> f64 {
        let (mut l, mut du) = (vec![0.0; 9], vec![0.0; 3]);
        let logp = cov.correlation_factor(u, &mut l, &mut du);
        let extra = cov.elementwise_logp(&l, &mut [0.0; 9]);
        logp + extra + l.iter().enumerate().map(|(k, x)| (k as f64 + 1.0) * x * x).sum::<f64>()
    }

    #[test]
    fn gradient_agrees_with_finite_differences() {
        let normal = (Prior::Normal { loc: 0.1, scale: 0.4 }, -1.0, 1.0);
        for prior in
            [CorrelationPrior::Lkj { eta: 2.0 }, CorrelationPrior::Elementwise(vec![normal; 3])]
        {
            let cov = three(prior);
            let u = [0.4, -0.7, 0.2];
            let (mut l, mut du) = (vec![0.0; 9], vec![0.0; 3]);
            cov.correlation_factor(&u, &mut l, &mut du);
            let mut dl: Vec<f64> =
                l.iter().enumerate().map(|(k, x)| 2.0 * (k as f64 + 1.0) * x).collect();
            cov.elementwise_logp(&l, &mut dl);
            cov.pull_back(&u, &dl, &mut du);
            for k in 0..3 {
                let h = 1e-5;
                let (mut lo, mut hi) = (u, u);
                lo[k] -= h;
                hi[k] += h;
                let slope = (objective(&cov, &hi) - objective(&cov, &lo)) / (2.0 * h);
                assert!((slope - du[k]).abs() < 1e-7, "{k}: {slope} {}", du[k]);
            }
        }
    }

    #[test]
    fn rows_of_the_factor_have_unit_length() {
        let cov = three(CorrelationPrior::Lkj { eta: 1.0 });
        let mut l = vec![0.0; 9];
        cov.correlation_factor(&[1.0, -2.0, 3.0], &mut l, &mut [0.0; 3]);
        for i in 0..3 {
            let length: f64 = (0..3).map(|k| l[i * 3 + k].powi(2)).sum();
            assert!((length - 1.0).abs() < 1e-14);
        }
    }

    #[test]
    fn independent_blocks_have_no_correlations() {
        let blocks = [
            Block { start: 0, stop: 2, correlated: true },
            Block { start: 2, stop: 4, correlated: false },
        ];
        let cov = Covariance::new(4, &blocks, CorrelationPrior::Lkj { eta: 2.0 });
        assert_eq!(cov.n_correlations(), 1);
        let mut l = vec![0.0; 16];
        cov.correlation_factor(&[5.0], &mut l, &mut [0.0]);
        assert_eq!(&l[8..], &[0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    }
}
