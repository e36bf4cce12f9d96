//! The loop over rows that all families share.
//!
//! Rows are worked on in blocks of a fixed size, held in arrays: the compiler then knows lengths
//! and that nothing overlaps, and turns the formula of a row into vector code. Sums run in a fixed
//! number of lanes, so that they are the same on every machine.

use crate::vmath::ln;
use std::ops::Range;

pub const BLOCK: usize = 64;
const LANES: usize = 8;

pub type Block = [f64; BLOCK];

const ZEROS: Block = [0.0; BLOCK];

/// What a row adds, and its slopes.
pub struct Row<const A: usize> {
    /// Log likelihood, less the logarithm of `factor`.
    pub logp: f64,
    /// Between 1 and 4. The logarithm of a product over rows is cheaper than their logarithms; its
    /// absolute error is that of rounding.
    pub factor: f64,
    pub eta: f64,
    pub aux: [f64; A],
}

/// A family at given dispersion parameters: its row's numbers (`C` columns) and linear predictor to
/// log likelihood.
pub trait Density<const C: usize, const A: usize> {
    /// Whether `factor` is used.
    const FACTOR: bool = false;

    /// `log_sigma` is 0 where rows have no residual sd of their own. Implementations are
    /// `#[inline(always)]`: a call would keep the loop from being vector code.
    fn row(&self, columns: [f64; C], eta: f64, log_sigma: f64) -> Row<A>;
}

/// Results of a block.
struct Filled<const A: usize> {
    logp: Block,
    factor: Block,
    aux: [Block; A],
}

impl<const A: usize> Filled<A> {
    #[inline(always)]
    fn weigh<D: Density<C, A>, const C: usize>(&mut self, slopes: &mut Block, weights: &Block) {
        if D::FACTOR {
            for i in 0..BLOCK {
                self.logp[i] -= ln(self.factor[i]);
                self.factor[i] = 1.0;
            }
        }
        weigh(&mut self.logp, weights);
        weigh(slopes, weights);
        for a in 0..A {
            weigh(&mut self.aux[a], weights);
        }
    }

    /// Log likelihoods of the first rows.
    #[inline(always)]
    fn write<D: Density<C, A>, const C: usize>(&self, each: &mut [f64]) {
        let mut own = self.logp;
        if D::FACTOR {
            for i in 0..BLOCK {
                own[i] -= ln(self.factor[i]);
            }
        }
        each.copy_from_slice(&own[..each.len()]);
    }

    /// Rows beyond the last one count for nothing.
    #[inline(always)]
    fn clear_from(&mut self, size: usize) {
        self.logp[size..].fill(0.0);
        self.factor[size..].fill(1.0);
        for a in 0..A {
            self.aux[a][size..].fill(0.0);
        }
    }
}

/// The rows of a block; slopes by the linear predictor replace it in `eta`.
#[inline(always)]
fn fill<D: Density<C, A>, const C: usize, const A: usize>(
    density: &D,
    columns: [&Block; C],
    eta: &mut Block,
    log_sigma: &Block,
    filled: &mut Filled<A>,
) {
    for i in 0..BLOCK {
        let mut at = [0.0; C];
        for c in 0..C {
            at[c] = columns[c][i];
        }
        let row = density.row(at, eta[i], log_sigma[i]);
        filled.logp[i] = row.logp;
        if D::FACTOR {
            filled.factor[i] = row.factor;
        }
        eta[i] = row.eta;
        for a in 0..A {
            filled.aux[a][i] = row.aux[a];
        }
    }
}

/// A row of weight 0 counts for nothing, whatever its density.
#[inline(always)]
fn weigh(values: &mut Block, weights: &Block) {
    for i in 0..BLOCK {
        values[i] = if weights[i] > 0.0 { weights[i] * values[i] } else { 0.0 };
    }
}

#[inline(always)]
fn add(sums: &mut [f64; LANES], values: &Block) {
    for chunk in values.chunks_exact(LANES) {
        for lane in 0..LANES {
            sums[lane] += chunk[lane];
        }
    }
}

#[inline(always)]
fn multiply(products: &mut [f64; LANES], values: &Block) {
    for chunk in values.chunks_exact(LANES) {
        for lane in 0..LANES {
            products[lane] *= chunk[lane];
        }
    }
}

/// Rows of a few numbers each, worked on block after block.
pub struct Work<const A: usize> {
    filled: Filled<A>,
    logp: [f64; LANES],
    /// Logarithms of the factors.
    logs: f64,
}

impl<const A: usize> Work<A> {
    #[inline(always)]
    pub fn new() -> Self {
        let filled = Filled { logp: [0.0; BLOCK], factor: [1.0; BLOCK], aux: [[0.0; BLOCK]; A] };
        Self { filled, logp: [0.0; LANES], logs: 0.0 }
    }

