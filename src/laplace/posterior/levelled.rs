//! A draw judged once more, with the coefficients of the levels integrated out of its weight.
//!
//! With many levels the weight of a whole draw says little: each level's coefficients are a little
//! skewed, and all of that adds up, though no estimate owes much to it. So those of the factor that is
//! eliminated first are integrated out level by level, by quadrature around their normal
//! conditionals, which nearly all of the rest does without. That also tells how far the levels' own
//! means and sds are off.

use super::draws::{Given, Levels, normal, squares};
use crate::laplace::Climb;
use crate::laplace::point::inward;
use crate::laplace::rows::Integrand;
use crate::predictor::{CHUNK, sum};
use crate::vmath;
use rand_chacha::ChaCha8Rng;

/// Numbers by which some draws are judged: log weight; the same with levels integrated out; by how
/// many sds their means are off, in the root mean square; and the mean logarithm of what their sds
/// should be over what they are. Else they are not known.
pub const JUDGED: usize = 4;

/// Where the log weight with levels integrated out stands among them.
pub const LEVELS: usize = 1;

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

/// And for two of them: on three circles, each as (x, y, weight); exact up to degree 7 (Stroud 1971,
/// E₂^{r²} 7-1).
const CIRCLES: [(f64, f64, f64); 3] = [
    (2.449_489_742_783_178, 0.0, 0.027_777_777_777_777_776),
    (0.756_933_958_067_120_7, 0.756_933_958_067_120_7, 0.210_491_910_111_101_77),
    (1.981_678_829_458_710_2, 1.981_678_829_458_710_2, 0.011_730_312_111_120_453),
];

/// Random points of a level where there are more coefficients.
const POINTS: usize = 30;

/// As the log posterior of a draw less that of its normal numbers z, with the coefficients of the
/// leading factor integrated out; how far their means are off, and how much wider they should be.
pub fn levelled(
    given: &Given<'_>,
    climb: &Climb,
    z: &[f64],
    (drawn, mut eta): (&Levels, Vec<f64>),
    rng: &mut ChaCha8Rng,
) -> (f64, f64, f64) {
    let groupings = &given.of.columns().groupings;
    let Some(elimination) = &climb.elimination else {
        return (given.of.observed().logp(&eta, &given.at.values), f64::NAN, f64::NAN);
    };
    let lead = elimination.data.lead;
    let (grouping, n) = (&groupings[lead], eta.len());
    let (q, n_levels) = (grouping.q, grouping.n_levels);
    let first: usize = groupings[..lead].iter().map(|g| g.n_levels * g.q).sum();
    let (before, rest) = z.split_at(first);
    let (own, after) = rest.split_at(n_levels * q);
    let outside = 0.5 * (squares(before) + squares(after));
    let others = drawn.u.iter().enumerate().filter(|(k, _)| *k != lead);
    let penalty = 0.5 * others.map(|(_, u)| squares(u)).sum::<f64>();
    // What follows is linear in the lead's normal numbers.
    let along = |node: &[f64]| {
        let r = elimination.steps_of_lead(node);
        let (u, mut eta) = (inward(&given.at.lambda[lead], &r), vec![0.0; n]);
        grouping.add(0..n, &r, &mut eta);
        Lead { q, u, eta }
    };
    let away = along(own);
    eta.iter_mut().zip(&away.eta).for_each(|(eta, away)| *eta -= away);
    let u = drawn.u[lead].iter().zip(&away.u).map(|(u, away)| u - away).collect();
    let centre = Lead { q, u, eta };
    let unit = |a: usize| (0..n_levels * q).map(move |k| f64::from(u8::from(k % q == a)));
    let axes: Vec<Lead> = (0..q).map(|a| along(&unit(a).collect::<Vec<f64>>())).collect();
    let nodes = nodes(q);
    let fixed: Vec<&[f64]> = nodes.iter().filter_map(|(node, _)| node.as_deref()).collect();
    let mut logs = centre.by_level(given, &axes, &fixed, &grouping.codes);
    let normal_numbers = |node: &&[f64]| vec![squares(node); n_levels];
    let mut drawn: Vec<Vec<f64>> = fixed.iter().map(normal_numbers).collect();
    for _ in fixed.len()..nodes.len() {
        let from = normal(n_levels * q, rng);
        logs.extend(centre.by_level(given, &[along(&from)], &[&[1.0]], &grouping.codes));
        drawn.push(from.chunks_exact(q).map(squares).collect());
    }
    for ((logs, (_, weight)), drawn) in logs.iter_mut().zip(&nodes).zip(&drawn) {
        let both = logs.iter_mut().zip(drawn);
        both.for_each(|(log, squares)| *log += 0.5 * squares + weight.ln());
    }
    let of_others = given.of.observed().apart(&given.at.values) + outside - penalty;
    let (total, off, wider) = pulp::Arch::new().dispatch(Averages { nodes: &nodes, logs, q });
    (total + of_others, off, wider)
}

