//! Another way to the mode, where quadratic models do not lead there: Newton's steps along the axes of
//! the curvature, which go far where it is flat.

use super::differences::Differences;
use super::points::Points;
use super::region::Region;
use crate::linalg::cholesky;
use faer::{Mat, Side};

/// Models until the mode is found.
const MODELS: usize = 24;

/// The longest step along a coordinate, and the widest model: coordinates are made such that this is
/// far.
const STEP: f64 = 2.0;
const WIDE: f64 = 0.5;

/// Curvature below which a direction counts as flat.
const FLAT: f64 = 0.3;

/// A step that led down is shortened by so much, so many times.
const BACK: (f64, usize) = (0.3, 6);

/// What a step has to gain at least.
const GAIN: f64 = 0.1;

/// The region around the mode to which models lead from a point; `None` where they lead nowhere.
///
/// Newton's method, with the size of each curvature in place of its sign (Dauphin et al. 2014), so
/// that it leaves saddles and long slopes; derivatives by differences, over as much as an sd.
pub fn mode(points: &mut Points, from: Vec<f64>) -> Option<Region> {
    let d = from.len();
    if d == 0 {
        return Some(Region::new(from, Vec::new()));
    }
    let mut model =
        Model { centre: from, axes: identity(d), sizes: vec![0.6 * WIDE; d], middle: 0.0 };
    model.middle = value(points, &model.centre).filter(|value| value.is_finite())?;
    for _ in 0..MODELS {
        let Found { mut step, gain, axes, bend } = model.look(points)?;
        // Differences over much more or less than an sd are none to rely on: as much as in volume.
        let wanted: Vec<f64> = bend.iter().map(|bend| width(bend.abs().max(FLAT))).collect();
        let volume = |sizes: &[f64]| sizes.iter().map(|size| size.ln()).sum::<f64>();
        let off = (volume(&model.sizes) - volume(&wanted)).abs();
        let settled = gain < GAIN && bend.iter().all(|&bend| bend > -FLAT) && off < 1.6 * d as f64;
        let bend: Vec<f64> = bend.iter().map(|bend| bend.abs().max(FLAT)).collect();
        if settled {
            let centre = moved(&model.centre, &step);
            return Some(Region::new(centre, factor(&axes, &bend)?));
        }
        let longest = step.iter().fold(STEP, |most: f64, x| most.max(x.abs()));
        step.iter_mut().for_each(|x| *x *= STEP / longest);
        let mut next = f64::NEG_INFINITY;
        for _ in 0..BACK.1 {
            next = value(points, &moved(&model.centre, &step)).unwrap_or(f64::NEG_INFINITY);
            if next > model.middle - GAIN {
                break;
            }
            step.iter_mut().for_each(|x| *x *= BACK.0);
        }
        if next == f64::NEG_INFINITY {
            return None;
        }
        model = Model { centre: moved(&model.centre, &step), axes, sizes: wanted, middle: next };
    }
    None
}

/// Over how much differences are taken along an axis.
fn width(bend: f64) -> f64 {
    (1.0 / bend.sqrt()).min(WIDE)
}

fn value(points: &mut Points, theta: &[f64]) -> Option<f64> {
    let at = points.evaluate(vec![theta.to_vec()]);
    points.known.get(at).map(|known| known.profile)
}

fn moved(theta: &[f64], step: &[f64]) -> Vec<f64> {
    theta.iter().zip(step).map(|(theta, step)| theta + step).collect()
}

fn identity(d: usize) -> Vec<f64> {
    (0..d * d).map(|e| f64::from(u8::from(e / d == e % d))).collect()
}

/// The Cholesky factor of the covariance with these axes (in columns) and precisions.
fn factor(axes: &[f64], bend: &[f64]) -> Option<Vec<f64>> {
    let d = bend.len();
    let entry = |i: usize, j: usize| {
        (0..d).map(|k| axes[i * d + k] * axes[j * d + k] / bend[k]).sum::<f64>()
    };
    let mut covariance: Vec<f64> = (0..d * d).map(|e| entry(e / d, e % d)).collect();
    cholesky(&mut covariance, d)?;
    Some(covariance)
}

/// Where differences are taken for a quadratic model: along axes (orthonormal, in columns).
struct Model {
    centre: Vec<f64>,
    axes: Vec<f64>,
    sizes: Vec<f64>,
    /// The profile at the centre.
    middle: f64,
}

/// A quadratic model: its step, what that gains, and its own axes with the curvature along each.
struct Found {
    step: Vec<f64>,
    gain: f64,
    axes: Vec<f64>,
    bend: Vec<f64>,
}

impl Model {
    fn at(&self, z: &[f64]) -> Vec<f64> {
        let d = z.len();
        let along =
            |i: usize| -> f64 { (0..d).map(|k| self.axes[i * d + k] * self.sizes[k] * z[k]).sum() };
        (0..d).map(|i| self.centre[i] + along(i)).collect()
    }

    fn look(&self, points: &mut Points) -> Option<Found> {
        let at = |z: &[f64]| self.at(z);
        let found = Differences::along(points, self.centre.len(), at)?.across(points, at);
        self.solve(&found.slope, &found.bend)
    }

    /// From differences along the axes to a step.
    fn solve(&self, slope: &[f64], bend: &[f64]) -> Option<Found> {
        let d = slope.len();
        let scaled =
            |i: usize, j: usize| bend[i.max(j) * d + i.min(j)] / (self.sizes[i] * self.sizes[j]);
        let eigen = Mat::from_fn(d, d, scaled).self_adjoint_eigen(Side::Lower).ok()?;
        let (turn, curvature) = (eigen.U(), eigen.S().column_vector());
        let bend: Vec<f64> = (0..d).map(|k| curvature[k]).collect();
        let mut axes = vec![0.0; d * d];
        for (e, axis) in axes.iter_mut().enumerate() {
            *axis = (0..d).map(|k| self.axes[e / d * d + k] * turn[(k, e % d)]).sum();
        }
        let along = |k: usize| (0..d).map(|i| turn[(i, k)] * slope[i] / self.sizes[i]).sum::<f64>();
        let slopes: Vec<f64> = (0..d).map(along).collect();
        let (mut step, mut gain) = (vec![0.0; d], 0.0);
        for k in 0..d {
            let length = slopes[k] / bend[k].abs().max(FLAT);
            gain += 0.5 * length * slopes[k];
            (0..d).for_each(|i| step[i] += axes[i * d + k] * length);
        }
        Some(Found { step, gain, axes, bend })
    }
}
