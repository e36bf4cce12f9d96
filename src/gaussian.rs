//! The marginal density of a Gaussian model with one grouping factor, and the exact conditionals.
//!
//! Sampled: φ = (sd, correlations, sigma), and those coefficients whose prior is neither normal nor
//! flat. Integrated: every group coefficient and every other population coefficient. With
//! Λ' = Λ/σ and, for each level, `K = I + (RΛ')(RΛ')ᵀ` (see [`crate::crossproducts`]):
//!
//! * `F = (W + Σ BᵀK⁻¹B)/σ² + P`, where P holds the normal priors as rows `[x y]` of unit variance;
//! * `log p = −N log σ − ½ Σ log|K| − ½ uᵀFu − ½ log|F_II|` with `u = (−ĉ_I, −c_S, 1)`, where I are
//!   the integrated coefficients, S the sampled ones, and ĉ_I minimises `uᵀFu`.
//!
//! The gradient needs `Ω = uuᵀ + F_II⁻¹` (embedded), which is known only after all levels were
//! seen: hence two passes over the levels, the first keeping K⁻¹ and K⁻¹B. DESIGN §2; Bates et al.
//! (2015) §3; the profile over b is theirs, the prior rows and gradient are standard calculus.

use crate::covariance::Covariance;
use crate::crossproducts::{CrossProducts, LANES, Lane, upper};
use crate::lanes::{
    ONE, ZERO, add_product, add_scaled, log_of_product, reciprocal, subtract_product, sum, times,
    triangular,
};
use crate::linalg::{cholesky, solve_lower, solve_lower_transposed};
use crate::prior::Scalar;
use crate::sampler::Density;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use std::sync::Arc;

/// A scale that is either sampled or known.
#[derive(Clone, Copy, Debug)]
pub enum Scale {
    Sampled(Scalar),
    Known(f64),
}

/// Everything fixed before sampling starts.
#[derive(Clone, Debug)]
pub struct Marginal {
    pub data: CrossProducts,
    pub covariance: Covariance,
    pub sd: Vec<Scale>,
    pub sigma: Scale,
    /// Coefficients sampled on the scale of their prior; they are the last columns of X.
    pub sampled: Vec<Scalar>,
    /// `c_S = sampled_map · v + sampled_shift` brings them to working columns.
    pub sampled_map: Vec<f64>,
    pub sampled_shift: Vec<f64>,
    /// P, `width` × `width`.
    pub prior_rows: Vec<f64>,
    /// What does not depend on the parameters.
    pub constant: f64,
}

impl Marginal {
    fn n_coefficients(&self) -> usize {
        self.data.width - 1
    }

    fn n_integrated(&self) -> usize {
        self.n_coefficients() - self.sampled.len()
    }

    /// Numbers in one row of output: sd, correlations, sigma, coefficients (working columns).
    pub fn n_outputs(&self) -> usize {
        self.data.q + self.covariance.n_correlations() + 1 + self.n_coefficients()
    }

    pub fn dim(&self) -> usize {
        let scales = self.sd.iter().chain([&self.sigma]);
        scales.filter(|s| matches!(s, Scale::Sampled(_))).count()
            + self.covariance.n_correlations()
            + self.sampled.len()
    }

    /// Where chains start from.
    pub fn start(&self) -> Vec<f64> {
        let unconstrained = |s: &Scalar| s.support.unconstrain(s.start);
        let scale = |s: &Scale| match s {
            Scale::Sampled(s) => Some(unconstrained(s)),
            Scale::Known(_) => None,
        };
        let mut u: Vec<f64> = self.sd.iter().filter_map(scale).collect();
        u.extend(std::iter::repeat_n(0.0, self.covariance.n_correlations()));
        u.extend(scale(&self.sigma));
        u.extend(self.sampled.iter().map(unconstrained));
        u
    }
}

/// Parameters at a point, as a user knows them.
pub struct Constrained {
    pub sd: Vec<f64>,
    pub cor: Vec<f64>,
    pub sigma: f64,
    /// Sampled coefficients on the scale of their prior.
    pub sampled: Vec<f64>,
    /// Log prior of everything sampled, with Jacobian, up to a constant.
    pub log_prior: f64,
}

