//! Where the mass is, by few evaluations: a look around, and quadratic models from there.

use super::points::Points;
use super::region::Region;
use crate::linalg::{cholesky, inverse_from_factor, solve_lower, solve_lower_transposed};

/// Models until the mode is found.
const MODELS: usize = 14;

/// Length of the longest step of a model, in its own units, and the least that its next one is as
/// wide as.
const STEP: f64 = 2.5;
const NARROWER: f64 = 0.15;

/// How far off the axes points for mixed derivatives are.
const DIAGONAL: f64 = 0.7;

/// What a step has to gain at least.
const GAIN: f64 = 0.1;

/// Points at which valleys are looked for.
const LOOKED: usize = 4;

/// How far below the top another mode does not matter, and what cannot be outside of a region.
const NOTHING: f64 = 15.0;
const NEAR: f64 = 4.0;

/// Evaluate at points all over, and return how many.
pub fn look_around(points: &mut Points) -> usize {
    let ends = points.staged().box_of_theta();
    let d = ends.len();
    let mut root: f64 = 1.5;
    for _ in 0..60 {
        root = (1.0 + root).powf(1.0 / (d as f64 + 1.0));
    }
    let mut thetas = vec![points.staged().start()];
    for k in 1..(if d == 0 { 1 } else { 5 + 2 * d }) {
        let number = |i: usize| (0.5 + k as f64 * root.powi(-(i as i32 + 1))).fract();
        let at = |(i, (low, high)): (usize, &(f64, f64))| low + (high - low) * number(i);
        thetas.push(ends.iter().enumerate().map(at).collect());
    }
    points.evaluate(thetas);
    points.known.len()
}

/// The region around the mode to which models lead from a point; `None` where they lead nowhere.
pub fn mode(points: &mut Points, from: Vec<f64>) -> Option<Region> {
    let d = from.len();
    let (mut centre, mut spread) = (from, vec![0.0; d * d]);
    for i in 0..d {
        spread[i * d + i] = 0.6;
    }
    for _ in 0..MODELS {
        let model = Model::around(points, &Region::new(centre.clone(), spread.clone()))?;
        let (step, gain, mut covariance) = model.step()?;
        let sizes: Vec<f64> = (0..d).map(|i| covariance[i * d + i]).collect();
        let settled = gain < GAIN && sizes.iter().all(|size| (0.2..5.0).contains(size));
        let region = Region::new(centre, spread);
        // The best point known may be better than where the model leads; a step back is narrower.
        centre = region.theta(&step);
        if !settled {
            for i in 0..d {
                covariance[i * d + i] += NARROWER * NARROWER;
            }
        }
        let factor = lower_factor(covariance, d)?;
        spread = vec![0.0; d * d];
        for i in 0..d {
            for j in 0..=i {
                spread[i * d + j] =
                    (j..=i).map(|k| region.spread[i * d + k] * factor[k * d + j]).sum();
            }
        }
        if settled {
            return Some(Region::new(centre, spread));
        }
    }
    None
}

/// Whether what was seen all over is higher than what lies between it and the mode, and leads to
/// another mode that matters.
pub fn has_others(points: &mut Points, looked: usize, region: &Region) -> bool {
    let Some(top) = points.best().map(|best| best.profile) else { return true };
    let outside = |points: &Points, k: usize| {
        let known = &points.known[k];
        known.profile.is_finite() && region.reach(&region.white(&known.theta)) > 1.0
    };
    let mut seen: Vec<usize> = (0..looked).filter(|&k| outside(points, k)).collect();
    seen.sort_by(|&a, &b| points.known[b].profile.total_cmp(&points.known[a].profile));
    seen.truncate(LOOKED);
    let between = |&k: &usize| {
        let ends = points.known[k].theta.iter().zip(&region.centre);
        ends.map(|(theta, centre)| 0.5 * (theta + centre)).collect()
    };
    let thetas = seen.iter().map(between).collect();
    let first = points.evaluate(thetas);
    for (i, &k) in seen.iter().enumerate() {
        let (middle, end) = (points.known[first + i].profile, points.known[k].profile);
        if end > top - NEAR {
            return true;
        }
        if middle < end {
            let from = points.known[k].theta.clone();
            let other = mode(points, from);
            let elsewhere = other.is_none_or(|other| {
                let z = region.white(&other.centre);
                let at = points.evaluate(vec![other.centre]);
                region.reach(&z) > 1.0 && points.known[at].profile > top - NOTHING
            });
            if elsewhere {
                return true;
            }
        }
    }
    false
}

