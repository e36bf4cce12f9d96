//! Means, and the factor of A, at any θ as polynomials through those at some of the points where the
//! density was evaluated: what coefficients are drawn around, and how, need not be exact, since the
//! weight of a draw allows for it. Of the diagonal of a factor it is the logarithm: that never comes
//! out as nothing, nor bends as much where scales are large.

use super::Posterior;
use super::draws::Around;
use super::polynomials::{Polynomials, Sums};
use crate::blocks::Elimination;
use crate::explore::monomials::n_monomials;
use crate::laplace::rows::Integrand;
use crate::laplace::{Climb, Point, Scales};
use crate::parallel::shared_out;
use std::slice::from_ref;

/// Degrees of what follows the scales, and of what changes with weights of the rows alone; and both
/// where these do not do.
const DEGREES: [usize; 3] = [4, 3, 2];
const STEADY: usize = 2;
const FINER: (usize, usize) = (6, 4);

/// Points that polynomials are held against, and how much less likely than the top, as a logarithm,
/// they may be; by how many sds means of c may be off there, and those of levels in the root mean
/// square; and by what factor sds, as a logarithm.
const HELD: usize = 6;
const LIKELY: f64 = 8.0;
const OFF: f64 = 0.1;
const WIDER: f64 = 0.05;

/// Points for each monomial, at least and at most.
const SHARE: f64 = 1.4;
const ENOUGH: f64 = 1.6;

/// Numbers of polynomials beyond which the factor of the others has the lower degree, too.
const HEAVY: usize = 150_000;

/// Monomials at most, and numbers of all polynomials.
const MONOMIALS: usize = 84;
const NUMBERS: usize = 20_000_000;

/// How much less likely than the top points may be, as a logarithm, if there are enough others.
const BELOW: f64 = 14.0;

/// Points whose numbers are in memory at once.
const AT_ONCE: usize = 16;

/// Places at which polynomials are evaluated together, and their numbers, at most.
const PLACES: usize = 16;
const PLACES_NUMBERS: usize = 1_000_000;

/// A mode that is known.
pub struct Node {
    /// Where θ lies in coordinates in which all that is foretold is smooth.
    pub place: Vec<f64>,
    pub at: Scales,
    pub c: Vec<f64>,
    pub u: Vec<Vec<f64>>,
    /// How much less likely θ is than the most likely one, as a logarithm.
    pub below: f64,
}

impl Node {
    fn weight(&self) -> f64 {
        1.0 / (1.0 + (0.5 * self.below).powi(2))
    }
}

/// What polynomials give at a place: of both kinds the first numbers, or all.
pub struct Numbers {
    swift: Vec<f64>,
    steady: Vec<f64>,
}

/// Polynomials of the mode with what follows the scales, and of how far means are from it with what
/// hardly does.
pub struct Emulated {
    centre: Vec<f64>,
    spread: Vec<f64>,
    heavy: bool,
    swift: Polynomials,
    steady: Polynomials,
}

impl Emulated {
    /// `None` where there are too few nodes or too many numbers, or where polynomials are not like what
    /// there is at other points: few levels leave long tails of sds, in which all bends.
    pub fn new(of: &Posterior, climb: &Climb, nodes: &[Node], threads: usize) -> Option<Self> {
        let d = nodes.first()?.place.len();
        let enough = |k: usize| {
            let m = n_monomials(d, k);
            m <= MONOMIALS && SHARE * m as f64 <= nodes.len() as f64
        };
        let degree = if d == 0 { 0 } else { DEGREES.into_iter().find(|&k| enough(k))? };
        let finer = (d > 0 && enough(FINER.0)).then_some(FINER);
        let tried = [(degree, STEADY.min(degree))].into_iter().chain(finer);
        let mut climbs = vec![climb.clone(); threads.clamp(1, AT_ONCE)];
        tried.into_iter().find_map(|degrees| Self::tried(of, &mut climbs, nodes, degrees))
    }

