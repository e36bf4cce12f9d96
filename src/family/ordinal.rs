//! Ordered categories 0 … K−1: a latent variable cut at K − 1 thresholds.

use super::link::negative_part;
use super::list::{About, Formulas, is_whole};
use super::sweep::{BLOCK, Density, Row, Work};
use super::{Kind, Link};
use crate::vmath::{HALF_LOG_2PI, exp, exp_and_rest, ln, ln_with, normal_tail_ratio};
use std::ops::Range;

/// Stands for the infinite threshold beyond the outer categories; its square is finite.
const FAR: f64 = 1e150;

pub struct Ordinal {
    link: Link,
    category: Vec<usize>,
    weights: Vec<f64>,
    /// Weight of the rows in each category.
    table: Vec<f64>,
}

impl Formulas for Ordinal {
    fn about(_: Kind) -> About {
        let plain = About::new(&[Link::Logit, Link::Probit], 0, |y, _| is_whole(y));
        About { has_thresholds: true, ..plain }
    }

    fn new(_: Kind, link: Link, y: Vec<f64>, _: Vec<f64>, weights: Vec<f64>) -> Self {
        let category: Vec<usize> = y.iter().map(|&y| y as usize).collect();
        let mut table = vec![0.0; category.iter().max().map_or(0, |k| k + 1)];
        for (i, &k) in category.iter().enumerate() {
            table[k] += weights.get(i).copied().unwrap_or(1.0);
        }
        Self { link, category, weights, table }
    }

    /// All terms have a parameter.
    fn constant(_: Kind, _: f64, _: Option<&f64>, _: Option<&f64>) -> f64 {
        0.0
    }

    fn n_thresholds(&self) -> usize {
        self.table.len().saturating_sub(1)
    }

    /// What `Logistic` leaves: `ln(1 − exp(−gap))` of the gap between a category's thresholds.
    fn shared(&self, thresholds: &[f64], d_aux: &mut [f64]) -> f64 {
        if self.link == Link::Probit {
            return 0.0;
        }
        let mut logp = 0.0;
        for k in 1..self.table.len().min(thresholds.len()) {
            let weight = self.table[k];
            if weight > 0.0 {
                logp += weight * self.of_category(k, thresholds);
                let gap = thresholds[k] - thresholds[k - 1];
                let slope = weight / gap.exp_m1();
                d_aux[k] += slope;
                d_aux[k - 1] -= slope;
            }
        }
        logp
    }

    /// The category of every row, and how many there are.
    fn classes(&self, _: usize) -> (Vec<usize>, usize) {
        (self.category.clone(), self.table.len())
    }

    /// What all rows of a category have in common, category by category.
    fn common(&self, thresholds: &[f64], classes: &mut [f64]) {
        for (k, class) in classes.iter_mut().enumerate() {
            *class = self.of_category(k, thresholds);
        }
    }

    #[inline(always)]
    fn rows(
        &self,
        range: Range<usize>,
        thresholds: &[f64],
        eta: &mut [f64],
        _: &mut [f64],
        d_aux: &mut [f64],
        each: &mut [f64],
    ) -> f64 {
        match self.link {
            Link::Probit => self.rows_of(&Normal, range, thresholds, eta, d_aux, each),
            _ => self.rows_of(&Logistic, range, thresholds, eta, d_aux, each),
        }
    }
}

impl Ordinal {
    /// What all rows of a category have in common, as above.
    fn of_category(&self, category: usize, thresholds: &[f64]) -> f64 {
        if self.link == Link::Probit || category == 0 || category >= thresholds.len() {
            return 0.0;
        }
        let gap = thresholds[category] - thresholds[category - 1];
        if gap > 0.0 { ln(exp_and_rest(gap).1) } else { f64::NEG_INFINITY }
    }

