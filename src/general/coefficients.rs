//! Population coefficients of a linear predictor: their coordinates and priors.

use crate::prior::{Prior, Scalar};

/// A prior on `row · c + shift`, which has no bounds.
#[derive(Clone, Debug)]
pub struct PriorRow {
    pub prior: Prior,
    pub row: Vec<f64>,
    pub shift: f64,
}

impl PriorRow {
    /// A location takes up the shift: far from zero, the sum with it would lose digits.
    pub fn new(mut prior: Prior, row: Vec<f64>, mut shift: f64) -> Self {
        if let Prior::Normal { loc, .. } | Prior::StudentT { loc, .. } = &mut prior {
            *loc -= shift;
            shift = 0.0;
        }
        Self { prior, row, shift }
    }

    /// `row · c + shift`.
    pub fn at(&self, c: &[f64]) -> f64 {
        self.row.iter().zip(c).map(|(w, c)| w * c).sum::<f64>() + self.shift
    }

    /// Log prior at c; adds its slope.
    pub fn add(&self, c: &[f64], extra: f64, by_c: &mut [f64]) -> (f64, f64) {
        let (logp, slope) = self.prior.logp(self.at(c) + extra);
        for (by_c, w) in by_c.iter_mut().zip(&self.row) {
            *by_c += slope * w;
        }
        (logp, slope)
    }
}

/// Population coefficients: `c = map · v + shift`.
///
/// Bounded v have a coordinate of their own; the free ones are `centre + basis · γ`.
#[derive(Clone, Debug)]
pub struct Coefficients {
    pub bounded: Vec<Option<Scalar>>,
    pub map: Vec<f64>,
    /// Inverse of `map`.
    pub unmap: Vec<f64>,
    pub shift: Vec<f64>,
    pub priors: Vec<PriorRow>,
    /// Of the free v; see [`super::Coordinates`].
    pub centre: Vec<f64>,
    pub basis: Vec<f64>,
}

impl Coefficients {
    pub fn len(&self) -> usize {
        self.bounded.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bounded.is_empty()
    }

    pub fn free(&self) -> Vec<usize> {
        (0..self.len()).filter(|k| self.bounded[*k].is_none()).collect()
    }

    pub fn from_c(&self, c: &[f64]) -> Vec<f64> {
        let p = self.len();
        let v = |i: usize| (0..p).map(|k| self.unmap[i * p + k] * (c[k] - self.shift[k])).sum();
        (0..p).map(v).collect()
    }

    /// Coefficients in the middle of the coordinates, where none has bounds.
    pub fn around(&self) -> Vec<f64> {
        let mut c = vec![0.0; self.len()];
        self.apply_map(&self.centre, &mut c);
        c
    }

    fn apply_map(&self, v: &[f64], c: &mut [f64]) {
        let p = self.len();
        for i in 0..p {
            c[i] = self.shift[i] + (0..p).map(|k| self.map[i * p + k] * v[k]).sum::<f64>();
        }
    }
}

/// Working storage.
#[derive(Clone, Debug, Default)]
pub struct CoefficientsAt {
    v: Vec<f64>,
    v_slope: Vec<f64>,
    by_v: Vec<f64>,
    /// Coefficients with the means of the factors in them, and without.
    pub total: Vec<f64>,
    pub c: Vec<f64>,
    pub by_c: Vec<f64>,
    /// Slopes by c of rows and priors alone.
    pub by_rows: Vec<f64>,
}

impl CoefficientsAt {
    pub fn new(p: usize) -> Self {
        let zeros = || vec![0.0; p];
        Self {
            v: zeros(),
            v_slope: zeros(),
            by_v: zeros(),
            total: zeros(),
            c: zeros(),
            by_c: zeros(),
            by_rows: zeros(),
        }
    }
}

/// Total coefficients at `u`; log prior of bounded v, its gradient into `grad`.
pub fn constrain_coefficients(
    coefficients: &Coefficients,
    u: &[f64],
    grad: &mut [f64],
    at: &mut CoefficientsAt,
) -> f64 {
    let mut logp = 0.0;
    let n_free = coefficients.centre.len();
    let mut row = 0;
    // The free coordinates come in the order of their columns.
    for (k, bounded) in coefficients.bounded.iter().enumerate() {
        match bounded {
            Some(scalar) => {
                let s = scalar.at(u[k]);
                (at.v[k], at.v_slope[k], grad[k]) = (s.x, s.dx_du, s.dlogp_du);
                logp += s.logp;
            }
            None => {
                let basis = &coefficients.basis[row * n_free..][..n_free];
                let free = u.iter().zip(&coefficients.bounded).filter(|(_, b)| b.is_none());
                let step: f64 = basis.iter().zip(free).map(|(b, (u, _))| b * u).sum();
                at.v[k] = coefficients.centre[row] + step;
                row += 1;
            }
        }
    }
    coefficients.apply_map(&at.v, &mut at.total);
    logp
}

/// Add what slopes by c mean for the coordinates of the coefficients.
pub fn pull_back_coefficients(
    coefficients: &Coefficients,
    at: &mut CoefficientsAt,
    grad: &mut [f64],
) {
    let p = coefficients.len();
    for k in 0..p {
        at.by_v[k] = (0..p).map(|i| coefficients.map[i * p + k] * at.by_c[i]).sum();
    }
    let n_free = coefficients.centre.len();
    let mut column = 0;
    for k in 0..p {
        if coefficients.bounded[k].is_some() {
            grad[k] += at.by_v[k] * at.v_slope[k];
            continue;
        }
        let mut row = 0;
        grad[k] = 0.0;
        for j in 0..p {
            if coefficients.bounded[j].is_none() {
                grad[k] += coefficients.basis[row * n_free + column] * at.by_v[j];
                row += 1;
            }
        }
        column += 1;
    }
}