    /// Polynomials of two degrees, if they are like what there is at other points than their nodes.
    fn tried(
        of: &Posterior,
        climbs: &mut [Climb],
        nodes: &[Node],
        (degree, steady_degree): (usize, usize),
    ) -> Option<Self> {
        let d = nodes[0].place.len();
        let (m, few) = (n_monomials(d, degree), n_monomials(d, steady_degree));
        let (mut swift, mut steady) = of.sizes(&climbs[0]);
        let factor = climbs[0].elimination.as_ref().map_or(0, |e| total(e.swift()));
        let heavy = m * factor > HEAVY;
        if heavy {
            (swift, steady) = (swift - factor, steady + factor);
        }
        if m * swift + few * steady > NUMBERS {
            return None;
        }
        let (centre, spread) = spread_of(nodes);
        let whiten = |place: &[f64]| white(&centre, &spread, place);
        let (nodes, others) = spread_out(nodes, whiten, (ENOUGH * m as f64) as usize + 2);
        let places: Vec<Vec<f64>> = nodes.iter().map(|node| whiten(&node.place)).collect();
        let skewed = ((ENOUGH * few as f64) as usize + 2).min(nodes.len());
        let mut sums = [Sums::new(d, degree, swift), Sums::new(d, steady_degree, steady)];
        for (first, some) in (0..).step_by(AT_ONCE).zip(nodes.chunks(AT_ONCE)) {
            let mut found: Vec<Option<[Vec<f64>; 2]>> = vec![None; some.len()];
            shared_out(&mut found, climbs, |climb, k, found| {
                *found = of.quantities(climb, some[k], heavy, first + k < skewed);
            });
            for ((node, z), values) in some.iter().zip(&places[first..]).zip(found) {
                for (sums, values) in sums.iter_mut().zip(values?) {
                    sums.add(z, node.weight(), &values);
                }
            }
        }
        let [swift, steady] = sums;
        let (swift, steady) = (swift.solve(&places)?, steady.solve(&places[..skewed])?);
        let found = Self { centre, spread, heavy, swift, steady };
        let likely: Vec<&Node> = others.into_iter().filter(|n| n.below < LIKELY).collect();
        let every = likely.len().div_ceil(HELD).max(1);
        let mut held: Vec<(&Node, bool)> =
            likely.into_iter().step_by(every).map(|node| (node, true)).collect();
        shared_out(&mut held, climbs, |climb, _, (node, agrees)| {
            *agrees = found.agrees(of, climb, node).unwrap_or(false);
        });
        held.iter().all(|(_, agrees)| *agrees).then_some(found)
    }

    /// Whether means and sds at a point are what climbing gives, nearly, or not asked for there.
    fn agrees(&self, of: &Posterior, climb: &mut Climb, node: &Node) -> Option<bool> {
        let p = node.c.len();
        let (root, n) = (p * (p + 1) / 2, of.n_effects());
        let Some(numbers) =
            self.first_numbers(from_ref(&node.place), (p + root + n, p + n)).pop().flatten()
        else {
            return Some(true);
        };
        let [swift, steady] = of.quantities(climb, node, self.heavy, true)?;
        let Numbers { swift: own_swift, steady: own_steady } = &numbers;
        let away =
            |at: usize, from: usize| own_swift[at] + own_steady[from] - swift[at] - steady[from];
        let off: Vec<f64> = (0..p).map(|k| away(k, k)).collect();
        let along = |j: usize| (j..p).map(|i| climb.schur[i * p + j] * off[i]).sum::<f64>();
        let of_c: f64 = (0..p).map(|j| along(j).powi(2)).sum();
        let of_levels: f64 = (0..n).map(|k| away(p + root + k, p + k).powi(2)).sum();
        let wider = (0..p).map(|i| {
            let at = p + i * (i + 1) / 2 + i;
            (own_swift[at] - swift[at]).abs()
        });
        let close = of_c < OFF * OFF && of_levels <= OFF * OFF * n as f64;
        Some(close && wider.fold(0.0, f64::max) < WIDER)
    }

