//! Second and third derivatives of rows' log likelihood by their linear predictors: by formula where
//! the family has one at hand, else by differences of slopes.

use super::Likelihood;
use super::continuous::Continuous;
use super::list::Family;
use crate::predictor::CHUNK;
use std::ops::Range;

/// Distances of linear predictors from whose slopes second and third derivatives are found. Links
/// that are not the identity have no unit.
const NEAR: f64 = 3e-5;
const FAR: f64 = 1e-3;

impl Likelihood {
    /// Minus the second derivatives of the log likelihood by the linear predictors, row by row.
    pub fn curvatures(&self, aux: &[f64], eta: &[f64], out: &mut [f64]) {
        if let Family::Continuous(own) = &self.family {
            own.bends(aux, eta, None, |i, bend| out[i] = bend.seconds()[0]);
            return;
        }
        let mut unused = vec![0.0; aux.len()];
        let (mut above, mut below) = ([0.0; CHUNK], [0.0; CHUNK]);
        let chunks = eta.chunks(CHUNK).zip(out.chunks_mut(CHUNK));
        for ((eta, out), first) in chunks.zip((0..).step_by(CHUNK)) {
            let range = first..first + eta.len();
            out.copy_from_slice(eta);
            if pulp::Arch::new().dispatch(Curvatures(self, range.clone(), out)) {
                continue;
            }
            for (slopes, shift) in [(&mut above, NEAR), (&mut below, -NEAR)] {
                self.slopes_beside(range.start, aux, (eta, shift), slopes, &mut unused);
            }
            for (out, (b, a)) in out.iter_mut().zip(below.iter().zip(&above)) {
                *out = (b - a) / (2.0 * NEAR);
            }
        }
    }

    /// Third derivatives, where slopes are `here`.
    pub fn thirds(&self, aux: &[f64], eta: &[f64], here: &[f64]) -> Vec<f64> {
        let mut thirds = Vec::with_capacity(eta.len());
        if let Family::Continuous(own) = &self.family {
            own.bends(aux, eta, None, |_, bend| thirds.push(bend.thirds()[0]));
            return thirds;
        }
        let mut unused = vec![0.0; aux.len()];
        let (mut above, mut below) = ([0.0; CHUNK], [0.0; CHUNK]);
        for (eta, first) in eta.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
            for (shift, to) in [(FAR, &mut above), (-FAR, &mut below)] {
                self.slopes_beside(first, aux, (eta, shift), to, &mut unused);
            }
            let ends = above.iter().zip(&below).zip(&here[first..first + eta.len()]);
            thirds.extend(ends.map(|((a, b), here)| (a + b - 2.0 * here) / (FAR * FAR)));
        }
        thirds
    }

    fn slopes_beside(
        &self,
        first: usize,
        aux: &[f64],
        (eta, shift): (&[f64], f64),
        slopes: &mut [f64; CHUNK],
        unused: &mut [f64],
    ) {
        let slopes = &mut slopes[..eta.len()];
        slopes.iter_mut().zip(eta).for_each(|(slope, eta)| *slope = eta + shift);
        self.rows_in_vectors(first..first + eta.len(), aux, slopes, &mut [], unused, &mut []);
    }

    /// Rows that have log residual sds of their own, one after another. None of families without such
    /// sds.
    pub fn bends(&self, aux: &[f64], eta: &[f64], log_sigma: &[f64], row: impl FnMut(usize, Bend)) {
        if let Family::Continuous(own) = &self.family {
            own.bends(aux, eta, Some(log_sigma), row);
        }
    }
}

/// [`Likelihood::curvatures`] by a formula; false where there is none.
struct Curvatures<'a>(&'a Likelihood, Range<usize>, &'a mut [f64]);

impl pulp::WithSimd for Curvatures<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) -> bool {
        let Self(likelihood, range, eta) = self;
        likelihood.family.curvatures(range, eta)
    }
}

/// A row whose log likelihood is `f(z) − log σ − within/2σ²`, `z = (y − η)·scale` and `scale = √w/σ`.
pub struct Bend {
    pub scale: f64,
    pub z: f64,
    /// `g = −f′` at z, g′ and g″.
    pub g: [f64; 3],
    /// The scatter of several rows that this one stands for, over σ².
    pub within: f64,
}

impl Bend {
    /// Minus the second derivatives: by the predictor, by both, and by the log sd.
    pub fn seconds(&self) -> [f64; 3] {
        let Self { scale, z, g: [g, first, _], within } = *self;
        let both = first * z + g; // (gz)′
        [first * scale * scale, both * scale, both * z + 2.0 * within]
    }

    /// Third derivatives: by the predictor three, two, one times and never, else by the log sd.
    pub fn thirds(&self) -> [f64; 4] {
        let Self { scale, z, g: [g, first, second], within } = *self;
        let both = first * z + g;
        let bent = second * z + 2.0 * first; // (gz)″
        let along = bent * z + both;
        [second * scale.powi(3), bent * scale * scale, along * scale, along * z + 4.0 * within]
    }
}