    /// Up to [`BLOCK`] rows. Slopes replace `eta`, and `log_sigma` if it is not empty; those by
    /// dispersion parameters are returned, 0 beyond the rows. If `each` is not empty, it takes the
    /// log likelihood of every row.
    #[inline(always)]
    pub fn block<D: Density<C, A>, const C: usize>(
        &mut self,
        density: &D,
        inputs: [&Block; C],
        weights: &[f64],
        eta: &mut [f64],
        log_sigma: &mut [f64],
        each: &mut [f64],
    ) -> &[Block; A] {
        let size = eta.len();
        let Self { filled, .. } = self;
        let (mut tail, own_tail, weights_tail);
        let slopes = match eta.first_chunk_mut() {
            Some(full) => full,
            None => {
                tail = padded(eta);
                &mut tail
            }
        };
        let own = match log_sigma.first_chunk() {
            Some(full) => full,
            None if log_sigma.is_empty() => &ZEROS,
            None => {
                own_tail = padded(log_sigma);
                &own_tail
            }
        };
        fill(density, inputs, slopes, own, filled);
        if !weights.is_empty() {
            let weights = match weights.first_chunk() {
                Some(full) => full,
                None => {
                    weights_tail = padded(weights);
                    &weights_tail
                }
            };
            filled.weigh::<D, C>(slopes, weights);
        }
        if size < BLOCK {
            let slopes = *slopes;
            eta.copy_from_slice(&slopes[..size]);
        }
        if !log_sigma.is_empty() {
            log_sigma.copy_from_slice(&filled.aux[0][..size]);
        }
        if !each.is_empty() {
            filled.write::<D, C>(each);
        }
        if size < BLOCK {
            filled.clear_from(size);
        }
        add(&mut self.logp, &filled.logp);
        if D::FACTOR {
            // 64 factors of at most 4: far from overflow.
            let mut products = [1.0; LANES];
            multiply(&mut products, &filled.factor);
            self.logs += products.iter().product::<f64>().ln();
        }
        &filled.aux
    }

    /// Log likelihood of all rows so far.
    #[inline(always)]
    pub fn logp(&self) -> f64 {
        self.logp.iter().sum::<f64>() - self.logs
    }
}

/// Sums over rows: of log likelihoods and of slopes by dispersion parameters.
pub struct Sums<const A: usize> {
    pub logp: f64,
    pub aux: [f64; A],
}

/// All rows of `eta`; `columns` and `weights` (empty: 1) are those of all rows of the likelihood,
/// of which `range` is meant. If `log_sigma` is not empty, the first of the slopes is that by the
/// row's own log residual sd: it replaces it, and its sum means nothing. If `each` is not empty, it
/// takes the log likelihood of every row.
#[inline(always)]
pub fn sweep<D: Density<C, A>, const C: usize, const A: usize>(
    density: &D,
    columns: [&[f64]; C],
    weights: &[f64],
    range: Range<usize>,
    eta: &mut [f64],
    log_sigma: &mut [f64],
    each: &mut [f64],
) -> Sums<A> {
    let mut work = Work::<A>::new();
    let mut aux = [[0.0; LANES]; A];
    let mut first = 0;
    while first < eta.len() {
        let chunk = first..eta.len().min(first + BLOCK);
        let rows = range.start + chunk.start..range.start + chunk.end;
        let mut inputs = [&ZEROS; C];
        let mut tails;
        if chunk.len() < BLOCK {
            tails = [ZEROS; C];
            for c in 0..C {
                tails[c] = padded(&columns[c][rows.clone()]);
            }
            inputs = tails.each_ref();
        } else {
            for c in 0..C {
                inputs[c] = columns[c][rows.clone()].first_chunk().unwrap_or(&ZEROS);
            }
        }
        let weights = if weights.is_empty() { weights } else { &weights[rows] };
        let own = if log_sigma.is_empty() { 0..0 } else { chunk.clone() };
        let kept = if each.is_empty() { 0..0 } else { chunk.clone() };
        let (eta, own) = (&mut eta[chunk.clone()], &mut log_sigma[own]);
        let slopes = work.block(density, inputs, weights, eta, own, &mut each[kept]);
        for a in 0..A {
            add(&mut aux[a], &slopes[a]);
        }
        first = chunk.end;
    }
    let mut sums = Sums { logp: work.logp(), aux: [0.0; A] };
    for a in 0..A {
        sums.aux[a] = aux[a].iter().sum();
    }
    sums
}

/// A copy, filled up with zeros.
#[inline(always)]
fn padded(values: &[f64]) -> Block {
    let mut block = ZEROS;
    block[..values.len()].copy_from_slice(values);
    block
}