/// Coefficients u of the leading factor, q of each level, and predictors.
struct Lead {
    q: usize,
    u: Vec<f64>,
    eta: Vec<f64>,
}

impl Lead {
    /// Log likelihood of each level's rows with the penalty of u, so many steps along each of several
    /// directions from here: once for each of several `nodes`.
    fn by_level(
        &self,
        given: &Given<'_>,
        along: &[Self],
        nodes: &[&[f64]],
        codes: &[u32],
    ) -> Vec<Vec<f64>> {
        let penalties = |node: &&[f64]| -> Vec<f64> {
            let mut u = self.u.clone();
            for (step, along) in node.iter().zip(along) {
                u.iter_mut().zip(&along.u).for_each(|(u, along)| *u += step * along);
            }
            u.chunks_exact(self.q).map(|u| -0.5 * squares(u)).collect()
        };
        let mut found: Vec<Vec<f64>> = nodes.iter().map(penalties).collect();
        let rows = ByLevel { from: self, given, along, nodes, codes, sums: &mut found };
        pulp::Arch::new().dispatch(rows);
        found
    }
}

/// Log likelihoods of rows, added up by levels, in code for the machine's vectors.
struct ByLevel<'a> {
    from: &'a Lead,
    given: &'a Given<'a>,
    along: &'a [Lead],
    nodes: &'a [&'a [f64]],
    codes: &'a [u32],
    sums: &'a mut [Vec<f64>],
}

impl pulp::WithSimd for ByLevel<'_> {
    type Output = ();

    /// Rows are read once for all nodes.
    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        let Self { from, given, along, nodes, codes, sums } = self;
        let (mut eta, mut each) = ([0.0; 2 * CHUNK], [0.0; CHUNK]);
        let observed = given.of.observed();
        let (n, kinds) = (observed.likelihood.n_rows(), observed.n_predictors());
        for (first, codes) in (0..).step_by(CHUNK).zip(codes[..n].chunks(CHUNK)) {
            let rows = first..first + codes.len();
            let (eta, each) = (&mut eta[..kinds * codes.len()], &mut each[..codes.len()]);
            for (node, sums) in nodes.iter().zip(&mut *sums) {
                for (kind, eta) in eta.chunks_exact_mut(codes.len()).enumerate() {
                    let rows = kind * n + rows.start..kind * n + rows.end;
                    eta.copy_from_slice(&from.eta[rows.clone()]);
                    for (step, along) in node.iter().zip(along).filter(|(step, _)| **step != 0.0) {
                        let along = &along.eta[rows.clone()];
                        eta.iter_mut().zip(along).for_each(|(eta, along)| *eta += step * along);
                    }
                }
                observed.each_row(rows.clone(), eta, &given.at.values, each);
                let mut rest = &*each;
                for run in codes.chunk_by(|a, b| a == b) {
                    let (own, others) = rest.split_at(run.len());
                    (sums[run[0] as usize], rest) = (sums[run[0] as usize] + sum(own), others);
                }
            }
        }
    }
}

