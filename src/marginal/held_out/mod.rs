//! Rows of a Gaussian model left out one by one, coefficients integrated out.
//!
//! Given φ, b has the precision `A = XᵀV⁻¹X + P` and the mean b̂, and the precision of y is
//! `Q = V⁻¹ − V⁻¹X A⁻¹XᵀV⁻¹`, block-diagonal V by level (see
//! `posterior/integrated.py`). Of level j, `V_j⁻¹ = (I − Z W Zᵀ)/σ²` with `W = Λ M⁻¹Λᵀ`,
//! ΛΛᵀ = Σ/σ², `M = I + ΛᵀZᵀZΛ`. A block of rows is worked on for one draw after the other, rows side
//! by side, so that the loops become vector code.

mod level;
mod rows;

pub use rows::leave_rows_out;

use super::conditional::semidefinite_factor;
use crate::linalg::{cholesky, invert_lower, solve_lower, solve_lower_transposed};
use crate::parallel::in_parts;
use level::OfLevel;

/// Stands for a number of group columns that is known only at run time.
const ANY: usize = usize::MAX;

/// The rows, sorted by level and scaled to the same residual variance.
pub struct Rows<'a> {
    /// Per row: group columns, all other columns, level, what it was multiplied with, response.
    pub z: &'a [f64],
    pub b: &'a [f64],
    pub level: &'a [i64],
    pub scale: &'a [f64],
    pub y: &'a [f64],
    pub levels: Levels<'a>,
}

/// Cross-products of the rows of each level.
#[derive(Clone, Copy)]
pub struct Levels<'a> {
    pub q: usize,
    /// Columns of B: integrated ones, others, the response.
    pub width: usize,
    pub n_integrated: usize,
    /// ZᵀZ and ZᵀB, level by level.
    pub zz: &'a [f64],
    pub zb: &'a [f64],
}

/// Draws of φ.
pub struct Scales<'a> {
    pub sigma: &'a [f64],
    /// Per draw, q × q: Λ; none where priors are flat.
    pub lambda: Vec<f64>,
    /// Per level, where priors are flat: W.
    pub flat: &'a [f64],
}

impl<'a> Scales<'a> {
    /// `covariance` holds Σ, draw by draw; it is empty where priors are flat.
    pub fn new(q: usize, sigma: &'a [f64], covariance: &[f64], flat: &'a [f64]) -> Self {
        let mut lambda = covariance.to_vec();
        for (lambda, sigma) in lambda.chunks_exact_mut((q * q).max(1)).zip(sigma) {
            semidefinite_factor(lambda, q);
            lambda.iter_mut().for_each(|x| *x /= sigma);
        }
        Self { sigma, lambda, flat }
    }
}

/// What draws of φ give.
pub struct Coefficients {
    /// Per draw: `(−b, 1)`, what columns are multiplied with to give the residuals.
    pub contrast: Vec<f64>,
    /// Per draw: L⁻¹, where LLᵀ = A.
    pub root: Vec<f64>,
}

/// What the posterior without a row says of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeftOut {
    pub elpd: f64,
    pub pareto_k: f64,
    pub mean: f64,
    /// Log density of a second response like it under the posterior that has seen it.
    pub log_score: f64,
}

/// b̂ and the root of A⁻¹ for every draw. `contrast` holds the other coefficients, `total` BᵀB of all
/// rows and `prior` P, as cross-products of rows.
pub fn coefficients(
    levels: &Levels,
    scales: &Scales,
    contrast: Vec<f64>,
    total: &[f64],
    prior: &[f64],
    threads: usize,
) -> Coefficients {
    let Levels { width, n_integrated: p, .. } = *levels;
    let mut found = Coefficients { contrast, root: vec![0.0; scales.sigma.len() * p * p] };
    let roots = found.root.chunks_exact_mut((p * p).max(1));
    let mut draws: Vec<_> = if p == 0 {
        Vec::new() // nothing to solve for
    } else {
        found.contrast.chunks_exact_mut(width).zip(roots).collect()
    };
    in_parts(&mut draws, threads, |first, draws| {
        let mut of_level = OfLevel::new(levels);
        let mut f = vec![0.0; width * width];
        for (k, (contrast, root)) in draws.iter_mut().enumerate() {
            let s = first + k;
            let precision = scales.sigma[s].powi(-2);
            f.copy_from_slice(total);
            pulp::Arch::new().dispatch(SubtractLevels(levels, scales, &mut of_level, &mut f, s));
            for (f, prior) in f.iter_mut().zip(prior) {
                *f = *f * precision + prior;
            }
            solve(&f, width, p, contrast, root);
        }
    });
    drop(draws);
    found
}

/// Minimise `uᵀFu` by the first p entries of u; the inverse root of their block of F.
fn solve(f: &[f64], width: usize, p: usize, u: &mut [f64], root: &mut [f64]) {
    let mut factor: Vec<f64> = (0..p * p).map(|k| f[k / p * width + k % p]).collect();
    if cholesky(&mut factor, p).is_none() {
        root.fill(f64::NAN);
        u.fill(f64::NAN);
        return;
    }
    let mut b: Vec<f64> =
        (0..p).map(|i| (p..width).map(|j| -f[i * width + j] * u[j]).sum()).collect();
    solve_lower(&factor, p, &mut b);
    solve_lower_transposed(&factor, p, &mut b);
    u[..p].copy_from_slice(&b);
    invert_lower(&factor, p, root);
}

/// `Σ BᵀZ W ZᵀB` over the levels, from F.
struct SubtractLevels<'a>(&'a Levels<'a>, &'a Scales<'a>, &'a mut OfLevel, &'a mut [f64], usize);

impl SubtractLevels<'_> {
    #[inline(always)]
    fn of<const Q: usize>(self) {
        let Self(levels, scales, at, f, s) = self;
        let Levels { width, zb, .. } = *levels;
        let q = if Q == ANY { levels.q } else { Q };
        for (j, zb) in zb.chunks_exact((q * width).max(1)).enumerate() {
            at.weigh::<Q>(levels, scales, j, s);
            for k in 0..width {
                for a in 0..q {
                    let mut share = 0.0;
                    for b in 0..q {
                        share += at.w[a * q + b] * zb[b * width + k];
                    }
                    for l in 0..width {
                        f[k * width + l] -= share * zb[a * width + l];
                    }
                }
            }
        }
    }
}

impl pulp::WithSimd for SubtractLevels<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        match self.0.q {
            1 => self.of::<1>(),
            2 => self.of::<2>(),
            _ => self.of::<ANY>(),
        }
    }
}
