//! Where the mass is, by few evaluations: a look around, and quadratic models from there.

use super::differences::Differences;
use super::points::Points;
use super::region::Region;
use faer::{Mat, Side};

/// Models until the mode is found.
const MODELS: usize = 18;

/// Models of the axes alone, at most.
const ALONE: usize = 5;

/// The longest step along an axis of a model, in its own units, as wide as the next one is at most;
/// and as wide as that is at least.
const STEP: f64 = 2.5;
const NARROWER: f64 = 0.15;

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
///
/// Newton's method with the size of each curvature in place of its sign (Dauphin et al. 2014), in
/// coordinates whitened by the last model. Axes alone lead most of the way; mixed derivatives are
/// taken where that ends, or where it does not.
pub fn mode(points: &mut Points, from: Vec<f64>) -> Option<Region> {
    let d = from.len();
    if d == 0 {
        return Some(Region::new(from, Vec::new()));
    }
    let (mut centre, mut spread) = (from, vec![0.0; d * d]);
    for i in 0..d {
        spread[i * d + i] = 0.6;
    }
    for k in 0..MODELS {
        let region = Region::new(centre, spread);
        let at = |z: &[f64]| region.theta(z);
        let model = Differences::along(points, d, at)?;
        let mut step = Step::of(&model)?;
        if step.settled() || k >= ALONE {
            step = Step::of(&model.across(points, at))?;
            if step.settled() {
                return region.moved(&step.along, step.covariance);
            }
        }
        // The next model is no narrower than it can be trusted to be.
        for i in 0..d {
            step.covariance[i * d + i] += NARROWER * NARROWER;
        }
        Region { centre, spread, .. } = region.moved(&step.along, step.covariance)?;
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

/// Where a quadratic model leads, in its own coordinates.
struct Step {
    along: Vec<f64>,
    gain: f64,
    /// What its curvature suggests.
    covariance: Vec<f64>,
    /// Whether it has a top.
    hill: bool,
}

impl Step {
    fn of(model: &Differences) -> Option<Self> {
        let d = model.slope.len();
        let bend = Mat::from_fn(d, d, |i, j| model.bend[i * d + j]);
        let eigen = bend.self_adjoint_eigen(Side::Lower).ok()?;
        let (axes, curvature) = (eigen.U(), eigen.S().column_vector());
        let mut step =
            Self { along: vec![0.0; d], gain: 0.0, covariance: vec![0.0; d * d], hill: true };
        for k in 0..d {
            let size = curvature[k].abs().max(1.0 / (STEP * STEP));
            let slope: f64 = (0..d).map(|i| axes[(i, k)] * model.slope[i]).sum();
            let length = (slope / size).clamp(-STEP, STEP);
            step.hill &= curvature[k] > 0.0;
            step.gain += 0.5 * length * slope;
            for i in 0..d {
                step.along[i] += axes[(i, k)] * length;
                for j in 0..d {
                    step.covariance[i * d + j] += axes[(i, k)] * axes[(j, k)] / size;
                }
            }
        }
        step.gain.is_finite().then_some(step)
    }

    /// Whether it ends at the mode, in a model about as wide as the mass.
    fn settled(&self) -> bool {
        let d = self.along.len();
        let sizes = (0..d).map(|i| self.covariance[i * d + i]);
        self.hill && self.gain < GAIN && sizes.into_iter().all(|size| (0.2..5.0).contains(&size))
    }
}