/// The Cholesky factor of a covariance.
fn lower_factor(mut covariance: Vec<f64>, d: usize) -> Option<Vec<f64>> {
    cholesky(&mut covariance, d)?;
    Some(covariance)
}

/// A quadratic model of the profile in whitened coordinates.
struct Model {
    slope: Vec<f64>,
    /// Minus the second derivatives.
    bend: Vec<f64>,
}

impl Model {
    /// Through the centre, both sides along each axis, and one point for each pair.
    fn around(points: &mut Points, region: &Region) -> Option<Self> {
        let d = region.dim();
        let mut z = vec![vec![0.0; d]];
        for i in 0..d {
            for side in [1.0, -1.0] {
                let mut one = vec![0.0; d];
                one[i] = side;
                z.push(one);
            }
        }
        for i in 0..d {
            for j in 0..i {
                let mut one = vec![0.0; d];
                (one[i], one[j]) = (DIAGONAL, DIAGONAL);
                z.push(one);
            }
        }
        let first = points.evaluate(z.iter().map(|z| region.theta(z)).collect());
        let found: Vec<f64> = points.known[first..].iter().map(|known| known.profile).collect();
        let middle = found[0];
        if !middle.is_finite() {
            return None;
        }
        // Where the density is 0, the model falls steeply.
        let value = |k: usize| if found[k].is_finite() { found[k] } else { middle - 1e3 };
        let mut model = Self { slope: vec![0.0; d], bend: vec![0.0; d * d] };
        for i in 0..d {
            let (up, down) = (value(1 + 2 * i), value(2 + 2 * i));
            model.slope[i] = 0.5 * (up - down);
            model.bend[i * d + i] = 2.0 * middle - up - down;
        }
        let mut next = 1 + 2 * d;
        for i in 0..d {
            for j in 0..i {
                let slope = DIAGONAL * (model.slope[i] + model.slope[j]);
                let both = (value(next) - middle - slope) / (DIAGONAL * DIAGONAL);
                let mixed = -both - 0.5 * (model.bend[i * d + i] + model.bend[j * d + j]);
                (model.bend[i * d + j], model.bend[j * d + i]) = (mixed, mixed);
                next += 1;
            }
        }
        Some(model)
    }

    /// The step to the top within reach, what it gains, and the covariance that the bend suggests.
    fn step(&self) -> Option<(Vec<f64>, f64, Vec<f64>)> {
        let d = self.slope.len();
        let size = (0..d).map(|i| self.bend[i * d + i].abs()).fold(1e-6, f64::max);
        let mut damping = 0.0;
        for _ in 0..60 {
            let mut factor = self.bend.clone();
            for i in 0..d {
                factor[i * d + i] += damping;
            }
            if cholesky(&mut factor, d).is_some() {
                let mut step = self.slope.clone();
                solve_lower(&factor, d, &mut step);
                let gain = 0.5 * step.iter().map(|x| x * x).sum::<f64>();
                solve_lower_transposed(&factor, d, &mut step);
                let covariance = inverse_from_factor(&factor, d);
                let wide = (0..d).any(|i| covariance[i * d + i] > STEP * STEP);
                let long = step.iter().map(|x| x * x).sum::<f64>() > STEP * STEP;
                if !(wide || long) {
                    return Some((step, gain, covariance));
                }
            }
            damping = if damping == 0.0 { 1e-3 * size.min(1.0) } else { 2.0 * damping };
        }
        None
    }
}
