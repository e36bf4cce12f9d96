//! Every row in turn, given draws: a block of rows for one draw after the other, rows side by side.

use super::level::OfLevel;
use super::{ANY, Coefficients, LeftOut, Levels, Rows, Scales};
use crate::parallel::in_parts;
use crate::psis;
use crate::vmath::{HALF_LOG_2PI, ln};

/// Rows that are worked on together.
const ROWS: usize = 32;
/// Draws whose results are put in their places together.
const DRAWS: usize = 8;
/// Of its own precision σ⁻², what others leave a row: below this, nothing else determines it.
const UNDETERMINED: f64 = 1e-9;

const UNKNOWN: LeftOut =
    LeftOut { elpd: f64::NAN, pareto_k: f64::NAN, mean: f64::NAN, log_score: f64::NAN };

type Block = [f64; ROWS];

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
        let sigma = draws.scales.sigma;
        let n = sigma.len();
        let mut results = [[[0.0; ROWS]; DRAWS]; 3];
        for first in (0..n).step_by(DRAWS) {
            let many = DRAWS.min(n - first);
            for d in 0..many {
                let s = first + d;
                let contrast = &draws.found.contrast[s * width..][..width];
                let (residual, inside) = self.project::<Q>(levels, draws.scales, contrast, s);
                let taken = self.taken(&draws.found.root[s * p * p..][..p * p]);
                let left_out = self.left_out(&residual, &inside, &taken, sigma[s]);
                for (results, left_out) in results.iter_mut().zip(left_out) {
                    results[d] = left_out;
                }
            }
            let into = [&mut self.density, &mut self.away, &mut self.second];
            for (into, results) in into.into_iter().zip(&results) {
                for i in 0..self.count {
                    for (d, into) in into[i * n + first..][..many].iter_mut().enumerate() {
                        *into = results[d][i];
                    }
                }
            }
        }
    }

    /// Residuals times V⁻¹σ², and the rows' own share `zᵀW z`; puts V⁻¹X, times σ², into `x`.
    #[inline(always)]
    fn project<const Q: usize>(
        &mut self,
        levels: &Levels,
        scales: &Scales,
        contrast: &[f64],
        s: usize,
    ) -> (Block, Block) {
        let Levels { width, n_integrated: p, .. } = *levels;
        let q = if Q == ANY { levels.q } else { Q };
        let Self { z, b, x, level, .. } = self;
        let (mut residual, mut inside) = ([0.0; ROWS], [0.0; ROWS]);
        for k in 0..width {
            for i in 0..ROWS {
                residual[i] += b[k][i] * contrast[k];
            }
        }
        x.copy_from_slice(&b[..p]);
        let mut start = 0;
        for &(j, end) in &self.spans {
            level.weigh::<Q>(levels, scales, j, s);
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
        (residual, inside)
    }

    /// ‖L⁻¹x‖², which is xᵀA⁻¹x; `root` is L⁻¹.
    #[inline(always)]
    fn taken(&self, root: &[f64]) -> Block {
        let p = self.x.len();
        let mut taken = [0.0; ROWS];
        for k in 0..p {
            let mut sum = [0.0; ROWS];
            for (x, &share) in self.x[..=k].iter().zip(&root[k * p..]) {
                for i in 0..ROWS {
                    sum[i] += x[i] * share;
                }
            }
            for i in 0..ROWS {
                taken[i] += sum[i] * sum[i];
            }
        }
        taken
    }

    /// Given one draw: log densities and deviations from the mean without each row, and log scores
    /// with it.
    #[inline(always)]
    fn left_out(&self, residual: &Block, inside: &Block, taken: &Block, sigma: f64) -> [Block; 3] {
        let mut found = [[0.0; ROWS]; 3];
        let variance = sigma * sigma;
        let (precision, scale) = (1.0 / variance, &self.scale);
        for i in 0..ROWS {
            // Q σ², and α σ².
            let share = 1.0 - inside[i] - taken[i] * precision;
            let known = share > UNDETERMINED;
            let share = if known { share } else { f64::NAN };
            let square = residual[i] * residual[i] * precision;
            let log = ln(share * precision);
            found[0][i] = 0.5 * log - 0.5 * square / share - HALF_LOG_2PI + self.log_scale[i];
            found[1][i] = residual[i] / (share * scale[i]);
            let spread = 2.0 - if known { share } else { 0.0 };
            found[2][i] = -0.5 * ln(spread * variance) - 0.5 * square / spread - HALF_LOG_2PI
                + self.log_scale[i];
        }
        found
    }
}
