//! A draw of all coefficients given θ, and how likely it was beside the posterior.
//!
//! With many levels the weight of a whole draw says little: each level's coefficients are a little
//! skewed, and all of that adds up, though no estimate owes much to it. So some draws are judged once
//! more, with the coefficients of the factor that is eliminated first integrated out level by level,
//! by quadrature around their normal conditionals, which nearly all of the rest does without. That
//! also tells how far the levels' own means are off.

use super::point::outward;
use super::{Climb, Posterior, Scales};
use crate::linalg::{solve_lower, solve_lower_transposed};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Numbers by which a draw is judged: log weight; the same with levels integrated out; and by how
/// many sds their means are off, in the root mean square.
pub const JUDGED: usize = 3;

/// Nodes of a level's quadrature, for one coefficient and for each of two.
const NODES: [&[(f64, f64)]; 2] = [&SEVEN, &FIVE];

/// Nodes and weights for averages over a standard normal number.
const SEVEN: [(f64, f64); 7] = [
    (-3.750_439_717_725_742, 5.482_688_559_722_179e-4),
    (-2.366_759_410_734_541, 3.075_712_396_758_650_6e-2),
    (-1.154_405_394_739_968_2, 2.401_231_786_050_127e-1),
    (0.0, 4.571_428_571_428_571_7e-1),
    (1.154_405_394_739_968_2, 2.401_231_786_050_127e-1),
    (2.366_759_410_734_541, 3.075_712_396_758_650_6e-2),
    (3.750_439_717_725_742, 5.482_688_559_722_179e-4),
];
const FIVE: [(f64, f64); 5] = [
    (-2.856_970_013_872_805_6, 1.125_741_132_772_068_9e-2),
    (-1.355_626_179_974_265_9, 2.220_759_220_056_126_4e-1),
    (0.0, 5.333_333_333_333_333e-1),
    (1.355_626_179_974_265_9, 2.220_759_220_056_126_4e-1),
    (2.856_970_013_872_805_6, 1.125_741_132_772_068_9e-2),
];

/// Random points of a level where there are more coefficients.
const POINTS: usize = 30;

/// What is drawn around.
pub struct Around {
    pub c: Vec<f64>,
    pub u: Vec<Vec<f64>>,
    pub log_det: f64,
    /// `log p(y|θ)` as θ was drawn by it.
    pub drawn_by: f64,
    /// Whether levels are to be integrated out too.
    pub judged: bool,
}

pub struct Drawn {
    pub c: Vec<f64>,
    /// Λu
    pub r: Vec<Vec<f64>>,
    pub judged: [f64; JUDGED],
}

