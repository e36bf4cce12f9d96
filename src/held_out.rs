//! Rows of a Gaussian model left out one by one, coefficients integrated out.
//!
//! Given φ, b has the precision `A = XᵀV⁻¹X + P` and the mean b̂, and the precision of y is `Q = V⁻¹ − V⁻¹X A⁻¹XᵀV⁻¹`, block-diagonal V by level (see
//! `posterior/integrated.py`). Of level j, `V_j⁻¹ = (I − Z W Zᵀ)/σ²` with `W = Λ M⁻¹Λᵀ`, ΛΛᵀ = Σ/σ²,
//! `M = I + ΛᵀZᵀZΛ`. A block of rows is worked on for one draw after the other, rows side by side, so
//! that the loops become vector code.

use crate::conditional::semidefinite_factor;
use crate::linalg::{cholesky, invert_lower, solve_lower, solve_lower_transposed};
use crate::parallel::in_parts;
use crate::psis;
use crate::vmath::{HALF_LOG_2PI, ln};

/// Rows that are worked on together.
const ROWS: usize = 32;
/// Draws whose results are put in their places together.
const DRAWS: usize = 8;
/// Of its own precision σ⁻², what others leave a row: below this, nothing else determines it.
const UNDETERMINED: f64 = 1e-9;

/// Stands for a number of group columns that is known only at run time.
const ANY: usize = usize::MAX;

type Block = [f64; ROWS];

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

const UNKNOWN: LeftOut =
    LeftOut { elpd: f64::NAN, pareto_k: f64::NAN, mean: f64::NAN, log_score: f64::NAN };

/// b̂ and the root of A⁻¹ for every draw. `contrast` holds the other coefficients, `total` BᵀB of all rows and
/// `prior` P, as cross-products of rows.
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

/// Leave out every row in turn; `relative` is the number of effective draws a draw.
pub fn leave_rows_out(
    rows: &Rows,
    scales: &Scales,
    found: &Coefficients,
    relative: f64,
    threads: usize,
) -> Vec<LeftOut> {
    let mut out = vec![UNKNOWN; rows.y.len()];
    let mut blocks: Vec<&mut [LeftOut]> = out.chunks_mut(ROWS).collect();
    in_parts(&mut blocks, threads, |first, blocks| {
        let draws = Draws { scales, found };
        pulp::Arch::new().dispatch(Work { rows, draws, relative, first, blocks });
    });
    drop(blocks);
    out
}

/// What belongs to each draw.
#[derive(Clone, Copy)]
struct Draws<'a> {
    scales: &'a Scales<'a>,
    found: &'a Coefficients,
}

/// The blocks of rows that one thread takes.
struct Work<'a, 'b> {
    rows: &'a Rows<'a>,
    draws: Draws<'a>,
    relative: f64,
    first: usize,
    blocks: &'a mut [&'b mut [LeftOut]],
}

impl pulp::WithSimd for Work<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        let n_draws = self.draws.scales.sigma.len();
        let tail = psis::tail_length(n_draws, self.relative);
        let mut at = Storage::new(self.rows, n_draws);
        let mut storage = psis::Storage::default();
        for (k, out) in self.blocks.iter_mut().enumerate() {
            at.load(self.rows, (self.first + k) * ROWS, out.len());
            match self.rows.levels.q {
                1 => at.evaluate::<1>(&self.rows.levels, self.draws),
                2 => at.evaluate::<2>(&self.rows.levels, self.draws),
                _ => at.evaluate::<ANY>(&self.rows.levels, self.draws),
            }
            for (i, out) in out.iter_mut().enumerate() {
                let of_row = i * n_draws..(i + 1) * n_draws;
                let weights = &mut at.density[of_row.clone()];
                let score = psis::leave_one_out(weights, tail, &mut storage);
                // Far from zero, y would swallow the digits of each term.
                let mut away = 0.0;
                for (weight, value) in weights.iter().zip(&at.away[of_row.clone()]) {
                    away += weight * value;
                }
                let mean = at.y[i] - away;
                let log_score = psis::log_mean(&at.second[of_row]);
                *out = LeftOut { elpd: score.elpd, pareto_k: score.pareto_k, mean, log_score };
            }
        }
    }
}

