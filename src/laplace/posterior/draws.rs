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

/// Numbers by which some draws are judged: log weight; the same with levels integrated out; and by how
/// many sds their means are off, in the root mean square. Else they are not known.
pub const JUDGED: usize = 3;

/// Nodes of a level's quadrature, for one coefficient and for each of two.
const NODES: [&[(f64, f64)]; 2] = [&SEVEN, &FIVE];

/// Nodes and weights for averages over a standard normal number.
const SEVEN: [(f64, f64); 7] = [
    (-3.750_439_717_725_742, 5.482_688_559_722_179e-4),
    (-2.366_759_410_734_541, 3.075_712_396_758_650_6e-2),
    (-1.154_405_394_739_968_2, 2.401_231_786_050_127e-1),
    (0.0, 4.571_428_571_428_572e-1),
    (1.154_405_394_739_968_2, 2.401_231_786_050_127e-1),
    (2.366_759_410_734_541, 3.075_712_396_758_650_6e-2),
    (3.750_439_717_725_742, 5.482_688_559_722_179e-4),
];
const FIVE: [(f64, f64); 5] = [
    (-2.856_970_013_872_805_6, 1.125_741_132_772_069e-2),
    (-1.355_626_179_974_266, 2.220_759_220_056_126_4e-1),
    (0.0, 5.333_333_333_333_333e-1),
    (1.355_626_179_974_266, 2.220_759_220_056_126_4e-1),
    (2.856_970_013_872_805_6, 1.125_741_132_772_069e-2),
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
struct Given<'a> {
    around: &'a Around,
    of: &'a Posterior,
    at: &'a Scales,
    c: Vec<f64>,
    /// c less what it was drawn around.
    away: Vec<f64>,
}

/// Coefficients of the levels as they are drawn with some normal numbers: u and Λu.
type Levels = (Vec<Vec<f64>>, Vec<Vec<f64>>);

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
        let (u, r) = given.levels(climb, &z);
        let mut judged = [f64::NAN; JUDGED];
        if self.judged {
            let prior = of.log_prior(at, &given.c, None);
            let drawn = prior - self.drawn_by - 0.5 * self.log_det + 0.5 * squares(&of_c);
            let penalty = 0.5 * u.iter().map(|u| squares(u)).sum::<f64>();
            let whole = of.logp(&given.predictors(&r), &at.values) - penalty + 0.5 * squares(&z);
            let (value, off) = given.integrated(climb, z, rng);
            judged = [whole + drawn, value + drawn, off];
        }
        Drawn { c: given.c, r, judged }
    }
}

