//! A draw of all coefficients given θ, and how likely it was beside the posterior.

use super::Posterior;
use super::levelled::{JUDGED, levelled};
use crate::laplace::point::{inward, outward};
use crate::laplace::rows::Integrand;
use crate::laplace::{Climb, Scales};
use crate::linalg::solve_lower_transposed;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// What is drawn around.
pub struct Around {
    pub c: Vec<f64>,
    pub u: Vec<Vec<f64>>,
    pub log_det: f64,
    /// `log p(y|θ)` as θ was drawn by it.
    pub drawn_by: f64,
    /// Whether it is to be judged.
    pub judged: bool,
}

pub struct Drawn {
    pub c: Vec<f64>,
    /// Λu
    pub r: Vec<Vec<f64>>,
    pub judged: [f64; JUDGED],
}

/// θ with what was drawn of c.
pub struct Given<'a> {
    around: &'a Around,
    pub of: &'a Posterior,
    pub at: &'a Scales,
    c: Vec<f64>,
    /// c less what it was drawn around.
    away: Vec<f64>,
}

/// Coefficients of the levels as they are drawn with some normal numbers: u and Λu.
#[derive(Default)]
pub struct Levels {
    pub u: Vec<Vec<f64>>,
    pub r: Vec<Vec<f64>>,
}

impl Around {
    /// Draw, with A as the climb has factorised it.
    pub fn draw(
        &self,
        of: &Posterior,
        climb: &mut Climb,
        at: &Scales,
        rng: &mut ChaCha8Rng,
    ) -> Drawn {
        let p = self.c.len();
        let of_c = normal(p, rng);
        let mut away = of_c.clone();
        solve_lower_transposed(&climb.schur, p, &mut away);
        let c = away.iter().zip(&self.c).map(|(away, c)| away + c).collect();
        let given = Given { around: self, of, at, c, away };
        let z = normal(of.n_effects(), rng);
        let levels = given.levels(climb, &z);
        if !self.judged {
            return Drawn { c: given.c, r: levels.r, judged: [f64::NAN; JUDGED] };
        }
        let prior = of.log_prior(at, &given.c, None);
        let drawn = prior - self.drawn_by - 0.5 * self.log_det + 0.5 * squares(&of_c);
        let penalty = 0.5 * levels.u.iter().map(|u| squares(u)).sum::<f64>();
        let mut eta = vec![0.0; of.base.len()];
        of.fill(&given.c, &levels.r, &mut eta);
        let whole = of.logp(&eta, &at.values) - penalty + 0.5 * squares(&z);
        let (value, off, wider) = levelled(&given, climb, z, (&levels, eta), rng);
        let judged = [whole + drawn, value + drawn, off, wider];
        Drawn { c: given.c, r: levels.r, judged }
    }
}

impl Given<'_> {
    /// Levels' coefficients from normal numbers.
    pub fn levels(&self, climb: &mut Climb, z: &[f64]) -> Levels {
        let mut levels = Levels::default();
        let Some(elimination) = &mut climb.elimination else { return levels };
        let along: Vec<f64> = self.away.iter().map(|c| -c).chain([0.0]).collect();
        let moved = elimination.draw(&along, 1.0, z);
        let mut rest = &moved[..];
        for (lambda, u) in self.at.lambda.iter().zip(&self.around.u) {
            let (own, others) = rest.split_at(u.len());
            rest = others;
            let mut steps = inward(lambda, own);
            steps.iter_mut().zip(u).for_each(|(step, u)| *step += u);
            levels.r.push(outward(lambda, &steps));
            levels.u.push(steps);
        }
        levels
    }
}

pub fn normal(count: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    (0..count).map(|_| StandardNormal.sample(rng)).collect()
}

pub fn squares(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum()
}