    /// The numbers of so many places at once that they are few enough to be in memory.
    pub fn at_once(&self) -> usize {
        (PLACES_NUMBERS / (self.swift.n + self.steady.n).max(1)).clamp(1, PLACES)
    }

    /// All numbers at some places; none where they are not to be trusted.
    pub fn numbers(&self, places: &[Vec<f64>]) -> Vec<Option<Numbers>> {
        self.first_numbers(places, (self.swift.n, self.steady.n))
    }

    /// So many numbers of both kinds at some places, none where polynomials do not reach.
    fn first_numbers(&self, places: &[Vec<f64>], count: (usize, usize)) -> Vec<Option<Numbers>> {
        let of = |place: &Vec<f64>| white(&self.centre, &self.spread, place);
        let places: Vec<Vec<f64>> = places.iter().map(of).collect();
        let (swift, steady) = (self.swift.at(&places, count.0), self.steady.at(&places, count.1));
        let both = swift.into_iter().zip(steady).zip(&places);
        both.map(|((swift, steady), z)| {
            let reached = [&self.swift, &self.steady].iter().all(|of| of.reaches(z));
            reached.then_some(Numbers { swift, steady })
        })
        .collect()
    }

    /// Around which c to draw at a place, the factor of its precision being filled; `None` where what
    /// polynomials give is not to be trusted.
    pub fn population(&self, place: Vec<f64>, p: usize, climb: &mut Climb) -> Option<Vec<f64>> {
        let count = (p + p * (p + 1) / 2, p);
        let numbers = self.first_numbers(&[place], count).pop()??;
        let c = fill_population(&mut &numbers.swift[..], &mut &numbers.steady[..], p, climb);
        climb.schur.iter().step_by(p + 1).all(|entry| entry.is_normal()).then_some(c)
    }

    /// Around which u to draw at θ, by the numbers of its place, V₀ being factorised; `None` where what
    /// these numbers give is no factor.
    pub fn around(
        &self,
        of: &Posterior,
        at: &Scales,
        numbers: &Numbers,
        climb: &mut Climb,
    ) -> Option<Around> {
        let (mut swift, mut steady) = (&numbers.swift[..], &numbers.steady[..]);
        let c = fill_population(&mut swift, &mut steady, of.n_coefficients(), climb);
        let groupings = &of.columns().groupings;
        let mut sum = |n: usize| add(take(&mut swift, n), take(&mut steady, n));
        let u = groupings.iter().map(|g| sum(g.n_levels * g.q)).collect();
        let Some(elimination) = &mut climb.elimination else {
            return Some(Around { c, u, log_det: 0.0 });
        };
        let fill = |from: &mut &[f64], parts: Vec<&mut [f64]>| {
            parts.into_iter().for_each(|part| part.copy_from_slice(take(from, part.len())));
        };
        let follows = if self.heavy { &mut steady } else { &mut swift };
        let mut own = take(follows, total(elimination.swift())).to_vec();
        elimination.positive().into_iter().for_each(|at| own[at] = own[at].exp());
        fill(&mut &own[..], elimination.swift_mut());
        fill(&mut steady, elimination.steady_mut());
        let joined = elimination.data.join(&at.lambda);
        let log_det = elimination.assume(&joined)?;
        log_det.is_finite().then_some(Around { c, u, log_det })
    }
}

/// Coefficients c, and the factor of their precision: the first numbers of a place.
fn fill_population(
    swift: &mut &[f64],
    steady: &mut &[f64],
    p: usize,
    climb: &mut Climb,
) -> Vec<f64> {
    let c = add(take(swift, p), take(steady, p));
    for (i, row) in climb.schur.chunks_exact_mut(p.max(1)).enumerate() {
        row[..=i].copy_from_slice(take(swift, i + 1));
        row[i] = row[i].exp();
    }
    c
}

fn white(centre: &[f64], spread: &[f64], place: &[f64]) -> Vec<f64> {
    let each = place.iter().zip(centre).zip(spread);
    each.map(|((x, centre), spread)| (x - centre) / spread).collect()
}

fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