/// A block of rows, and what draws say of it.
struct Storage {
    count: usize,
    z: Vec<Block>,
    b: Vec<Block>,
    scale: Block,
    log_scale: Block,
    y: Block,
    /// Levels of the block, each with the rows from the last one's end to its own.
    spans: Vec<(usize, usize)>,
    level: OfLevel,
    /// Columns of V⁻¹X, times σ².
    x: Vec<Block>,
    /// Per row, draw by draw: log density and deviation from the mean without the row, log score
    /// with it.
    density: Vec<f64>,
    away: Vec<f64>,
    second: Vec<f64>,
}

/// W of a level, what it does to the residuals and to the integrated columns, and working storage.
struct OfLevel {
    w: Vec<f64>,
    shift: Vec<f64>,
    by_column: Vec<f64>,
    m: Vec<f64>,
    half: Vec<f64>,
}

impl OfLevel {
    fn new(levels: &Levels) -> Self {
        let Levels { q, n_integrated: p, .. } = *levels;
        Self {
            w: vec![0.0; q * q],
            shift: vec![0.0; q],
            by_column: vec![0.0; q * p],
            m: vec![0.0; q * q],
            half: vec![0.0; q * q],
        }
    }

    /// W of level j given draw s.
    #[inline(always)]
    fn weigh<const Q: usize>(&mut self, levels: &Levels, scales: &Scales, j: usize, s: usize) {
        let q = if Q == ANY { levels.q } else { Q };
        let (w, m) = (&mut self.w[..q * q], &mut self.m[..q * q]);
        if scales.lambda.is_empty() {
            w.copy_from_slice(&scales.flat[j * q * q..][..q * q]);
            return;
        }
        let (zz, lambda) = (&levels.zz[j * q * q..][..q * q], &scales.lambda[s * q * q..][..q * q]);
        let half = &mut self.half[..q * q];
        // Λ is lower triangular; `half` first holds ZᵀZΛ.
        for a in 0..q {
            for k in 0..q {
                let mut sum = 0.0;
                for b in k..q {
                    sum += zz[a * q + b] * lambda[b * q + k];
                }
                half[a * q + k] = sum;
            }
        }
        for i in 0..q {
            for k in 0..=i {
                let mut sum = if i == k { 1.0 } else { 0.0 };
                for a in i..q {
                    sum += lambda[a * q + i] * half[a * q + k];
                }
                m[i * q + k] = sum;
            }
        }
        if cholesky(m, q).is_none() {
            m.fill(f64::NAN);
        }
        // Its rows are the columns of L⁻¹Λᵀ.
        half.copy_from_slice(lambda);
        for a in 0..q {
            solve_lower(m, q, &mut half[a * q..(a + 1) * q]);
        }
        for a in 0..q {
            for b in 0..q {
                let mut sum = 0.0;
                for k in 0..q {
                    sum += half[a * q + k] * half[b * q + k];
                }
                w[a * q + b] = sum;
            }
        }
    }

    /// What W does to the residuals and to the integrated columns.
    #[inline(always)]
    fn apply<const Q: usize>(&mut self, levels: &Levels, contrast: &[f64], j: usize) {
        let Levels { width, n_integrated: p, .. } = *levels;
        let q = if Q == ANY { levels.q } else { Q };
        let zb = &levels.zb[j * q * width..][..q * width];
        let (w, shift) = (&self.w[..q * q], &mut self.shift[..q]);
        shift.fill(0.0);
        for a in 0..q {
            let mut total = 0.0;
            for k in 0..width {
                total += zb[a * width + k] * contrast[k];
            }
            for b in 0..q {
                shift[b] += w[b * q + a] * total;
            }
            for k in 0..p {
                let mut sum = 0.0;
                for b in 0..q {
                    sum += w[a * q + b] * zb[b * width + k];
                }
                self.by_column[a * p + k] = sum;
            }
        }
    }
}

impl Storage {
    fn new(rows: &Rows, n_draws: usize) -> Self {
        let Levels { q, width, n_integrated: p, .. } = rows.levels;
        let zeros = || vec![0.0; ROWS * n_draws];
        Self {
            count: 0,
            z: vec![[0.0; ROWS]; q],
            b: vec![[0.0; ROWS]; width],
            scale: [1.0; ROWS],
            log_scale: [0.0; ROWS],
            y: [0.0; ROWS],
            spans: Vec::new(),
            level: OfLevel::new(&rows.levels),
            x: vec![[0.0; ROWS]; p],
            density: zeros(),
            away: zeros(),
            second: zeros(),
        }
    }