/// Where the unconstrained vector led: constrained values with their slopes.
#[derive(Clone, Debug, Default)]
struct Point {
    sd: Vec<f64>,
    sd_slope: Vec<f64>,
    sigma: f64,
    sigma_slope: f64,
    /// Cholesky factor of the correlations, q × q.
    l: Vec<f64>,
    /// Λ/σ, q × q.
    lambda: Vec<f64>,
    /// Sampled coefficients in working columns, and dv/du.
    c: Vec<f64>,
    c_slope: Vec<f64>,
}

/// The density with its working storage: nothing is allocated per evaluation.
#[derive(Clone, Debug)]
pub struct MarginalDensity {
    pub model: Arc<Marginal>,
    arch: pulp::Arch,
    at: Point,
    /// Per block: K⁻¹ (lower triangle by rows as an upper triangle) and K⁻¹B.
    k_inverse: Vec<Lane>,
    t: Vec<Lane>,
    /// Lane scratch: A = RΛ' (or G), K and its factor, 1/D (with it Y = TQ), L⁻¹B.
    scratch: Vec<Lane>,
    sums: Vec<Lane>,
    f: Vec<f64>,
    h: Vec<f64>,
    u: Vec<f64>,
    q_factor: Vec<f64>,
    d_sigma: Vec<f64>,
    d_lambda: Vec<f64>,
    d_l: Vec<f64>,
    d_cor: Vec<f64>,
}

impl MarginalDensity {
    pub fn new(model: Arc<Marginal>) -> Self {
        let (q, w) = (model.data.q, model.data.width);
        let blocks = model.data.n_blocks();
        let triangle = q * (q + 1) / 2;
        let (n_i, n_s) = (model.n_integrated(), model.sampled.len());
        Self {
            arch: pulp::Arch::new(),
            at: Point {
                sd: vec![0.0; q],
                sd_slope: vec![0.0; q],
                sigma: 1.0,
                sigma_slope: 0.0,
                l: vec![0.0; q * q],
                lambda: vec![0.0; q * q],
                c: vec![0.0; n_s],
                c_slope: vec![0.0; n_s],
            },
            k_inverse: vec![ZERO; blocks * triangle],
            t: vec![ZERO; blocks * q * w],
            scratch: vec![ZERO; q * q + triangle + q + q * w],
            sums: vec![ZERO; (w * (w + 1) / 2).max(triangle)],
            f: vec![0.0; w * w],
            h: vec![0.0; n_i * n_i],
            u: vec![0.0; w],
            q_factor: vec![0.0; w * (n_i + 1)],
            d_sigma: vec![0.0; q * q],
            d_lambda: vec![0.0; q * q],
            d_l: vec![0.0; q * q],
            d_cor: vec![0.0; model.covariance.n_correlations()],
            model,
        }
    }

    /// Constrain `u` into `self.at`; returns the log prior and writes its gradient.
    fn constrain(&mut self, u: &[f64], grad: &mut [f64]) -> f64 {
        let model = &*self.model;
        let at = &mut self.at;
        let (mut next, mut logp) = (0, 0.0);
        let mut take = |scalar: &Scalar, next: &mut usize| {
            let s = scalar.at(u[*next]);
            grad[*next] = s.dlogp_du;
            *next += 1;
            logp += s.logp;
            (s.x, s.dx_du)
        };
        for (i, scale) in model.sd.iter().enumerate() {
            (at.sd[i], at.sd_slope[i]) = match scale {
                Scale::Sampled(scalar) => take(scalar, &mut next),
                Scale::Known(x) => (*x, 0.0),
            };
        }
        let first_correlation = next;
        next += model.covariance.n_correlations();
        (at.sigma, at.sigma_slope) = match &model.sigma {
            Scale::Sampled(scalar) => take(scalar, &mut next),
            Scale::Known(x) => (*x, 0.0),
        };
        let n_s = model.sampled.len();
        at.c.copy_from_slice(&model.sampled_shift);
        for (k, scalar) in model.sampled.iter().enumerate() {
            let v;
            (v, at.c_slope[k]) = take(scalar, &mut next);
            for (i, c) in at.c.iter_mut().enumerate() {
                *c += model.sampled_map[i * n_s + k] * v;
            }
        }
        self.d_cor.fill(0.0);
        let correlations = first_correlation..first_correlation + self.d_cor.len();
        logp += model.covariance.correlation_factor(&u[correlations], &mut at.l, &mut self.d_cor);
        let q = model.data.q;
        for i in 0..q {
            for k in 0..q {
                at.lambda[i * q + k] = at.sd[i] / at.sigma * at.l[i * q + k];
            }
        }
        logp
    }