pub fn take<'a>(from: &mut &'a [f64], n: usize) -> &'a [f64] {
    let (own, rest) = from.split_at(n);
    *from = rest;
    own
}

/// Means and sds of coordinates.
fn spread_of(nodes: &[Node]) -> (Vec<f64>, Vec<f64>) {
    let n = nodes.len() as f64;
    let of = |i: usize| {
        let values = || nodes.iter().map(|node| node.place[i]);
        let mean = values().sum::<f64>() / n;
        let square = values().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        (mean, square.sqrt().max(1e-9))
    };
    (0..nodes[0].place.len()).map(of).unzip()
}

/// So many nodes, the likeliest first, each as far from those before as can be; and the others.
fn spread_out(
    nodes: &[Node],
    whiten: impl Fn(&[f64]) -> Vec<f64>,
    count: usize,
) -> (Vec<&Node>, Vec<&Node>) {
    let mut nodes: Vec<&Node> = nodes.iter().collect();
    nodes.sort_by(|a, b| a.below.total_cmp(&b.below));
    let likely = nodes.iter().filter(|node| node.below < BELOW).count();
    nodes.truncate(likely.max(count));
    let places: Vec<Vec<f64>> = nodes.iter().map(|node| whiten(&node.place)).collect();
    let (mut left, mut next) = (vec![f64::INFINITY; nodes.len()], 0);
    let mut chosen = Vec::new();
    while chosen.len() < count.min(nodes.len()) {
        chosen.push(next);
        for (left, place) in left.iter_mut().zip(&places) {
            let apart = place.iter().zip(&places[next]).map(|(a, b)| (a - b).powi(2));
            *left = left.min(apart.sum());
        }
        left[next] = f64::NEG_INFINITY;
        next = (0..left.len()).max_by(|&a, &b| left[a].total_cmp(&left[b])).unwrap_or(0);
    }
    let others = (0..nodes.len()).filter(|k| !chosen.contains(k)).map(|k| nodes[k]);
    (chosen.iter().map(|&k| nodes[k]).collect(), others.collect())
}

impl Posterior {
    /// Numbers of the quantities of both kinds.
    fn sizes(&self, climb: &Climb) -> (usize, usize) {
        let p = self.n_coefficients();
        let elimination = climb.elimination.as_ref();
        let of = |e: &Elimination| (total(e.swift()), total(e.steady()));
        let (swift, steady) = elimination.map_or((0, 0), of);
        let coefficients = p + self.n_effects();
        (coefficients + p * (p + 1) / 2 + swift, coefficients + steady)
    }

    /// At a node: the mode with what follows the scales, and how far means are from it with what
    /// hardly does, where that is wanted.
    fn quantities(
        &self,
        climb: &mut Climb,
        node: &Node,
        heavy: bool,
        skewed: bool,
    ) -> Option<[Vec<f64>; 2]> {
        let point = Point::new(self, &node.at, node.c.clone(), node.u.clone());
        climb.arrive(self, &node.at, &point)?;
        let mut swift = node.c.clone();
        let p = node.c.len();
        for (i, row) in climb.schur.chunks_exact(p.max(1)).enumerate() {
            swift.extend(&row[..i]);
            swift.push(row[i].ln());
        }
        swift.extend(node.u.iter().flatten());
        let mut factor = Vec::new();
        if let Some(elimination) = &mut climb.elimination {
            elimination.solve();
            let into = if heavy { &mut factor } else { &mut swift };
            let first = into.len();
            into.extend(elimination.swift().into_iter().flatten());
            for at in elimination.positive() {
                into[first + at] = into[first + at].ln();
            }
        }
        if !skewed {
            return Some([swift, Vec::new()]);
        }
        let (mut steady, u) = climb.skewed(self, &node.at, &point);
        steady.extend(u.iter().flatten());
        steady.extend(factor);
        if let Some(elimination) = &climb.elimination {
            steady.extend(elimination.steady().into_iter().flatten());
        }
        Some([swift, steady])
    }
}

fn total(parts: Vec<&[f64]>) -> usize {
    parts.iter().map(|part| part.len()).sum()
}