    fn load(&mut self, rows: &Rows, first: usize, count: usize) {
        self.count = count;
        self.spans.clear();
        for i in 0..count {
            let row = first + i;
            for (a, column) in self.z.iter_mut().enumerate() {
                column[i] = rows.z[row * rows.levels.q + a];
            }
            for (k, column) in self.b.iter_mut().enumerate() {
                column[i] = rows.b[row * rows.levels.width + k];
            }
            (self.scale[i], self.y[i]) = (rows.scale[row], rows.y[row]);
            self.log_scale[i] = ln(rows.scale[row]);
            let level = rows.level[row] as usize;
            match self.spans.last_mut() {
                Some((last, end)) if *last == level => *end = i + 1,
                _ => self.spans.push((level, i + 1)),
            }
        }
    }

    #[inline(always)]
    fn evaluate<const Q: usize>(&mut self, levels: &Levels, draws: Draws) {
        let Levels { width, n_integrated: p, .. } = *levels;
        let q = if Q == ANY { levels.q } else { Q };
        let sigma = draws.scales.sigma;
        let n = sigma.len();
        let Self { count, z, b, x, level, .. } = self;
        let mut results = [[[0.0; ROWS]; DRAWS]; 3];
        for first in (0..n).step_by(DRAWS) {
            let many = DRAWS.min(n - first);
            for d in 0..many {
                let s = first + d;
                let contrast = &draws.found.contrast[s * width..][..width];
                let (mut residual, mut inside) = ([0.0; ROWS], [0.0; ROWS]);
                for k in 0..width {
                    for i in 0..ROWS {
                        residual[i] += b[k][i] * contrast[k];
                    }
                }
                x.copy_from_slice(&b[..p]);
                let mut start = 0;
                for &(j, end) in &self.spans {
                    level.weigh::<Q>(levels, draws.scales, j, s);
                    level.apply::<Q>(levels, contrast, j);
                    for a in 0..q {
                        let (column, shift) = (&z[a], level.shift[a]);
                        for i in start..end {
                            residual[i] -= column[i] * shift;
                        }
                        for other in 0..q {
                            let w = level.w[a * q + other];
                            for i in start..end {
                                inside[i] += column[i] * w * z[other][i];
                            }
                        }
                        for k in 0..p {
                            let share = level.by_column[a * p + k];
                            for i in start..end {
                                x[k][i] -= column[i] * share;
                            }
                        }
                    }
                    start = end;
                }
                // ‖L⁻¹x‖², which is xᵀA⁻¹x.
                let root = &draws.found.root[s * p * p..][..p * p];
                let mut taken = [0.0; ROWS];
                for k in 0..p {
                    let mut sum = [0.0; ROWS];
                    for (x, &share) in x[..=k].iter().zip(&root[k * p..]) {
                        for i in 0..ROWS {
                            sum[i] += x[i] * share;
                        }
                    }
                    for i in 0..ROWS {
                        taken[i] += sum[i] * sum[i];
                    }
                }
                let variance = sigma[s] * sigma[s];
                let (precision, scale) = (1.0 / variance, &self.scale);
                for i in 0..ROWS {
                    // Q σ², and α σ².
                    let share = 1.0 - inside[i] - taken[i] * precision;
                    let known = share > UNDETERMINED;
                    let share = if known { share } else { f64::NAN };
                    let square = residual[i] * residual[i] * precision;
                    let log = ln(share * precision);
                    results[0][d][i] =
                        0.5 * log - 0.5 * square / share - HALF_LOG_2PI + self.log_scale[i];
                    results[1][d][i] = residual[i] / (share * scale[i]);
                    let spread = 2.0 - if known { share } else { 0.0 };
                    results[2][d][i] =
                        -0.5 * ln(spread * variance) - 0.5 * square / spread - HALF_LOG_2PI
                            + self.log_scale[i];
                }
            }
            let into = [&mut self.density, &mut self.away, &mut self.second];
            for (into, results) in into.into_iter().zip(&results) {
                for i in 0..*count {
                    for (d, into) in into[i * n + first..][..many].iter_mut().enumerate() {
                        *into = results[d][i];
                    }
                }
            }
        }
    }
}