    /// The parameters that the unconstrained `u` stands for.
    pub fn constrained(&mut self, u: &[f64]) -> Constrained {
        let mut grad = vec![0.0; u.len()];
        let log_prior = self.constrain(u, &mut grad);
        let model = &*self.model;
        let elementwise = model.covariance.elementwise_logp(&self.at.l, &mut self.d_l);
        let mut cor = vec![0.0; model.covariance.n_correlations()];
        model.covariance.correlations(&self.at.l, &self.at.sd, &mut cor);
        let first = u.len() - model.sampled.len();
        let sampled = model.sampled.iter().zip(&u[first..]);
        Constrained {
            sd: self.at.sd.iter().map(|sd| sd.abs()).collect(),
            cor,
            sigma: self.at.sigma,
            sampled: sampled.map(|(s, &u)| s.support.at(u).x).collect(),
            log_prior: log_prior + elementwise,
        }
    }

    /// First pass: log|K| summed over the levels, and F; keeps K⁻¹ and K⁻¹B.
    fn forward(&mut self) -> f64 {
        let arch = self.arch;
        // Literal sizes let the compiler unroll the common cases.
        let log_det = match (self.model.data.q, self.model.data.width) {
            (0, _) => 0.0,
            (1, 2) => arch.dispatch(Forward::<1, 2>(self)),
            (1, 3) => arch.dispatch(Forward::<1, 3>(self)),
            (1, _) => arch.dispatch(Forward::<1, ANY>(self)),
            (2, 3) => arch.dispatch(Forward::<2, 3>(self)),
            (2, _) => arch.dispatch(Forward::<2, ANY>(self)),
            _ => arch.dispatch(Forward::<ANY, ANY>(self)),
        };
        let w = self.model.data.width;
        let precision = 1.0 / (self.at.sigma * self.at.sigma);
        for i in 0..w {
            for j in 0..=i {
                let levels = match self.model.data.q {
                    0 => 0.0,
                    _ => sum(&self.sums[triangular(i, j)]),
                };
                let sum = (self.model.data.w[i * w + j] + levels) * precision
                    + self.model.prior_rows[i * w + j];
                self.f[i * w + j] = sum;
                self.f[j * w + i] = sum;
            }
        }
        log_det
    }

