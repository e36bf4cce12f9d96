//! The mode of all coefficients together, by Newton's method.

use super::Scales;
use super::observed::Said;
use super::point::{Point, Start};
use super::rows::Integrand;
use crate::blocks::{Elimination, Within};
use crate::linalg::{cholesky, invert_lower, solve_lower, solve_lower_transposed};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use std::sync::Arc;

const STEPS: usize = 100;

/// Rows whose variances are found at a time.
const PART: usize = 512;

/// Gains of a step below which it is the last, and below which A, if it was factorised where the step
/// begins, is that of the mode. Of the mode the value has the error squared, log|A| the error itself:
/// searches and their differences want more of it than draws do.
#[derive(Clone, Copy)]
pub struct Close {
    last: f64,
    there: f64,
}

pub const CLOSE: Close = Close { last: 1e-7, there: 1e-7 };
pub const CLOSEST: Close = Close { last: 1e-15, there: f64::NEG_INFINITY };

/// Gain of a step below which the next one may have the same A, and by how much gains have to fall
/// then: rows and all they add to A cost far more than to solve with it once more.
const HELD: f64 = 4.0;
const FALLS: f64 = 0.05;

/// Share of the size of a log likelihood that rounding can hide.
const HIDDEN: f64 = 1e-13;

/// The mode, and A as it was factorised last.
pub struct Top {
    pub point: Point,
    /// `log p(y|θ)`, nearly.
    pub value: f64,
    /// log|A|
    pub log_det: f64,
}

/// Working storage of a climb: the factor of A is left in it.
#[derive(Clone)]
pub struct Climb {
    pub elimination: Option<Elimination>,
    /// K, (p + 1) × (p + 1), lower triangle.
    k: Vec<f64>,
    /// The factor of K + P, p × p.
    pub schur: Vec<f64>,
    prior_slopes: Vec<f64>,
    prior_curvatures: Vec<f64>,
    pub pulls: Vec<f64>,
    pub said: Said,
    close: Close,
}

impl Climb {
    pub fn new(of: &impl Integrand, close: Close) -> Self {
        let (n, p) = (of.base().len(), of.n_coefficients());
        Self {
            elimination: of.products().cloned().map(Elimination::new),
            k: vec![0.0; (p + 1) * (p + 1)],
            schur: vec![0.0; p * p],
            prior_slopes: vec![0.0; p],
            prior_curvatures: vec![0.0; p * p],
            pulls: vec![0.0; n],
            said: Said::default(),
            close,
        }
    }

    /// log|L| where `LLᵀ = K + P`, as factorised.
    pub fn log_det_of_factor(&self) -> f64 {
        let diagonal = self.schur.iter().step_by(self.prior_slopes.len() + 1);
        diagonal.map(|entry| entry.ln()).sum()
    }

    /// f at a point, with its slopes; `None` where it is not finite.
    fn visit(&mut self, of: &impl Integrand, at: &Scales, point: &Point) -> Option<f64> {
        of.observed().slopes(&point.eta, &at.values, &mut self.said)?;
        let log_prior = of.log_prior(at, &point.c, Some(&mut self.prior_slopes));
        let value = self.said.logp + log_prior - 0.5 * point.squares();
        value.is_finite().then_some(value)
    }

    /// The likelier of two places to begin at.
    pub fn likelier(
        &mut self,
        of: &impl Integrand,
        at: &Scales,
        one: Start,
        other: Start,
    ) -> Start {
        let mut height = |(c, u): &Start| {
            self.visit(of, at, &Point::new(of, at, c.clone(), u.clone())) // None is less than any
        };
        if height(&other) > height(&one) { other } else { one }
    }

    /// Climb from some coefficients; `None` where there is no mode.
    ///
    /// Newton's method, whose matrix is kept while that leads on.
    pub fn top(&mut self, of: &impl Integrand, at: &Scales, (c, u): Start) -> Option<Top> {
        let mut here = Point::new(of, at, c, u);
        let mut value = self.visit(of, at, &here)?;
        let mut log_det = self.renew(of, at, &here)?;
        let (mut before, mut held) = (f64::INFINITY, false);
        for _ in 0..STEPS {
            let (next, gain) = self.step(of, at, &here);
            let last = gain < self.close.last;
            let least = value - 1e-12 * value.abs();
            if let Some(log_det) = log_det
                && gain < self.close.there
                && let Some(found) = self.visit(of, at, &next).filter(|found| *found >= least)
            {
                return Some(Top { point: next, value: found - 0.5 * log_det, log_det });
            }
            let found = self.up(of, at, &here, next, least);
            let moved = found.is_some();
            let arrived = match found {
                Some((there, found)) => {
                    (here, value) = (there, found);
                    last
                }
                // Rounding hides what there is to gain: it has arrived.
                None if gain < HIDDEN * (1.0 + self.size(&here)) => {
                    value = self.visit(of, at, &here)?;
                    true
                }
                // A from elsewhere may lead nowhere.
                None if held => {
                    value = self.visit(of, at, &here)?;
                    false
                }
                None => return None,
            };
            if arrived {
                let log_det = self.factorise(of, at, &here, false)?;
                let value = value - 0.5 * log_det;
                return value.is_finite().then_some(Top { point: here, value, log_det });
            }
            held = moved && gain < HELD && gain < FALLS * before;
            if held {
                self.set_pulls(of, &here);
                self.solve_for_pulls(of);
                log_det = None;
            } else {
                log_det = self.renew(of, at, &here)?;
            }
            before = gain;
        }
        None
    }

