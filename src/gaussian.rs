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
//! seen: hence two passes over the levels, the first keeping RᵀK⁻¹B. ARCHITECTURE.md; Bates et al.
//! (2015) §3; the profile over b is theirs, the prior rows and gradient are standard calculus.

use crate::covariance::Covariance;
use crate::crossproducts::{CrossProducts, Lane, upper};
use crate::lanes::{
    ONE, ZERO, add_product, add_scaled, log_of_product, reciprocal, subtract_product, sum, times,
    triangular,
};
use crate::linalg::{cholesky, solve_lower_transposed};
use crate::prior::{Scalar, Support};
use crate::sampler::Density;
use crate::wide::{WIDE, Wide};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use std::sync::Arc;

/// Dimensions up to which it pays to look for a polynomial that stands in for the density.
const MOST_DIMENSIONS: usize = 16;

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
    /// Does the sums where there are many columns.
    wide: Option<Wide>,
    /// Per block: RᵀK⁻¹B, by rows.
    kept: Vec<Lane>,
    scratch: Vec<Lane>,
    /// Sums over levels: BᵀK⁻¹B and RᵀK⁻¹R; RᵀK⁻¹BΩBᵀK⁻¹R.
    sums: Vec<Lane>,
    outer: Vec<Lane>,
    f: Vec<f64>,
    quadratic: f64,
    h: Vec<f64>,
    q_factor: Vec<f64>,
    d_sigma: Vec<f64>,
    d_l: Vec<f64>,
    d_cor: Vec<f64>,
    /// Where it was evaluated last without the gradient, if nothing else was done since.
    evaluated: Option<Vec<f64>>,
}