    #[inline(always)]
    fn forward_levels(&mut self, q: usize, w: usize) -> f64 {
        let data = &self.model.data;
        let triangle = q * (q + 1) / 2;
        let lambda = &self.at.lambda[..q * q];
        let (a, rest) = self.scratch.split_at_mut(q * q);
        let (k, rest) = rest.split_at_mut(triangle);
        let (inverse_d, rest) = rest.split_at_mut(q);
        let solved = &mut rest[..q * w];
        let sums = &mut self.sums[..w * (w + 1) / 2];
        sums.fill(ZERO);
        let mut product = ONE;
        let mut log_det = 0.0;
        let blocks = data.r.chunks_exact(triangle).zip(data.b.chunks_exact(q * w));
        let kept = self.k_inverse.chunks_exact_mut(triangle).zip(self.t.chunks_exact_mut(q * w));
        for ((r, b), (k_inverse, t)) in blocks.zip(kept) {
            // A = RΛ' and K = I + AAᵀ.
            for i in 0..q {
                for j in 0..q {
                    let mut s = ZERO;
                    for c in i.max(j)..q {
                        add_scaled(&mut s, &r[upper(q, i, c)], lambda[c * q + j]);
                    }
                    a[i * q + j] = s;
                }
            }
            for i in 0..q {
                for j in 0..=i {
                    let mut s = if i == j { ONE } else { ZERO };
                    for c in 0..q {
                        add_product(&mut s, &a[i * q + c], &a[j * q + c]);
                    }
                    k[triangular(i, j)] = s;
                }
            }
            // K = L D Lᵀ in place, then L⁻¹ beside it; the pivots are at least 1.
            for j in 0..q {
                let mut pivot = k[triangular(j, j)];
                for c in 0..j {
                    // Below the diagonal k holds L, on it D.
                    let l = k[triangular(j, c)];
                    subtract_product(&mut pivot, &l, &times(&l, &k[triangular(c, c)]));
                }
                k[triangular(j, j)] = pivot;
                product = times(&product, &pivot);
                inverse_d[j] = reciprocal(&pivot);
                for i in j + 1..q {
                    let mut s = k[triangular(i, j)];
                    for c in 0..j {
                        let scaled = times(&k[triangular(i, c)], &k[triangular(c, c)]);
                        subtract_product(&mut s, &scaled, &k[triangular(j, c)]);
                    }
                    k[triangular(i, j)] = times(&s, &inverse_d[j]);
                }
            }
            // One logarithm for many levels: fold the product in before it can overflow.
            if product.iter().any(|&p| p > 1e30) {
                log_det += log_of_product(&product);
                product = ONE;
            }
            // U = L⁻¹B, F += UᵀD⁻¹U, T = L⁻ᵀD⁻¹U.
            for i in 0..q {
                for col in 0..w {
                    let mut s = b[i * w + col];
                    for c in 0..i {
                        subtract_product(&mut s, &k[triangular(i, c)], &solved[c * w + col]);
                    }
                    solved[i * w + col] = s;
                    let scaled = times(&s, &inverse_d[i]);
                    t[i * w + col] = scaled;
                    for other in 0..=col {
                        let value = &solved[i * w + other];
                        add_product(&mut sums[triangular(col, other)], &scaled, value);
                    }
                }
            }
            for i in (0..q).rev() {
                for c in i + 1..q {
                    let l = k[triangular(c, i)];
                    for col in 0..w {
                        let value = t[c * w + col];
                        subtract_product(&mut t[i * w + col], &l, &value);
                    }
                }
            }
            for j in 0..q {
                k_inverse[triangular(j, j)] = ONE;
                for i in j + 1..q {
                    let mut s = ZERO;
                    for c in j..i {
                        let above = k_inverse[triangular(c, j)];
                        subtract_product(&mut s, &k[triangular(i, c)], &above);
                    }
                    k_inverse[triangular(i, j)] = s;
                }
            }
            // K⁻¹ = L⁻ᵀD⁻¹L⁻¹; row i is overwritten when no later row needs it.
            for i in 0..q {
                for j in 0..=i {
                    let mut s = ZERO;
                    for c in i..q {
                        let scaled = times(&k_inverse[triangular(c, i)], &inverse_d[c]);
                        add_product(&mut s, &scaled, &k_inverse[triangular(c, j)]);
                    }
                    k_inverse[triangular(i, j)] = s;
                }
            }
        }
        log_det + log_of_product(&product)
    }

    /// Integrate the coefficients out: fills ĉ_I (in u), the factor of F_II, and Q with QQᵀ = Ω.
    /// Returns `−½ uᵀFu − ½ log|F_II|`, or `None` where F_II is not positive definite.
    fn integrate(&mut self) -> Option<f64> {
        let w = self.model.data.width;
        let (n_i, n_s) = (self.model.n_integrated(), self.model.sampled.len());
        for i in 0..n_i {
            for j in 0..n_i {
                self.h[i * n_i + j] = self.f[i * w + j];
            }
        }
        let log_det = cholesky(&mut self.h, n_i)?;
        self.u[w - 1] = 1.0;
        for k in 0..n_s {
            self.u[n_i + k] = -self.at.c[k];
        }
        for i in 0..n_i {
            self.u[i] = -(n_i..w).map(|j| self.f[i * w + j] * self.u[j]).sum::<f64>();
        }
        solve_lower(&self.h, n_i, &mut self.u[..n_i]);
        solve_lower_transposed(&self.h, n_i, &mut self.u[..n_i]);
        let mut quadratic = 0.0;
        for i in 0..w {
            for j in 0..w {
                quadratic += self.u[i] * self.f[i * w + j] * self.u[j];
            }
        }
        // Columns of Q: u, then those of L⁻ᵀ (so that their outer products sum to F_II⁻¹).
        self.q_factor[..w].copy_from_slice(&self.u);
        for column in 0..n_i {
            let q = &mut self.q_factor[(column + 1) * w..(column + 2) * w];
            q.fill(0.0);
            q[column] = 1.0;
            solve_lower_transposed(&self.h, n_i, &mut q[..n_i]);
        }
        Some(-0.5 * quadratic - 0.5 * log_det)
    }