/// Coefficients of the levels as they would be drawn with some normal numbers.
struct Levels {
    u: Vec<Vec<f64>>,
    r: Vec<Vec<f64>>,
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
        let of_levels = normal(of.n_effects(), rng);
        let levels = self.levels(climb, at, &away, &of_levels);
        let c: Vec<f64> = away.iter().zip(&self.c).map(|(away, c)| away + c).collect();
        let mut eta = vec![0.0; of.base.len()];
        of.fill(&c, &levels.r, &mut eta);
        let prior = of.log_prior(at, &c, None);
        let drawn = self.drawn_by + 0.5 * self.log_det - 0.5 * squares(&of_c);
        let whole = of.logp(&eta, &at.values) + prior
            - 0.5 * levels.u.iter().map(|u| squares(u)).sum::<f64>()
            + 0.5 * squares(&of_levels);
        let mut judged = [whole - drawn, f64::NAN, f64::NAN];
        if self.judged {
            let (value, off) = self.integrated(of, climb, at, (&c, &away), &of_levels, rng);
            judged = [whole - drawn, value + prior - drawn, off];
        }
        Drawn { c, r: levels.r, judged }
    }

    /// Levels' coefficients from normal numbers, c being so far from its mode.
    fn levels(&self, climb: &mut Climb, at: &Scales, away: &[f64], z: &[f64]) -> Levels {
        let mut levels = Levels { u: Vec::new(), r: Vec::new() };
        let Some(elimination) = &mut climb.elimination else { return levels };
        let along: Vec<f64> = away.iter().map(|c| -c).chain([0.0]).collect();
        let moved = elimination.draw(&along, 1.0, z);
        let mut rest = &moved[..];
        for (lambda, u) in at.lambda.iter().zip(&self.u) {
            let (own, others) = rest.split_at(u.len());
            rest = others;
            let q = lambda.len().isqrt();
            let mut steps = own.to_vec();
            steps.chunks_exact_mut(q).for_each(|step| solve_lower(lambda, q, step));
            steps.iter_mut().zip(u).for_each(|(step, u)| *step += u);
            levels.r.push(outward(lambda, &steps));
            levels.u.push(steps);
        }
        levels
    }

    /// As the log posterior of a draw, with the penalty of its levels and their normal numbers, but
    /// the coefficients of the leading factor integrated out; and how far their means are off.
    fn integrated(
        &self,
        of: &Posterior,
        climb: &mut Climb,
        at: &Scales,
        (c, away): (&[f64], &[f64]),
        z: &[f64],
        rng: &mut ChaCha8Rng,
    ) -> (f64, f64) {
        let groupings = &of.model.parts[0].columns.groupings;
        let Some(lead) = climb.elimination.as_ref().map(|e| e.data.lead) else {
            let mut eta = vec![0.0; of.base.len()];
            of.fill(c, &[], &mut eta);
            return (of.logp(&eta, &at.values), f64::NAN);
        };
        let (q, n_levels, codes) =
            (groupings[lead].q, groupings[lead].n_levels, &groupings[lead].codes);
        let first: usize = groupings[..lead].iter().map(|g| g.n_levels * g.q).sum();
        let own = first..first + n_levels * q;
        let mut z = z.to_vec();
        let outside = squares(&z) - squares(&z[own.clone()]);
        let nodes = nodes(q);
        let (mut logs, mut of_others) = (Vec::new(), 0.0);
        let (mut eta, mut each) = (vec![0.0; of.base.len()], vec![0.0; of.base.len()]);
        for (node, weight) in &nodes {
            match node {
                Some(node) => z[own.clone()].copy_from_slice(&node.repeat(n_levels)),
                None => z[own.clone()].copy_from_slice(&normal(n_levels * q, rng)),
            }
            let levels = self.levels(climb, at, away, &z);
            of.fill(c, &levels.r, &mut eta);
            of_others = of.each_row(&eta, &at.values, &mut each);
            let of_level = |(u, z): (&[f64], &[f64])| weight.ln() - 0.5 * (squares(u) - squares(z));
            let both = levels.u[lead].chunks_exact(q).zip(z[own.clone()].chunks_exact(q));
            let mut values: Vec<f64> = both.map(of_level).collect();
            codes.iter().zip(&each).for_each(|(code, logp)| values[*code as usize] += logp);
            let other = levels.u.iter().enumerate().filter(|(k, _)| *k != lead);
            of_others -= 0.5 * other.map(|(_, u)| squares(u)).sum::<f64>();
            logs.push(values);
        }
        let (mut total, mut off) = (of_others + 0.5 * outside, 0.0);
        for level in 0..n_levels {
            let largest = logs.iter().map(|v| v[level]).fold(f64::NEG_INFINITY, f64::max);
            let shares: Vec<f64> = logs.iter().map(|v| (v[level] - largest).exp()).collect();
            let sum: f64 = shares.iter().sum();
            total += largest + sum.ln();
            for a in 0..q {
                let mean = |((node, _), share): (&Node, &f64)| {
                    node.as_ref().map_or(f64::NAN, |node| node[a]) * share / sum
                };
                off += nodes.iter().zip(&shares).map(mean).sum::<f64>().powi(2);
            }
        }
        (total, (off / (n_levels * q) as f64).sqrt())
    }
}

/// Normal numbers of a level, none where they are random, with their weight.
type Node = (Option<Vec<f64>>, f64);

fn nodes(q: usize) -> Vec<Node> {
    let Some(rule) = NODES.get(q - 1) else {
        return (0..POINTS).map(|_| (None, 1.0 / POINTS as f64)).collect();
    };
    let mut nodes = vec![(Vec::new(), 1.0)];
    for _ in 0..q {
        let each = nodes.iter().flat_map(|(node, weight)| {
            rule.iter().map(move |(x, w)| {
                let node: Vec<f64> = node.iter().copied().chain([*x]).collect();
                (node, weight * w)
            })
        });
        nodes = each.collect();
    }
    nodes.into_iter().map(|(node, weight)| (Some(node), weight)).collect()
}

fn normal(count: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    (0..count).map(|_| StandardNormal.sample(rng)).collect()
}

fn squares(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum()
}