/// From logarithms at the nodes, level by level: those of the averages, summed; how far the means of
/// their normal numbers are from 0 in the root mean square; and the mean logarithm of their sds.
struct Averages<'a> {
    nodes: &'a [Node],
    logs: Vec<Vec<f64>>,
    q: usize,
}

impl pulp::WithSimd for Averages<'_> {
    type Output = (f64, f64, f64);

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) -> Self::Output {
        let Self { nodes, logs: mut shares, q } = self;
        let n_levels = shares.first().map_or(0, Vec::len);
        let mut largest = vec![f64::NEG_INFINITY; n_levels];
        for logs in &shares {
            let each = largest.iter_mut().zip(logs);
            each.for_each(|(largest, log)| {
                *largest = if *log > *largest { *log } else { *largest }
            });
        }
        let mut sums = vec![0.0; n_levels];
        for shares in &mut shares {
            for ((share, largest), sum) in shares.iter_mut().zip(&largest).zip(&mut sums) {
                *share = vmath::exp(*share - largest);
                *sum += *share;
            }
        }
        let mut logs: Vec<f64> = sums.iter().map(|sum| vmath::ln(*sum)).collect();
        let total = sum(&largest) + sum(&logs);
        let (mut off, mut wider) = (0.0, 0.0);
        let (mut means, mut squares) = (vec![0.0; n_levels], vec![0.0; n_levels]);
        for a in 0..q {
            means.fill(0.0);
            squares.fill(0.0);
            for ((node, _), shares) in nodes.iter().zip(&shares) {
                let at = node.as_ref().map_or(f64::NAN, |node| node[a]);
                let each = means.iter_mut().zip(&mut squares).zip(shares);
                for ((mean, square), share) in each {
                    *mean += at * share;
                    *square += at * at * share;
                }
            }
            let each = means.iter_mut().zip(&mut squares).zip(&sums).zip(&mut logs);
            for (((mean, square), sum), log) in each {
                let inverse = 1.0 / sum;
                *mean *= *mean * inverse * inverse;
                *log = vmath::ln(*square * inverse - *mean);
            }
            off += sum(&means);
            wider += 0.5 * sum(&logs);
        }
        let n = (n_levels * q) as f64;
        (total, (off / n).sqrt(), wider / n)
    }
}

/// Normal numbers of a level, none where they are random, with their weight.
type Node = (Option<Vec<f64>>, f64);

fn nodes(q: usize) -> Vec<Node> {
    match q {
        1 => SEVEN.iter().map(|(x, weight)| (Some(vec![*x]), *weight)).collect(),
        2 => {
            let turned = |(x, y, weight): (f64, f64, f64)| {
                // By quarters of a turn.
                [(x, y), (-y, x), (-x, -y), (y, -x)].map(|(x, y)| (Some(vec![x, y]), weight))
            };
            CIRCLES.into_iter().flat_map(turned).collect()
        }
        _ => (0..POINTS).map(|_| (None, 1.0 / POINTS as f64)).collect(),
    }
}

/// Points at which a row is evaluated where levels have so many coefficients.
pub fn evaluations_of_a_row(q: usize) -> usize {
    nodes(q).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_have_the_moments_of_normal_numbers() {
        // Products of even moments of each, 1, 1, 3, 15, ….
        let moment = |i: i32| f64::from((1..i).step_by(2).product::<i32>());
        for (q, degree) in [(1, 13), (2, 7)] {
            let nodes = nodes(q);
            for (i, j) in (0..=degree).flat_map(|i| (0..=degree - i).map(move |j| (i, j))) {
                if q == 1 && j > 0 {
                    continue;
                }
                let even = i % 2 == 0 && j % 2 == 0;
                let expected = if even { moment(i) * moment(j) } else { 0.0 };
                let of = |(node, weight): &Node| {
                    let node = node.as_ref().unwrap();
                    weight * node[0].powi(i) * node.get(1).map_or(1.0, |y| y.powi(j))
                };
                let found: f64 = nodes.iter().map(of).sum();
                let size = expected.abs().max(1.0);
                assert!((found - expected).abs() < 1e-10 * size, "{i} {j} {found} {expected}");
            }
        }
    }
}