impl Given<'_> {
    /// Levels' coefficients from normal numbers.
    fn levels(&self, climb: &mut Climb, z: &[f64]) -> Levels {
        let mut levels = Levels::default();
        let Some(elimination) = &mut climb.elimination else { return levels };
        let along: Vec<f64> = self.away.iter().map(|c| -c).chain([0.0]).collect();
        let moved = elimination.draw(&along, 1.0, z);
        let mut rest = &moved[..];
        for (lambda, u) in self.at.lambda.iter().zip(&self.around.u) {
            let (own, others) = rest.split_at(u.len());
            rest = others;
            let q = lambda.len().isqrt();
            let mut steps = own.to_vec();
            steps.chunks_exact_mut(q).for_each(|step| solve_lower(lambda, q, step));
            steps.iter_mut().zip(u).for_each(|(step, u)| *step += u);
            levels.1.push(outward(lambda, &steps));
            levels.0.push(steps);
        }
        levels
    }

    fn predictors(&self, r: &[Vec<f64>]) -> Vec<f64> {
        let mut eta = vec![0.0; self.of.base.len()];
        self.of.fill(&self.c, r, &mut eta);
        eta
    }

    /// As the log posterior of a draw less that of its normal numbers, with the coefficients of the
    /// leading factor integrated out; and how far their means are off.
    fn integrated(&self, climb: &mut Climb, mut z: Vec<f64>, rng: &mut ChaCha8Rng) -> (f64, f64) {
        let groupings = &self.of.model.parts[0].columns.groupings;
        let Some(lead) = climb.elimination.as_ref().map(|e| e.data.lead) else {
            return (self.of.logp(&self.predictors(&[]), &self.at.values), f64::NAN);
        };
        let (q, n_levels) = (groupings[lead].q, groupings[lead].n_levels);
        let first: usize = groupings[..lead].iter().map(|g| g.n_levels * g.q).sum();
        let own = first..first + n_levels * q;
        z[own.clone()].fill(0.0);
        let outside = 0.5 * squares(&z);
        let mut there = |node: &[f64]| {
            z[own.clone()].copy_from_slice(node);
            let (mut u, r) = self.levels(climb, &z);
            let u_lead = std::mem::take(&mut u[lead]);
            let penalty = 0.5 * u.iter().map(|u| squares(u)).sum::<f64>();
            (Lead { u: u_lead, eta: self.predictors(&r) }, penalty)
        };
        // Where all levels have the same node, what follows is linear in it.
        let (centre, penalty) = there(&vec![0.0; n_levels * q]);
        let unit = |a: usize| (0..n_levels * q).map(move |k| f64::from(u8::from(k % q == a)));
        let along: Vec<Lead> =
            (0..q).map(|a| there(&unit(a).collect::<Vec<f64>>()).0.less(&centre)).collect();
        let nodes = nodes(q);
        let (mut logs, mut of_others) = (Vec::new(), 0.0);
        for (node, weight) in &nodes {
            let (at, from) = match node {
                Some(node) => (centre.moved(node, &along), node.repeat(n_levels)),
                None => {
                    let from = normal(n_levels * q, rng);
                    (there(&from).0, from)
                }
            };
            let (rest, of_levels) = self.by_level(&at, &from, q, &groupings[lead].codes);
            of_others = rest + outside - penalty;
            logs.push(of_levels.into_iter().map(|log| log + weight.ln()).collect());
        }
        let (total, off) = averaged(&nodes, &logs, q);
        (total + of_others, off)
    }

    /// Log likelihood of each level's rows with the penalty of u, less that of its normal numbers; and
    /// what belongs to no row.
    fn by_level(&self, at: &Lead, from: &[f64], q: usize, codes: &[u32]) -> (f64, Vec<f64>) {
        let mut each = vec![0.0; at.eta.len()];
        let rest = self.of.each_row(&at.eta, &self.at.values, &mut each);
        let both = at.u.chunks_exact(q).zip(from.chunks_exact(q));
        let mut values: Vec<f64> = both.map(|(u, z)| 0.5 * (squares(z) - squares(u))).collect();
        codes.iter().zip(&each).for_each(|(code, logp)| values[*code as usize] += logp);
        (rest, values)
    }
}

/// Coefficients u of the leading factor, and predictors.
struct Lead {
    u: Vec<f64>,
    eta: Vec<f64>,
}

impl Lead {
    fn less(self, other: &Self) -> Self {
        let less = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect();
        Self { u: less(&self.u, &other.u), eta: less(&self.eta, &other.eta) }
    }

    /// So many steps along each of several directions.
    fn moved(&self, steps: &[f64], along: &[Self]) -> Self {
        let (mut u, mut eta) = (self.u.clone(), self.eta.clone());
        for (step, along) in steps.iter().zip(along) {
            u.iter_mut().zip(&along.u).for_each(|(u, along)| *u += step * along);
            eta.iter_mut().zip(&along.eta).for_each(|(eta, along)| *eta += step * along);
        }
        Self { u, eta }
    }
}

/// Logarithms of all levels' averages over the nodes, summed, and how far the means of their normal
/// numbers are from 0 in the root mean square.
fn averaged(nodes: &[Node], logs: &[Vec<f64>], q: usize) -> (f64, f64) {
    let n_levels = logs.first().map_or(0, Vec::len);
    let (mut total, mut off) = (0.0, 0.0);
    for level in 0..n_levels {
        let largest = logs.iter().map(|v| v[level]).fold(f64::NEG_INFINITY, f64::max);
        let shares: Vec<f64> = logs.iter().map(|v| (v[level] - largest).exp()).collect();
        let sum: f64 = shares.iter().sum();
        total += largest + sum.ln();
        for a in 0..q {
            let of_node = |((node, _), share): (&Node, &f64)| {
                node.as_ref().map_or(f64::NAN, |node| node[a]) * share / sum
            };
            off += nodes.iter().zip(&shares).map(of_node).sum::<f64>().powi(2);
        }
    }
    (total, (off / (n_levels * q) as f64).sqrt())
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