    /// Second pass: dℓ/dΣ' (Σ' = Σ/σ²) into `d_sigma`.
    #[inline(always)]
    fn backward_levels(&mut self, q: usize, w: usize) {
        let data = &self.model.data;
        let columns = self.model.n_integrated() + 1;
        let triangle = q * (q + 1) / 2;
        let half = 0.5 / (self.at.sigma * self.at.sigma);
        let (g, rest) = self.scratch.split_at_mut(q * q);
        let y = &mut rest[..q];
        let sums = &mut self.sums[..triangle];
        sums.fill(ZERO);
        let blocks = data.r.chunks_exact(triangle);
        let kept = self.k_inverse.chunks_exact(triangle).zip(self.t.chunks_exact(q * w));
        for (r, (k_inverse, t)) in blocks.zip(kept) {
            // G = ½ (T Ω Tᵀ/σ² − K⁻¹), column by column of Q.
            for i in 0..q {
                for j in 0..=i {
                    g[i * q + j] = ZERO;
                }
            }
            for column in 0..columns {
                // L⁻ᵀ is upper triangular: column k of Q ends at entry k − 1.
                let end = if column == 0 { w } else { column };
                let factor = &self.q_factor[column * w..column * w + end];
                for i in 0..q {
                    let mut s = ZERO;
                    for (value, &factor) in t[i * w..i * w + end].iter().zip(factor) {
                        add_scaled(&mut s, value, factor);
                    }
                    y[i] = s;
                    for j in 0..=i {
                        add_product(&mut g[i * q + j], &s, &y[j]);
                    }
                }
            }
            for i in 0..q {
                for j in 0..=i {
                    let (mut value, inverse) = (ZERO, &k_inverse[triangular(i, j)]);
                    for lane in 0..LANES {
                        value[lane] = g[i * q + j][lane] * half - 0.5 * inverse[lane];
                    }
                    g[i * q + j] = value;
                    g[j * q + i] = value;
                }
            }
            // dℓ/dΣ' += RᵀGR
            for i in 0..q {
                for (j, y) in y.iter_mut().enumerate() {
                    let mut s = ZERO;
                    for c in 0..=i {
                        add_product(&mut s, &r[upper(q, c, i)], &g[c * q + j]);
                    }
                    *y = s;
                }
                for j in 0..=i {
                    for c in 0..=j {
                        add_product(&mut sums[triangular(i, j)], &y[c], &r[upper(q, c, j)]);
                    }
                }
            }
        }
        for i in 0..q {
            for j in 0..=i {
                let total = sum(&sums[triangular(i, j)]);
                self.d_sigma[i * q + j] = total;
                self.d_sigma[j * q + i] = total;
            }
        }
    }

    /// Add the likelihood's gradient to the prior's in `grad`.
    fn backward(&mut self, u: &[f64], grad: &mut [f64]) -> Option<f64> {
        let arch = self.arch;
        match (self.model.data.q, self.model.data.width) {
            (0, _) => {}
            (1, 2) => arch.dispatch(Backward::<1, 2>(self)),
            (1, 3) => arch.dispatch(Backward::<1, 3>(self)),
            (1, _) => arch.dispatch(Backward::<1, ANY>(self)),
            (2, 3) => arch.dispatch(Backward::<2, 3>(self)),
            (2, _) => arch.dispatch(Backward::<2, ANY>(self)),
            _ => arch.dispatch(Backward::<ANY, ANY>(self)),
        }
        let model = &*self.model;
        let (q, w, at) = (model.data.q, model.data.width, &self.at);
        let (n_i, n_s) = (model.n_integrated(), model.sampled.len());
        // Through Λ' = diag(sd/σ) L.
        let mut sigma_slope = 0.0;
        let mut next = 0;
        for i in 0..q {
            let mut d_sd = 0.0;
            for k in 0..q {
                let d: f64 =
                    (0..q).map(|j| 2.0 * self.d_sigma[i * q + j] * at.lambda[j * q + k]).sum();
                self.d_lambda[i * q + k] = d;
                d_sd += d * at.l[i * q + k] / at.sigma;
                self.d_l[i * q + k] = d * at.sd[i] / at.sigma;
            }
            sigma_slope -= d_sd * at.sd[i] / at.sigma;
            if matches!(model.sd[i], Scale::Sampled(_)) {
                grad[next] += d_sd * at.sd_slope[i];
                next += 1;
            }
        }
        let correlations = next..next + self.d_cor.len();
        let elementwise = model.covariance.elementwise_logp(&at.l, &mut self.d_l);
        model.covariance.pull_back(&u[correlations.clone()], &self.d_l, &mut self.d_cor);
        grad[correlations.clone()].copy_from_slice(&self.d_cor);
        next = correlations.end;
        if matches!(model.sigma, Scale::Sampled(_)) {
            // tr((F − P) Ω), with Ω = QQᵀ.
            let mut trace = 0.0;
            for column in self.q_factor.chunks_exact(w) {
                for i in 0..w {
                    for j in 0..w {
                        let data = self.f[i * w + j] - model.prior_rows[i * w + j];
                        trace += column[i] * data * column[j];
                    }
                }
            }
            sigma_slope += (trace - model.data.n_rows as f64) / at.sigma;
            grad[next] += sigma_slope * at.sigma_slope;
            next += 1;
        }
        for k in 0..n_s {
            // d/dv = map' (F u)_S
            let slope: f64 = (0..n_s)
                .map(|i| {
                    let fu: f64 = (0..w).map(|j| self.f[(n_i + i) * w + j] * self.u[j]).sum();
                    model.sampled_map[i * n_s + k] * fu
                })
                .sum();
            grad[next + k] += slope * at.c_slope[k];
        }
        Some(elementwise)
    }

