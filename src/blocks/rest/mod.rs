//! The factors that are not eliminated first, all together: S̃, the factor of `S = ΛᵀS̃Λ + I`, and
//! `T = ΛS⁻¹Λᵀ`; dense where the factor of S would fill, else sparse.

mod dense;
mod pattern;
mod sparse;

use super::products::Products;
use dense::Dense;
use faer::dyn_stack::StackReq;
pub use pattern::Pattern;
use sparse::Sparse;
use std::mem::MaybeUninit;

/// Columns up to which a dense matrix costs next to nothing.
const FEW: usize = 96;

/// Operations of a dense factorisation that take as long as one level of the lead without links.
const A_LEVEL: f64 = 3000.0;

/// Share of a dense triangle above which a sparse one is slower (measured: a library's dense
/// factorisation is some 25 times as fast for each operation).
const FULL: f64 = 0.2;

#[derive(Clone, Debug)]
pub enum Rest {
    Dense(Dense),
    Sparse(Box<Sparse>),
}

/// What a model of several factors takes: operations an evaluation, and bytes of working storage.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub operations: f64,
    pub bytes: f64,
}

impl Rest {
    pub fn new(data: &Products) -> Self {
        match &data.pattern {
            Some(pattern) => Self::Sparse(Box::new(Sparse::new(pattern.clone()))),
            None => Self::Dense(Dense::new(data)),
        }
    }

    /// Set S̃ to the cross-products of the rows.
    pub fn begin(&mut self, data: &Products) {
        match self {
            Self::Dense(rest) => rest.begin(data),
            Self::Sparse(rest) => rest.begin(data),
        }
    }

    /// Subtract `y yᵀ` in the columns that a level of the lead is linked with: `y` has `q` numbers
    /// for each of them.
    #[inline(always)]
    pub fn subtract(&mut self, level: usize, columns: &[u32], y: &[f64], q: usize) {
        match self {
            Self::Dense(rest) => rest.subtract(columns, y, q),
            Self::Sparse(rest) => rest.subtract(level, y, q),
        }
    }

    /// Factorise S; `scales` are the factors of the covariances, q × q. Returns log|S|.
    pub fn factorise(&mut self, data: &Products, scales: &[Vec<f64>]) -> Option<f64> {
        match self {
            Self::Dense(rest) => rest.factorise(data, scales),
            Self::Sparse(rest) => rest.factorise(data, scales),
        }
    }

    /// The numbers of the factor of S, in an order of its own.
    pub fn factor(&self) -> Vec<&[f64]> {
        match self {
            Self::Dense(rest) => rest.columns(),
            Self::Sparse(rest) => vec![&rest.factor],
        }
    }

    pub fn factor_mut(&mut self) -> Vec<&mut [f64]> {
        match self {
            Self::Dense(rest) => rest.columns_mut(),
            Self::Sparse(rest) => vec![&mut rest.factor],
        }
    }

    /// Which of these numbers are the diagonal.
    pub fn diagonal(&self) -> Vec<usize> {
        match self {
            Self::Dense(rest) => rest.diagonal(),
            Self::Sparse(rest) => rest.diagonal(),
        }
    }

    /// log|S|, from the factor; `None` where that is none.
    pub fn log_det(&self) -> Option<f64> {
        match self {
            Self::Dense(rest) => rest.log_det(),
            Self::Sparse(rest) => rest.log_det(),
        }
    }

    /// `L⁻¹x` in place for some columns; what comes out is in an order of its own.
    pub fn solve(&self, x: &mut [f64]) {
        match self {
            Self::Dense(rest) => rest.solve(x),
            Self::Sparse(rest) => rest.solve(x),
        }
    }

    /// `L⁻ᵀx` in place for some columns, from the order of `solve`.
    pub fn solve_transposed(&self, x: &mut [f64]) {
        match self {
            Self::Dense(rest) => rest.solve_transposed(x),
            Self::Sparse(rest) => rest.solve_transposed(x),
        }
    }

    /// Fill T, where S̃ has entries.
    pub fn invert(&mut self, data: &Products, scales: &[Vec<f64>]) {
        match self {
            Self::Dense(rest) => rest.invert(data, scales),
            Self::Sparse(rest) => rest.invert(data, scales),
        }
    }

    pub fn schur(&self, r: usize, c: usize) -> f64 {
        match self {
            Self::Dense(rest) => rest.schur(r, c),
            Self::Sparse(rest) => rest.schur(r, c),
        }
    }

    /// An entry of T, once `invert` was called; 0 where S̃ has none.
    #[inline(always)]
    pub fn covariance(&self, r: usize, c: usize) -> f64 {
        match self {
            Self::Dense(rest) => rest.covariance(r, c),
            Self::Sparse(rest) => rest.covariance(r, c),
        }
    }

    /// Columns of T from its diagonal down to a row, if they lie together; once `invert` was called.
    pub fn covariances(&self, first: usize, end: usize) -> Option<impl Iterator<Item = &[f64]>> {
        match self {
            Self::Dense(rest) => Some((first..end).map(move |c| rest.covariances(c, end))),
            Self::Sparse(_) => None,
        }
    }

    /// Entries `(a, b)` of `S̃T` where both are columns of one level.
    pub fn product(&self, a: usize, b: usize) -> f64 {
        match self {
            Self::Dense(rest) => rest.product(a, b),
            Self::Sparse(rest) => rest.product(a, b),
        }
    }

    /// `S̃x` for some columns.
    pub fn times_schur(&self, x: &[f64], out: &mut [f64]) {
        match self {
            Self::Dense(rest) => rest.times_schur(x, out),
            Self::Sparse(rest) => rest.times_schur(x, out),
        }
    }
}

impl Cost {
    /// What an evaluation takes.
    pub fn of(data: &Products) -> Self {
        let q = data.lead().q as f64;
        let levels = 0..data.lead().n_levels;
        let links: f64 = levels.map(|j| (data.links(j).len() as f64).powi(2)).sum();
        let n = data.n_rest as f64;
        let (own, bytes) = match &data.pattern {
            // Without the speed of dense blocks.
            Some(pattern) => (25.0 * pattern.operations(), pattern.bytes()),
            None => (n * n * n / 3.0, 24.0 * n * n),
        };
        let levels = data.lead().n_levels as f64 * q * A_LEVEL;
        Self { operations: own + levels + 10.0 * links * q, bytes: bytes + 4.0 * links }
    }
}

/// Room for a library's working storage.
fn room(needed: StackReq) -> Vec<MaybeUninit<u8>> {
    vec![MaybeUninit::uninit(); needed.unaligned_bytes_required()]
}