impl MarginalDensity {
    pub fn new(model: Arc<Marginal>) -> Self {
        let (q, w) = (model.data.q, model.data.width);
        let blocks = model.data.n_blocks();
        let triangle = q * (q + 1) / 2;
        let (n_i, n_s) = (model.n_integrated(), model.sampled.len());
        let wide = (w >= WIDE).then(|| Wide::new(&model.data, n_i));
        let (kept, columns) = if wide.is_some() { (0, 1) } else { (blocks * q * w, n_i + 1) };
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
            kept: vec![ZERO; kept],
            scratch: vec![ZERO; scratch_len(q, w)],
            sums: vec![ZERO; w * (w + 1) / 2 + triangle],
            outer: vec![ZERO; triangle],
            f: vec![0.0; w * w],
            quadratic: 0.0,
            h: vec![0.0; n_i * n_i],
            q_factor: vec![0.0; w * columns],
            d_sigma: vec![0.0; q * q],
            d_l: vec![0.0; q * q],
            d_cor: vec![0.0; model.covariance.n_correlations()],
            wide,
            evaluated: None,
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
            let ratio = at.sd[i] / at.sigma;
            for k in 0..q {
                at.lambda[i * q + k] = ratio * at.l[i * q + k];
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

    /// First pass: log|K| summed over the levels, and F; keeps what the gradient needs.
    #[inline(always)]
    fn forward(&mut self, Sizes { q, w, known, .. }: Sizes) -> f64 {
        let data = &self.model.data;
        let size = w * (w + 1) / 2 + q * (q + 1) / 2;
        let (lambda, kept) = (&self.at.lambda[..q * q], &mut self.kept);
        let (f, rows) = (&mut self.f[..w * w], &data.w[..w * w]);
        let prior_rows = &self.model.prior_rows[..w * w];
        let precision = 1.0 / (self.at.sigma * self.at.sigma);
        if let Some(wide) = &mut self.wide {
            self.sums.fill(ZERO);
            let sum_rr = &mut self.sums[w * (w + 1) / 2..];
            let (log_det, sum_bb) = wide.eliminate(data, lambda, sum_rr);
            assemble(f, (w, precision), rows, prior_rows, |i, j| sum_bb[[i, j]]);
            return log_det;
        }
        let mut log_det = 0.0;
        let mut near_sums = [ZERO; FEW];
        let sums = if known {
            let mut scratch = [ZERO; FEW];
            let scratch = &mut scratch[..scratch_len(q, w)];
            log_det = eliminate(data, (q, w), lambda, scratch, &mut near_sums[..size], kept);
            self.sums.copy_from_slice(&near_sums[..size]);
            &near_sums[..size]
        } else {
            self.sums.fill(ZERO);
            if q > 0 {
                log_det = eliminate(data, (q, w), lambda, &mut self.scratch, &mut self.sums, kept);
            }
            &self.sums[..size]
        };
        assemble(f, (w, precision), rows, prior_rows, |i, j| sum(&sums[triangular(i, j)]));
        log_det
    }

    /// Integrate the coefficients out: fills the factor of F_II, uᵀFu, and Q with QQᵀ = Ω,
    /// whose first column is u (and the only one where there are many columns).
    /// Returns `−½ uᵀFu − ½ log|F_II|`, or `None` where F_II is not positive definite.
    #[inline(always)]
    fn integrate(&mut self, Sizes { w, n_s, n_i, .. }: Sizes) -> Option<f64> {
        if let Some(wide) = &mut self.wide {
            let (f, u) = (&self.f[..w * w], &mut self.q_factor[..w]);
            u[w - 1] = 1.0;
            for k in 0..n_s {
                u[n_i + k] = -self.at.c[k];
            }
            let log_det = wide.integrate(f, u)?;
            self.quadratic = quadratic_form(f, w, u);
            return Some(-0.5 * self.quadratic - 0.5 * log_det);
        }
        let (f, h) = (&self.f[..w * w], &mut self.h[..n_i * n_i]);
        for i in 0..n_i {
            for j in 0..n_i {
                h[i * n_i + j] = f[i * w + j];
            }
        }
        let log_det = cholesky(h, n_i)?;
        // Columns of Q: u, then those of L⁻ᵀ (so that their outer products sum to F_II⁻¹).
        let (u, inverse) = self.q_factor[..w * (n_i + 1)].split_at_mut(w);
        for k in 0..n_i {
            let pivot = 1.0 / h[k * n_i + k];
            for j in 0..k {
                let s: f64 = (j..k).map(|c| h[k * n_i + c] * inverse[c * w + j]).sum();
                inverse[k * w + j] = -s * pivot;
            }
            inverse[k * w + k] = pivot;
        }
        u[w - 1] = 1.0;
        for k in 0..n_s {
            u[n_i + k] = -self.at.c[k];
        }
        // −ĉ_I = −L⁻ᵀ(L⁻¹(F_I· u)), each product in place.
        for i in 0..n_i {
            u[i] = (n_i..w).map(|j| f[i * w + j] * u[j]).sum();
        }
        for k in (0..n_i).rev() {
            u[k] = (0..=k).map(|i| inverse[k * w + i] * u[i]).sum();
        }
        for i in 0..n_i {
            u[i] = -(i..n_i).map(|k| inverse[k * w + i] * u[k]).sum::<f64>();
        }
        self.quadratic = quadratic_form(f, w, u);
        Some(-0.5 * self.quadratic - 0.5 * log_det)
    }

    /// Add the likelihood's gradient to the prior's in `grad`.
    #[inline(always)]
    fn backward(&mut self, sizes: Sizes, u: &[f64], grad: &mut [f64]) -> Option<f64> {
        let Sizes { q, w, n_s, n_i, known } = sizes;
        let triangle = q * (q + 1) / 2;
        let columns = if self.wide.is_some() { 1 } else { n_i + 1 };
        let q_factor = &self.q_factor[..w * columns];
        let mut near = [ZERO; FEW];
        let outer = if known {
            let mut y = [ZERO; FEW];
            let outer = &mut near[..triangle];
            add_outer_products(&self.kept, (q, w), q_factor, &mut y[..q], outer);
            outer
        } else {
            self.outer.fill(ZERO);
            if let Some(wide) = &mut self.wide {
                wide.add_outer_products(q_factor, q, &mut self.outer);
            } else if q > 0 {
                let y = &mut self.scratch;
                add_outer_products(&self.kept, (q, w), q_factor, y, &mut self.outer);
            }
            &mut self.outer
        };
        let (model, at) = (&*self.model, &self.at);
        let (lambda, l) = (&at.lambda[..q * q], &at.l[..q * q]);
        let (d_sigma, d_l) = (&mut self.d_sigma[..q * q], &mut self.d_l[..q * q]);
        let precision = 1.0 / (at.sigma * at.sigma);
        // dℓ/dΣ' = ½ (Σ RᵀK⁻¹BΩBᵀK⁻¹R/σ² − Σ RᵀK⁻¹R), Σ' = Σ/σ².
        let sum_rr = &self.sums[w * (w + 1) / 2..];
        for i in 0..q {
            for j in 0..=i {
                let (outer, rr) = (&outer[triangular(i, j)], &sum_rr[triangular(i, j)]);
                let total = 0.5 * (sum(outer) * precision - sum(rr));
                d_sigma[i * q + j] = total;
                d_sigma[j * q + i] = total;
            }
        }
        // Through Λ' = diag(sd/σ) L, whose lower triangle is all there is.
        let inverse = 1.0 / at.sigma;
        let mut sigma_slope = 0.0;
        let mut next = 0;
        for i in 0..q {
            let (mut d_sd, ratio) = (0.0, at.sd[i] * inverse);
            for k in 0..=i {
                let d: f64 = (k..q).map(|j| 2.0 * d_sigma[i * q + j] * lambda[j * q + k]).sum();
                d_sd += d * l[i * q + k] * inverse;
                d_l[i * q + k] = d * ratio;
            }
            sigma_slope -= d_sd * ratio;
            if matches!(model.sd[i], Scale::Sampled(_)) {
                grad[next] += d_sd * at.sd_slope[i];
                next += 1;
            }
        }
        let correlations = next..next + self.d_cor.len();
        let elementwise = model.covariance.elementwise_logp(l, d_l);
        model.covariance.pull_back(&u[correlations.clone()], d_l, &mut self.d_cor);
        grad[correlations.clone()].copy_from_slice(&self.d_cor);
        next = correlations.end;
        if matches!(model.sigma, Scale::Sampled(_)) {
            // tr((F − P)Ω), with Ω = QQᵀ and tr(FΩ) = uᵀFu + tr(I).
            let mut trace = self.quadratic + n_i as f64;
            for (k, column) in q_factor.chunks_exact(w).enumerate() {
                let end = if k == 0 { w } else { k };
                trace -= quadratic_form(&model.prior_rows, w, &column[..end]);
            }
            if let Some(wide) = &mut self.wide {
                trace -= wide.trace(&model.prior_rows, w);
            }
            sigma_slope += (trace - model.data.n_rows as f64) * inverse;
            grad[next] += sigma_slope * at.sigma_slope;
            next += 1;
        }
        for k in 0..n_s {
            // d/dv = map' (F u)_S
            let slope: f64 = (0..n_s)
                .map(|i| {
                    let fu: f64 = (0..w).map(|j| self.f[(n_i + i) * w + j] * q_factor[j]).sum();
                    model.sampled_map[i * n_s + k] * fu
                })
                .sum();
            grad[next + k] += slope * at.c_slope[k];
        }
        Some(elementwise)
    }

    /// Log density at `u` and its gradient, in code for the widest vectors of the machine at hand;
    /// `None` outside the support or where rounding leaves no positive definite matrix. Without the
    /// gradient, the element-wise priors of correlations are left out too.
    fn passes(&mut self, u: &[f64], grad: &mut [f64], gradient: bool) -> Option<f64> {
        let arch = self.arch;
        let data = &self.model.data;
        let (q, w, n_s) = (data.q, data.width, self.model.sampled.len());
        let passes = (self, u, grad, gradient);
        // Literal sizes let the compiler unroll the common cases and keep them in registers.
        match (q, w, n_s) {
            (1, 2, 0) => arch.dispatch(Passes::<1, 2>(passes)),
            (1, 3, 0) => arch.dispatch(Passes::<1, 3>(passes)),
            (2, 3, 0) => arch.dispatch(Passes::<2, 3>(passes)),
            (1, ..) => arch.dispatch(Passes::<1, ANY>(passes)),
            (2, ..) => arch.dispatch(Passes::<2, ANY>(passes)),
            _ => arch.dispatch(Passes::<ANY, ANY>(passes)),
        }
    }
}

/// Fill the symmetric `f` with `(W + levels)/σ² + P`, given by its lower triangle.
#[inline(always)]
fn assemble(
    f: &mut [f64],
    (w, precision): (usize, f64),
    rows: &[f64],
    prior_rows: &[f64],
    levels: impl Fn(usize, usize) -> f64,
) {
    for i in 0..w {
        for j in 0..=i {
            let sum = (rows[i * w + j] + levels(i, j)) * precision + prior_rows[i * w + j];
            f[i * w + j] = sum;
            f[j * w + i] = sum;
        }
    }
}

/// `xᵀAx` for the leading block of the symmetric `a` (`n` × `n`), from its lower triangle.
#[inline(always)]
fn quadratic_form(a: &[f64], n: usize, x: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (i, (row, &xi)) in a.chunks_exact(n).zip(x).enumerate() {
        let left: f64 = row[..i].iter().zip(x).map(|(a, x)| a * x).sum();
        sum += xi * (2.0 * left + row[i] * xi);
    }
    sum
}

/// Sizes of a model: q, w, and how many coefficients are sampled and integrated.
#[derive(Clone, Copy)]
struct Sizes {
    q: usize,
    w: usize,
    n_s: usize,
    n_i: usize,
    /// Are they known at compile time?
    known: bool,
}

/// Stands for a size that is known only at run time.
const ANY: usize = usize::MAX;
/// Lanes of scratch and of sums that sizes known at compile time need at most.
const FEW: usize = 24;

/// Lanes of scratch for [`eliminate`].
fn scratch_len(q: usize, w: usize) -> usize {
    q * q + q * (2 * q + w)
}

/// First pass over the levels: returns Σ log|K|; adds BᵀK⁻¹B, then RᵀK⁻¹R, to `sums` (lower
/// triangles) and writes RᵀK⁻¹B of each level to `kept`. All three are blocks of CᵀK⁻¹C with
/// C = [R B], which falls out of Gaussian elimination of K in [K C].
#[inline(always)]
fn eliminate(
    data: &CrossProducts,
    (q, w): (usize, usize),
    lambda: &[f64],
    scratch: &mut [Lane],
    sums: &mut [Lane],
    kept: &mut [Lane],
) -> f64 {
    let triangle = q * (q + 1) / 2;
    let n = 2 * q + w;
    let (a, rows) = scratch.split_at_mut(q * q);
    let rows = &mut rows[..q * n];
    let (sum_bb, sum_rr) = sums.split_at_mut(w * (w + 1) / 2);
    let mut product = ONE;
    let mut log_det = 0.0;
    let blocks = data.r.chunks_exact(triangle).zip(data.b.chunks_exact(q * w));
    for ((r, b), kept) in blocks.zip(kept.chunks_exact_mut(q * w)) {
        // A = RΛ', and rows [K R B] where K = I + AAᵀ is filled from its diagonal on.
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
            let row = &mut rows[i * n..(i + 1) * n];
            for j in i..q {
                let mut s = if i == j { ONE } else { ZERO };
                for c in 0..q {
                    add_product(&mut s, &a[i * q + c], &a[j * q + c]);
                }
                row[j] = s;
            }
            for c in 0..q {
                row[q + c] = if c < i { ZERO } else { r[upper(q, i, c)] };
            }
            row[2 * q..].copy_from_slice(&b[i * w..(i + 1) * w]);
        }
        kept.fill(ZERO);
        // The first two are written out: their rows then stay in registers.
        if q > 0 {
            product = times(&product, &sweep(rows, 0, (q, w), sum_bb, sum_rr, kept));
        }
        if q > 1 {
            product = times(&product, &sweep(rows, 1, (q, w), sum_bb, sum_rr, kept));
        }
        for pivot in 2..q {
            product = times(&product, &sweep(rows, pivot, (q, w), sum_bb, sum_rr, kept));
        }
        // One logarithm for many levels: fold the product in before it can overflow.
        if product.iter().any(|&p| p > 1e30) {
            log_det += log_of_product(&product);
            product = ONE;
        }
    }
    log_det + log_of_product(&product)
}

/// One step of the elimination: adds the pivot's row's share of CᵀK⁻¹C and subtracts it from the
/// rows below; returns the pivot, which is at least 1.
#[inline(always)]
fn sweep(
    rows: &mut [Lane],
    pivot: usize,
    (q, w): (usize, usize),
    sum_bb: &mut [Lane],
    sum_rr: &mut [Lane],
    kept: &mut [Lane],
) -> Lane {
    let n = 2 * q + w;
    let (above, below) = rows.split_at_mut((pivot + 1) * n);
    let row = &above[pivot * n..];
    let inverse = reciprocal(&row[pivot]);
    for i in pivot + 1..q {
        let factor = times(&row[i], &inverse);
        for c in i..n {
            subtract_product(&mut below[(i - pivot - 1) * n + c], &factor, &row[c]);
        }
    }
    let (r, b) = row[q..].split_at(q);
    for i in 0..q {
        let scaled = times(&r[i], &inverse);
        for j in 0..=i {
            add_product(&mut sum_rr[triangular(i, j)], &scaled, &r[j]);
        }
        for col in 0..w {
            add_product(&mut kept[i * w + col], &scaled, &b[col]);
        }
    }
    for col in 0..w {
        let scaled = times(&b[col], &inverse);
        for other in 0..=col {
            add_product(&mut sum_bb[triangular(col, other)], &scaled, &b[other]);
        }
    }
    row[pivot]
}

/// Second pass: adds MΩMᵀ, M = RᵀK⁻¹B and Ω = QQᵀ, to `sums` (lower triangle), summed over levels.
#[inline(always)]
fn add_outer_products(
    kept: &[Lane],
    (q, w): (usize, usize),
    q_factor: &[f64],
    y: &mut [Lane],
    sums: &mut [Lane],
) {
    for m in kept.chunks_exact(q * w) {
        for (k, column) in q_factor.chunks_exact(w).enumerate() {
            // L⁻ᵀ is upper triangular: column k of Q ends at entry k − 1.
            let end = if k == 0 { w } else { k };
            for i in 0..q {
                let mut s = ZERO;
                for col in 0..end {
                    add_scaled(&mut s, &m[i * w + col], column[col]);
                }
                y[i] = s;
                for j in 0..=i {
                    add_product(&mut sums[triangular(i, j)], &s, &y[j]);
                }
            }
        }
    }
}

type PassesArguments<'a> = (&'a mut MarginalDensity, &'a [f64], &'a mut [f64], bool);