impl Continuous {
    /// All rows in turn, at these predictors and perhaps log residual sds of their own.
    fn bends(
        &self,
        aux: &[f64],
        eta: &[f64],
        log_sigma: Option<&[f64]>,
        mut row: impl FnMut(usize, Bend),
    ) {
        for (i, eta) in eta.iter().enumerate() {
            row(i, self.bend(aux, i, *eta, log_sigma.map(|own| own[i])));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all_kinds, dispersion, response};
    use super::super::{Kind, Link};
    use super::*;

    const ROWS: usize = 40;

    /// Slopes by predictors and log sds, at places beside some.
    fn slopes(of: &Likelihood, aux: &[f64], (by_eta, by_sigma): (f64, f64)) -> [Vec<f64>; 2] {
        let mut eta: Vec<f64> = predictors().iter().map(|eta| eta + by_eta).collect();
        let mut log_sigma: Vec<f64> = log_sigmas().iter().map(|own| own + by_sigma).collect();
        let unused = &mut vec![0.0; aux.len()];
        of.rows(0..ROWS, aux, &mut eta, &mut log_sigma, unused, &mut []);
        [eta, log_sigma]
    }

    fn predictors() -> Vec<f64> {
        (0..ROWS).map(|i| (i as f64 * 0.7).sin() * 2.5).collect()
    }

    fn log_sigmas() -> Vec<f64> {
        (0..ROWS).map(|i| (i as f64 * 0.3).cos() * 0.8).collect()
    }

    #[test]
    fn derivatives_by_both_predictors_are_differences_of_slopes() {
        let mut seen = 0;
        for (kind, link, weighted, _) in all_kinds().into_iter().filter(|case| case.3) {
            for merged in [false, true] {
                let y = (0..ROWS).map(|i| response(kind, i)).collect();
                let weights = (0..if weighted { ROWS } else { 0 }).map(|i| 0.5 + i as f64 / 99.0);
                let mut of = Likelihood::new(kind, link, y, Vec::new(), weights.collect()).unwrap();
                let aux = dispersion(kind, of.n_aux())[1..].to_vec();
                if merged {
                    let Ok(found) = of.merged(vec![3.0; ROWS], vec![1.7; ROWS]) else { continue };
                    of = found;
                }
                check(&of, &aux);
                seen += 1;
            }
        }
        assert_eq!(seen, 10);
    }

    fn check(of: &Likelihood, aux: &[f64]) {
        let (eta, log_sigma, h) = (predictors(), log_sigmas(), 1e-4);
        let (mut seconds, mut thirds) = (vec![[0.0; 3]; ROWS], vec![[0.0; 4]; ROWS]);
        of.bends(aux, &eta, &log_sigma, |i, bend| {
            (seconds[i], thirds[i]) = (bend.seconds(), bend.thirds());
        });
        let close = |found: f64, expected: f64| {
            assert!((found - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{found} {expected}");
        };
        let sides = [(h, 0.0), (0.0, h)].map(|(a, b)| {
            let (above, below) = (slopes(of, aux, (a, b)), slopes(of, aux, (-a, -b)));
            let difference = |which: usize| -> Vec<f64> {
                let each = above[which].iter().zip(&below[which]);
                each.map(|(above, below)| (above - below) / (2.0 * h)).collect()
            };
            [difference(0), difference(1)]
        });
        for i in 0..ROWS {
            close(seconds[i][0], -sides[0][0][i]);
            close(seconds[i][1], -sides[0][1][i]);
            close(seconds[i][1], -sides[1][0][i]);
            close(seconds[i][2], -sides[1][1][i]);
        }
        // Differences of second derivatives by the predictor, and by the log sd.
        for which in [0, 1] {
            let beside = |shift: f64| {
                let moved = |from: &[f64], by: bool| -> Vec<f64> {
                    from.iter().map(|x| x + if by { shift } else { 0.0 }).collect()
                };
                let (eta, own) = (moved(&eta, which == 0), moved(&log_sigma, which == 1));
                let mut found = vec![[0.0; 3]; ROWS];
                of.bends(aux, &eta, &own, |i, bend| found[i] = bend.seconds());
                found
            };
            let (above, below) = (beside(h), beside(-h));
            for i in 0..ROWS {
                for k in 0..3 {
                    close(thirds[i][k + which], -(above[i][k] - below[i][k]) / (2.0 * h));
                }
            }
        }
    }

    #[test]
    fn units_of_responses_do_not_matter() {
        let scaled = |x: Vec<f64>, by: f64| -> Vec<f64> { x.iter().map(|x| x * by).collect() };
        for kind in [Kind::Gaussian, Kind::StudentT] {
            let of = |unit: f64| {
                let y = scaled((0..ROWS).map(|i| response(kind, i)).collect(), unit);
                let weights = (0..ROWS).map(|i| 1.0 + i as f64).collect();
                let of = Likelihood::new(kind, Link::Identity, y, Vec::new(), weights).unwrap();
                let mut aux = dispersion(kind, of.n_aux());
                aux[0] *= unit;
                let (eta, mut seconds) = (scaled(predictors(), unit), vec![0.0; ROWS]);
                of.curvatures(&aux, &eta, &mut seconds);
                let thirds = of.thirds(&aux, &eta, &[]);
                [scaled(seconds, unit.powi(2)), scaled(thirds, unit.powi(3))].concat()
            };
            let expected = of(1.0);
            assert!(expected.iter().any(|x| x.abs() > 0.1));
            for unit in [1e-12, 1e-3, 1e9] {
                for (found, expected) in of(unit).iter().zip(&expected) {
                    let close = 1e-11 * (1.0 + expected.abs());
                    assert!((found - expected).abs() < close, "{found} {expected}");
                }
            }
        }
    }
}