    /// From a point to the next or so far towards it that f is no less than this there.
    fn up(
        &mut self,
        of: &impl Integrand,
        at: &Scales,
        here: &Point,
        next: Point,
        least: f64,
    ) -> Option<(Point, f64)> {
        if let Some(found) = self.visit(of, at, &next).filter(|found| *found >= least) {
            return Some((next, found));
        }
        (1..40).find_map(|k| {
            let there = here.towards(&next, 0.5_f64.powi(k));
            let found = self.visit(of, at, &there).filter(|found| *found >= least);
            found.map(|found| (there, found))
        })
    }

    /// Size of the numbers whose sum the log likelihood is.
    fn size(&self, point: &Point) -> f64 {
        let each = point.eta.iter().zip(&self.said.curvatures);
        self.said.logp.abs() + each.map(|(eta, h)| h.abs() * (1.0 + eta.abs())).sum::<f64>()
    }

    /// Where A and the slopes lead, and what a line there promises.
    fn step(&mut self, of: &impl Integrand, at: &Scales, here: &Point) -> (Point, f64) {
        let next = self.best(of, at, here);
        let along = |slopes: &[f64], to: &[f64], from: &[f64]| -> f64 {
            slopes.iter().zip(to).zip(from).map(|((s, a), b)| s * (a - b)).sum()
        };
        let penalty: f64 = (here.u.iter().zip(&next.u)).map(|(u, next)| along(u, next, u)).sum();
        let gain = along(&self.said.slopes, &next.eta, &here.eta)
            + along(&self.prior_slopes, &next.c, &here.c)
            - penalty;
        (next, gain)
    }

    /// Factorise A at a point that was visited last, rows that curve upwards left out if need be;
    /// returns log|A| if they were not.
    fn renew(&mut self, of: &impl Integrand, at: &Scales, here: &Point) -> Option<Option<f64>> {
        let whole = self.factorise(of, at, here, false);
        let known = whole.is_some() || self.factorise(of, at, here, true).is_some();
        known.then_some(whole)
    }

    /// Factorise A at a point that was visited last, or with rows that curve upwards next to left
    /// out; returns log|A|.
    fn factorise(
        &mut self,
        of: &impl Integrand,
        at: &Scales,
        here: &Point,
        downwards: bool,
    ) -> Option<f64> {
        let p = of.n_coefficients();
        of.observed().curvatures(&here.eta, &at.values, &mut self.said);
        of.prior_curvatures(at, &here.c, &mut self.prior_curvatures);
        if downwards {
            of.observed().downwards(&mut self.said.curvatures);
            (0..p).for_each(|i| {
                let own = &mut self.prior_curvatures[i * p + i];
                *own = own.max(0.0);
            });
        }
        self.set_pulls(of, here);
        let log_det = match &mut self.elimination {
            None => {
                of.weighing().total(&self.said.curvatures, &self.pulls, &mut self.k);
                0.0
            }
            Some(elimination) => {
                let products = Arc::make_mut(&mut elimination.data);
                of.weighing().fill(&self.said.curvatures, &self.pulls, products);
                let joined = products.join(&at.lambda);
                elimination.evaluate(&joined, &mut self.k)?
            }
        };
        Some(log_det + self.factorise_schur(p)?)
    }

    /// What rows that count as they did pull at, at a point that was visited last.
    fn set_pulls(&mut self, of: &impl Integrand, here: &Point) {
        let each = self.said.curvatures.iter().zip(&self.said.slopes);
        let own = here.eta.iter().zip(of.base()).map(|(eta, base)| eta - base);
        for ((pull, (h, slope)), own) in self.pulls.iter_mut().zip(each).zip(own) {
            *pull = h * own + slope;
        }
    }

    /// Solve with A, as it was factorised last, for other pulls.
    fn solve_for_pulls(&mut self, of: &impl Integrand) {
        match &mut self.elimination {
            None => of.weighing().pull(&self.pulls, &mut self.k),
            Some(elimination) => {
                of.weighing().respond(&self.pulls, Arc::make_mut(&mut elimination.data));
                elimination.respond(&mut self.k);
            }
        }
    }

    /// Factorise K + P.
    fn factorise_schur(&mut self, p: usize) -> Option<f64> {
        for i in 0..p {
            for j in 0..=i {
                self.schur[i * p + j] = self.k[i * (p + 1) + j] + self.prior_curvatures[i * p + j];
            }
        }
        cholesky(&mut self.schur, p)
    }