/// A closure would not be inlined into the code that may use vectors.
struct Passes<'a, const Q: usize, const W: usize>(PassesArguments<'a>);

impl<const Q: usize, const W: usize> pulp::WithSimd for Passes<'_, Q, W> {
    type Output = Option<f64>;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) -> Option<f64> {
        let (density, u, grad, gradient) = self.0;
        let known = Q != ANY && W != ANY;
        let q = if Q == ANY { density.model.data.q } else { Q };
        let w = if W == ANY { density.model.data.width } else { W };
        let n_s = if known { 0 } else { density.model.sampled.len() };
        let sizes = Sizes { q, w, n_s, n_i: w - 1 - n_s, known };
        let mut logp = density.constrain(u, grad);
        let log_det = density.forward(sizes);
        logp += density.integrate(sizes)?;
        if gradient {
            logp += density.backward(sizes, u, grad)?;
        }
        let (rows, sigma) = (density.model.data.n_rows as f64, density.at.sigma);
        logp += density.model.constant - rows * sigma.ln() - 0.5 * log_det;
        (logp.is_finite() && grad.iter().all(|g| g.is_finite())).then_some(logp)
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
        self.evaluated = None;
        self.passes(u, grad, true)
    }

    fn logp(&mut self, u: &[f64]) -> Option<f64> {
        let mut unused = vec![0.0; u.len()];
        self.evaluated = None;
        let logp = self.passes(u, &mut unused, false)?;
        self.d_l.fill(0.0);
        let elementwise = self.model.covariance.elementwise_logp(&self.at.l, &mut self.d_l);
        self.evaluated = Some(u.to_vec());
        Some(logp + elementwise).filter(|logp| logp.is_finite())
    }

    fn takes_surrogate(&self) -> bool {
        self.dim() <= MOST_DIMENSIONS
    }

    /// An sd and its negative mean the same, with the correlations of its column mirrored.
    fn walls(&self) -> Vec<usize> {
        if !self.model.covariance.is_mirrored() {
            return Vec::new();
        }
        let sampled = self.model.sd.iter().filter_map(|scale| match scale {
            Scale::Sampled(scalar) => Some(matches!(scalar.support, Support::Signed { .. })),
            Scale::Known(_) => None,
        });
        sampled.enumerate().filter_map(|(k, signed)| signed.then_some(k)).collect()
    }

    /// One row of output: φ, and the coefficients drawn exactly from their conditional.
    fn output<R: Rng + ?Sized>(&mut self, u: &[f64], rng: &mut R, out: &mut [f64]) -> bool {
        if self.evaluated.as_deref() != Some(u) && self.logp(u).is_none() {
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
        match &self.wide {
            Some(wide) => wide.solve_transposed(integrated),
            None => solve_lower_transposed(&self.h, n_i, integrated),
        }
        for (c, u) in integrated.iter_mut().zip(&self.q_factor) {
            *c -= u;
        }
        sampled.copy_from_slice(&self.at.c);
        true
    }
}