    /// Log density at `u` (unconstrained) and its gradient. `None` outside the support or where
    /// rounding leaves no positive definite matrix.
    pub fn evaluate(&mut self, u: &[f64], grad: &mut [f64]) -> Option<f64> {
        let prior = self.constrain(u, grad);
        let log_det = self.forward();
        let integrated = self.integrate()?;
        let elementwise = self.backward(u, grad)?;
        let rows = self.model.data.n_rows as f64;
        let logp = prior + elementwise + integrated + self.model.constant
            - rows * self.at.sigma.ln()
            - 0.5 * log_det;
        (logp.is_finite() && grad.iter().all(|g| g.is_finite())).then_some(logp)
    }
}

/// Stands for a size that is known only at run time.
const ANY: usize = usize::MAX;

/// The passes over the levels, compiled for the widest vectors of the machine at hand. (A closure
/// would not be inlined into the code that may use them.)
struct Forward<'a, const Q: usize, const W: usize>(&'a mut MarginalDensity);

impl<const Q: usize, const W: usize> pulp::WithSimd for Forward<'_, Q, W> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) -> f64 {
        let data = &self.0.model.data;
        let q = if Q == ANY { data.q } else { Q };
        let w = if W == ANY { data.width } else { W };
        self.0.forward_levels(q, w)
    }
}

struct Backward<'a, const Q: usize, const W: usize>(&'a mut MarginalDensity);

impl<const Q: usize, const W: usize> pulp::WithSimd for Backward<'_, Q, W> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        let data = &self.0.model.data;
        let q = if Q == ANY { data.q } else { Q };
        let w = if W == ANY { data.width } else { W };
        self.0.backward_levels(q, w);
    }
}

impl Density for MarginalDensity {
    fn dim(&self) -> usize {
        self.model.dim()
    }

    fn n_outputs(&self) -> usize {
        self.model.n_outputs()
    }

    fn start(&self) -> Vec<f64> {
        self.model.start()
    }

    fn logp_and_grad(&mut self, u: &[f64], grad: &mut [f64]) -> Option<f64> {
        self.evaluate(u, grad)
    }

    /// One row of output: φ, and the coefficients drawn exactly from their conditional.
    fn output<R: Rng + ?Sized>(&mut self, u: &[f64], rng: &mut R, out: &mut [f64]) -> bool {
        let mut unused = vec![0.0; u.len()];
        self.constrain(u, &mut unused);
        self.forward();
        if self.integrate().is_none() {
            return false;
        }
        let model = &*self.model;
        let (q, n_cor) = (model.data.q, model.covariance.n_correlations());
        let n_i = model.n_integrated();
        let (sd, rest) = out.split_at_mut(q);
        let (cor, rest) = rest.split_at_mut(n_cor);
        let (sigma, c) = rest.split_at_mut(1);
        for (out, sd) in sd.iter_mut().zip(&self.at.sd) {
            *out = sd.abs();
        }
        model.covariance.correlations(&self.at.l, &self.at.sd, cor);
        sigma[0] = self.at.sigma;
        let (integrated, sampled) = c.split_at_mut(n_i);
        for z in integrated.iter_mut() {
            *z = StandardNormal.sample(rng);
        }
        solve_lower_transposed(&self.h, n_i, integrated);
        for (c, u) in integrated.iter_mut().zip(&self.u) {
            *c -= u;
        }
        sampled.copy_from_slice(&self.at.c);
        true
    }
}