    /// Coefficients that are best for A and the slopes at a point.
    fn best(&mut self, of: &impl Integrand, at: &Scales, here: &Point) -> Point {
        let p = here.c.len();
        let of_prior = (0..p).map(|i| {
            let own = &self.prior_curvatures[i * p..][..p];
            own.iter().zip(&here.c).map(|(h, c)| h * c).sum::<f64>() + self.prior_slopes[i]
        });
        let of_prior: Vec<f64> = of_prior.collect();
        self.solved(of, at, &of_prior)
    }

    /// Coefficients that A brings to the rows' pulls and those of the prior.
    fn solved(&mut self, of: &impl Integrand, at: &Scales, of_prior: &[f64]) -> Point {
        let p = of_prior.len();
        let pulls = &self.k[p * (p + 1)..][..p];
        let mut c: Vec<f64> = of_prior.iter().zip(pulls).map(|(a, b)| a + b).collect();
        solve_lower(&self.schur, p, &mut c);
        solve_lower_transposed(&self.schur, p, &mut c);
        let Some(elimination) = &mut self.elimination else {
            return Point::new(of, at, c, Vec::new());
        };
        let contrast: Vec<f64> = c.iter().map(|c| -c).chain([1.0]).collect();
        let all = elimination.draw(&contrast, 0.0, &vec![0.0; of.n_effects()]);
        let mut rest = &all[..];
        let groupings = &of.columns().groupings;
        let take = |g: &crate::predictor::Grouping| {
            let (own, others) = rest.split_at(g.n_levels * g.q);
            rest = others;
            own.to_vec()
        };
        let r: Vec<Vec<f64>> = groupings.iter().map(take).collect();
        let mut eta = vec![0.0; of.base().len()];
        of.fill(&c, &r, &mut eta);
        // u = ΛᵀZᵀ of what the weighted rows are left with.
        let each = self.said.curvatures.iter().zip(&self.pulls);
        let own = eta.iter().zip(of.base()).map(|(eta, base)| eta - base);
        let left: Vec<f64> = each.zip(own).map(|((h, pull), own)| pull - h * own).collect();
        let u = of.pulled(&left, &at.lambda);
        Point { c, u, r, eta }
    }
}

impl Climb {
    /// Factorise A at a mode that is known.
    pub fn arrive(&mut self, of: &impl Integrand, at: &Scales, point: &Point) -> Option<f64> {
        self.visit(of, at, point)?;
        self.factorise(of, at, point, false)
    }

    /// How far means are from a mode at which A was factorised last, nearly: the rows' third
    /// derivatives make `E(x) − x̂ ≈ ½ A⁻¹ Σ aᵢ ℓ‴ᵢ vᵢ`, with aᵢ the rows of all columns and
    /// `vᵢ = aᵢᵀA⁻¹aᵢ`. Where levels have few rows it matters to all of them, and to c, that the mode
    /// is no mean.
    pub fn skewed(
        &mut self,
        of: &impl Integrand,
        at: &Scales,
        top: &Point,
    ) -> (Vec<f64>, Vec<Vec<f64>>) {
        let (_, away) = self.pulled_by_thirds(of, at, top);
        (away.c, away.u)
    }

    /// Variances of the rows' predictors, and what their third derivatives times half of these
    /// pull at, which is left in `pulls`, leads to.
    pub fn pulled_by_thirds(
        &mut self,
        of: &impl Integrand,
        at: &Scales,
        top: &Point,
    ) -> (Vec<f64>, Point) {
        let variances = self.variances(of);
        self.pulls = of.observed().pulls(&top.eta, &self.said.slopes, &at.values, &variances);
        self.solve_for_pulls(of);
        let away = self.solved(of, at, &vec![0.0; top.c.len()]);
        (variances, away)
    }

    /// Of the rows' predictors, given θ.
    fn variances(&mut self, of: &impl Integrand) -> Vec<f64> {
        let (n, p) = (of.base().len(), of.n_coefficients());
        let all = of.weighing().all_rows();
        let within = self.elimination.as_mut().map(|elimination| {
            elimination.solve();
            elimination.invert();
            let mut within = Within::new(elimination);
            within.whiten(&self.schur, p);
            within
        });
        let mut white = vec![0.0; p * p];
        invert_lower(&self.schur, p, &mut white);
        let (mut room, mut found) = (vec![0.0; PART * p], Vec::with_capacity(n));
        for first in (0..n).step_by(PART) {
            let rows = first..(first + PART).min(n);
            let x =
                MatRef::from_row_major_slice(&all.xy[rows.start * p..rows.end * p], rows.len(), p);
            let white = MatRef::from_row_major_slice(&white, p, p).transpose();
            let into = MatMut::from_row_major_slice_mut(&mut room[..rows.len() * p], rows.len(), p);
            matmul(into, Accum::Replace, x, white, 1.0, Par::Seq);
            for (k, row) in rows.enumerate() {
                let x = &mut room[k * p..][..p];
                let inside = within.as_ref().map_or(0.0, |within| within.inside(&all, row, x));
                found.push(inside + x.iter().map(|x| x * x).sum::<f64>());
            }
        }
        found
    }
}
