//! The features as polynomials of θ.

use super::super::monomials::n_monomials;
use super::points::Points;
use super::polynomials::Polynomials;
use super::region::Region;
use crate::sampler::Staged;

/// Points this far beyond the radius still bear on the polynomials.
pub const MARGIN: f64 = 1.1;

/// Below the top by so much errors count half.
const BELOW: f64 = 8.0;

/// Parts of the points that are left out in turn; fewer of them where that would be more operations.
const PARTS: usize = 5;
const WORK: f64 = 1e8;

/// The square of an error where polynomials give nothing.
const LOST: f64 = 1e6;

#[derive(Clone)]
pub struct Emulator {
    pub region: Region,
    pub polynomials: Polynomials,
    scaled: Vec<f64>,
}

/// What is known at a point in the region.
struct Row<'a> {
    x: Vec<f64>,
    features: &'a [f64],
    weight: f64,
    /// Which of the known points it is, or is the image of.
    of: usize,
}

impl Emulator {
    /// Fit polynomials of the degree that tells most of points which were left out of the fit.
    pub fn best(points: &Points, region: &Region, degrees: Vec<usize>) -> Option<Self> {
        let rows = rows(points, region)?;
        let mut staged = points.staged().fresh();
        let mut error = |degree: usize| left_out(&mut *staged, points, region, &rows, degree);
        let (_, degree) = degrees
            .into_iter()
            .map(|degree| (error(degree), degree))
            .min_by(|(a, _), (b, _)| a.total_cmp(b))?;
        let polynomials = fit(&rows, region, degree, |_| true)?;
        Some(Self { region: region.clone(), polynomials, scaled: vec![0.0; region.dim()] })
    }

    /// Features at the whitened z.
    pub fn at(&mut self, z: &[f64], features: &mut [f64]) {
        for (x, z) in self.scaled.iter_mut().zip(z) {
            *x = z / self.region.radius;
        }
        self.polynomials.at(&self.scaled, features);
    }
}

/// The points in the region, and their mirror images there.
fn rows<'a>(points: &'a Points, region: &Region) -> Option<Vec<Row<'a>>> {
    let (staged, top) = (points.staged(), points.best()?.profile);
    let mut rows = Vec::new();
    for (of, known) in points.known.iter().enumerate() {
        let Some(features) = &known.features else { continue };
        let below = (top - known.profile).max(0.0);
        let weight = 1.0 / (1.0 + (below / BELOW).powi(2));
        if !weight.is_finite() {
            continue;
        }
        for theta in images(staged, &known.theta) {
            let z = region.white(&theta);
            if region.reach(&z) < MARGIN {
                let x = z.iter().map(|z| z / region.radius).collect();
                rows.push(Row { x, features, weight, of });
            }
        }
    }
    Some(rows)
}

/// Polynomials through some of the rows.
fn fit(
    rows: &[Row],
    region: &Region,
    degree: usize,
    taken: impl Fn(&Row) -> bool,
) -> Option<Polynomials> {
    let outputs = rows.first()?.features.len();
    let mut polynomials = Polynomials::new(region.dim(), degree, outputs);
    let some = rows.iter().filter(|row| taken(row));
    let some: Vec<_> = some.map(|row| (row.x.clone(), row.features, row.weight)).collect();
    polynomials.fit(&some).map(|()| polynomials)
}

/// Weighted squares of the errors of log densities, where every part of the points is left out in
/// turn.
fn left_out(
    staged: &mut dyn Staged,
    points: &Points,
    region: &Region,
    rows: &[Row],
    degree: usize,
) -> f64 {
    let mut total = 0.0;
    let monomials = n_monomials(region.dim(), degree) as f64;
    let parts = (WORK / (rows.len() as f64 * monomials * monomials)).clamp(1.0, PARTS as f64);
    for part in 0..parts as usize {
        let own = |row: &Row| row.of % PARTS == part;
        let Some(mut polynomials) = fit(rows, region, degree, |row| !own(row)) else {
            return f64::INFINITY;
        };
        for row in rows.iter().filter(|row| own(row)) {
            let (mut found, known) = (vec![0.0; row.features.len()], &points.known[row.of]);
            polynomials.at(&row.x, &mut found);
            let error = staged.profile(&known.theta, &found) - known.profile;
            total += if error.is_finite() { (row.weight * error).powi(2) } else { LOST };
        }
    }
    total / parts.floor()
}

/// A point and its mirror images.
fn images(staged: &dyn Staged, theta: &[f64]) -> Vec<Vec<f64>> {
    let mut images = vec![theta.to_vec()];
    for wall in staged.walls() {
        for k in 0..images.len() {
            let mut other = images[k].clone();
            staged.mirror(wall, &mut other);
            images.push(other);
        }
    }
    images
}
