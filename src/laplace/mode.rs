//! The mode of the group coefficients given all parameters.

use super::climb::CLOSEST;
use super::observed::{Observed, Said};
use super::point::{Point, inward};
use super::rows::{Integrand, weighing};
use super::{Climb, Laplace, Parameters, Scales, Top};
use crate::blocks::{Products, Weighing};
use crate::predictor::Columns;
use std::sync::{Arc, PoisonError};

/// Where the group coefficients are most likely.
pub struct Mode {
    pub point: Point,
    /// Slopes of the rows, and H.
    pub slopes: Vec<f64>,
    pub weights: Vec<f64>,
    /// Log likelihood, by Laplace's formula.
    pub value: f64,
    /// Tells it from other modes of the model.
    number: u64,
}

/// The rows where c is known.
pub(super) struct Given<'a> {
    of: &'a Laplace,
    base: Vec<f64>,
}

impl Integrand for Given<'_> {
    fn observed(&self) -> Observed<'_> {
        self.of.observed()
    }

    fn columns(&self) -> &Columns {
        &self.of.columns
    }

    fn base(&self) -> &[f64] {
        &self.base
    }

    fn weighing(&self) -> &Weighing {
        &self.of.weighing
    }

    fn products(&self) -> Option<&Arc<Products>> {
        self.of.products.as_ref()
    }

    fn n_coefficients(&self) -> usize {
        0
    }

    fn log_prior(&self, _: &Scales, _: &[f64], _: Option<&mut [f64]>) -> f64 {
        0.0
    }

    fn prior_curvatures(&self, _: &Scales, _: &[f64], _: &mut [f64]) {}
}

/// Where the storage is of which [`Laplace`] has one.
#[derive(Default)]
pub(super) struct Room {
    climb: Option<Climb>,
    /// The mode at which it has factorised A, and how many there were.
    at: u64,
    count: u64,
}

impl Laplace {
    pub(super) fn given(&self, at: Parameters<'_>) -> (Given<'_>, Scales) {
        let mut base = vec![0.0; self.columns.n];
        self.columns.fill(0..base.len(), at.c, &[], &mut base);
        let scales = Scales { lambda: at.lambda.to_vec(), values: at.aux.to_vec() };
        (Given { of: self, base }, scales)
    }

    /// Climb from what the levels are like at another mode; `None` where there is no mode.
    pub fn mode(&self, at: Parameters<'_>, near: Option<&Mode>) -> Option<Mode> {
        let (given, scales) = self.given(at);
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let Room { climb, at, count } = &mut *room;
        let climb = climb.get_or_insert_with(|| Climb::new(&given, CLOSEST));
        *at = 0;
        let Top { point, value, .. } = Self::top(&given, &scales, climb, near)?;
        *count += 1;
        *at = *count;
        let Said { slopes, curvatures, .. } = climb.said.clone();
        Some(Mode { point, slopes, weights: curvatures, value, number: *count })
    }

    fn top(
        given: &Given<'_>,
        scales: &Scales,
        climb: &mut Climb,
        near: Option<&Mode>,
    ) -> Option<Top> {
        let groupings = &given.of.columns.groupings;
        let zeros = || groupings.iter().map(|g| vec![0.0; g.n_levels * g.q]).collect();
        let near = near.and_then(|mode| {
            let Point { u, r, .. } = &mode.point;
            // The same coefficients, or those that are as usual; where Λ is singular the first are
            // none.
            let same = r.iter().zip(&scales.lambda).map(|(r, lambda)| inward(lambda, r)).collect();
            let (usual, same) = ((Vec::new(), u.clone()), (Vec::new(), same));
            let start = climb.likelier(given, scales, usual, same);
            climb.top(given, scales, start)
        });
        near.or_else(|| climb.top(given, scales, (Vec::new(), zeros())))
    }

    /// Do something with A factorised at a mode.
    pub(super) fn factorised<T>(
        &self,
        at: Parameters<'_>,
        mode: &Mode,
        with: impl FnOnce(&Given<'_>, &Scales, &mut Climb) -> Option<T>,
    ) -> Option<T> {
        let (given, scales) = self.given(at);
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let Room { climb, at, .. } = &mut *room;
        let climb = climb.get_or_insert_with(|| Climb::new(&given, CLOSEST));
        if *at != mode.number {
            *at = 0;
            climb.arrive(&given, &scales, &mode.point)?;
            *at = mode.number;
        }
        with(&given, &scales, climb)
    }

    /// The products of all rows of [Z X], weighted as at a mode.
    pub(super) fn weighted(&self, mode: &Mode) -> Option<Products> {
        let (weighing, products) = weighing(&self.columns, self.columns.p);
        let mut products = products?;
        weighing.fill(&mode.weights, &vec![0.0; self.columns.n], &mut products);
        Some(products)
    }
}

#[cfg(test)]
mod tests {
    use super::super::climb::CLOSE;
    use super::*;
    use crate::family::{Kind, Likelihood, Link};
    use crate::predictor::Grouping;

    #[test]
    fn a_factor_from_nearby_hardly_moves_the_value() {
        let (n, levels) = (400, [40, 10]);
        let wave = |i: usize, k: f64| (k * i as f64).sin();
        let grouping = |n_levels: usize, step: usize| {
            let codes = (0..n).map(|i| (i * step % n_levels) as u32).collect();
            Grouping::new(codes, n_levels, vec![1.0; n])
        };
        let groupings = vec![grouping(levels[0], 1), grouping(levels[1], 3)];
        let columns = Columns { n, p: 0, x: Vec::new(), offset: Vec::new(), groupings };
        let y: Vec<f64> = (0..n).map(|i| f64::from(wave(i, 2.7) > 0.3)).collect();
        let (kind, link) = (Kind::Bernoulli, Link::Logit);
        let likelihood = Likelihood::new(kind, link, y, Vec::new(), Vec::new()).unwrap();
        let model = Laplace::new(likelihood, columns, None);
        let lambda = [vec![1.3], vec![0.7]];
        let (given, scales) = model.given(Parameters { c: &[], lambda: &lambda, aux: &[] });
        let zeros: Vec<Vec<f64>> = levels.map(|n| vec![0.0; n]).to_vec();
        let mut climb = Climb::new(&given, CLOSEST);
        let exact = climb.top(&given, &scales, (Vec::new(), zeros)).unwrap();
        let mut climb = Climb::new(&given, CLOSE);
        let mut seen = 0;
        for k in 1..40 {
            // Gains of some 1e-10 to 1e-5.
            let size = 3e-7 * 1.25_f64.powi(k);
            let moved = exact.point.u.iter().zip([0.0, 0.5]).map(|(u, shift)| {
                let away = (0..u.len()).map(|j| size * (1.0 + wave(j, 1.0 + shift)));
                u.iter().zip(away).map(|(u, away)| u + away).collect()
            });
            let found = climb.top(&given, &scales, (Vec::new(), moved.collect())).unwrap();
            assert!((found.value - exact.value).abs() < 2e-4);
            let pairs = found.point.u.iter().flatten().zip(exact.point.u.iter().flatten());
            assert!(pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) < 1e-5);
            seen += usize::from((found.log_det - exact.log_det).abs() > 1e-8);
        }
        assert!((5..35).contains(&seen), "{seen}");
    }
}