    #[inline(always)]
    fn rows_of<D: Density<2, 2>>(
        &self,
        density: &D,
        range: Range<usize>,
        thresholds: &[f64],
        eta: &mut [f64],
        d_aux: &mut [f64],
        each: &mut [f64],
    ) -> f64 {
        let mut work = Work::<2>::new();
        let mut first = range.start;
        for eta in eta.chunks_mut(BLOCK) {
            let rows = first..first + eta.len();
            let categories = &self.category[rows.clone()];
            let mut cuts = [[0.0; BLOCK]; 2];
            for (i, &k) in categories.iter().enumerate() {
                cuts[0][i] = thresholds.get(k).copied().unwrap_or(FAR);
                cuts[1][i] = thresholds.get(k.wrapping_sub(1)).copied().unwrap_or(-FAR);
            }
            let weights = if self.weights.is_empty() { &[] } else { &self.weights[rows.clone()] };
            let kept = if each.is_empty() {
                0..0
            } else {
                rows.start - range.start..rows.end - range.start
            };
            let each = &mut each[kept];
            let slopes = work.block(density, [&cuts[0], &cuts[1]], weights, eta, &mut [], each);
            for (i, &k) in categories.iter().enumerate() {
                if let Some(to) = d_aux.get_mut(k) {
                    *to += slopes[0][i];
                }
                if let Some(to) = d_aux.get_mut(k.wrapping_sub(1)) {
                    *to += slopes[1][i];
                }
            }
            first = rows.end;
        }
        work.logp()
    }
}

struct Logistic;

/// `F(u) − F(l) = F(u) F(−l) (1 − exp(l − u))` for the logistic distribution function: a product,
/// so nothing cancels, and its last factor has no linear predictor.
impl Density<2, 2> for Logistic {
    const FACTOR: bool = true;

    #[inline(always)]
    fn row(&self, [upper, lower]: [f64; 2], eta: f64, _: f64) -> Row<2> {
        let (u, l) = (upper - eta, lower - eta);
        let (eu, el) = (exp(-u.abs()), exp(-l.abs()));
        let factor = (1.0 + eu) * (1.0 + el);
        let inverse = 1.0 / factor;
        // F(−u) and F(l)
        let above = if u > 0.0 { eu } else { 1.0 } * (1.0 + el) * inverse;
        let below = if l > 0.0 { 1.0 } else { el } * (1.0 + eu) * inverse;
        Row {
            logp: negative_part(u) + negative_part(-l),
            factor,
            eta: below - above,
            aux: [above, -below],
        }
    }
}

struct Normal;

/// Mirrored where that brings the interval (l, u) into or towards the lower tail. With T(x) =
/// Φ(−x)/φ(x) and E = φ(l)/φ(u), the probability is `φ(u) (T(−u) − T(−l) E)` for u ≤ 0, a relative
/// difference even where φ(u) vanishes, and else 1 less two tails.
impl Density<2, 2> for Normal {
    #[inline(always)]
    fn row(&self, [upper, lower]: [f64; 2], eta: f64, _: f64) -> Row<2> {
        let (u, l) = (upper - eta, lower - eta);
        let mirror = u + l > 0.0;
        let (u, l) = if mirror { (-l, -u) } else { (u, l) };
        let log_density = -0.5 * u * u - HALF_LOG_2PI;
        let ratio = exp(0.5 * (u - l) * (u + l));
        let (tail_u, tail_l) = (normal_tail_ratio(u.abs()), normal_tail_ratio(l.abs()) * ratio);
        let wide = u > 0.0;
        let density = exp(if wide { log_density } else { 0.0 });
        let outside = density * (tail_u + tail_l);
        // The probability, over φ(u) unless `wide`; what rounding took from 1 − outside.
        let inside = if wide { 1.0 - outside } else { tail_u - tail_l };
        let lost = if wide { (1.0 - inside) - outside } else { 0.0 };
        let by_u = density / inside;
        let by_l = by_u * ratio;
        let (up, down) = if mirror { (by_l, by_u) } else { (by_u, by_l) };
        Row {
            logp: ln_with(inside, lost) + if wide { 0.0 } else { log_density },
            factor: 1.0,
            eta: down - up,
            aux: [up, -down],
        }
    }
}
