//! The features as polynomials of θ.

use super::super::monomials::n_monomials;
use super::points::Points;
use super::polynomials::Polynomials;
use super::region::Region;
use crate::linalg::{cholesky, solve_lower};
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
    ball: Option<Ball>,
    scaled: Vec<f64>,
}

/// Where points lie in the coordinates of [`Staged::chart`].
#[derive(Clone)]
struct Ball {
    centre: Vec<f64>,
    /// The Cholesky factor of their covariance, d × d, and the farthest in units of it.
    spread: Vec<f64>,
    radius: f64,
}

impl Ball {
    fn around(places: &[Vec<f64>]) -> Option<Self> {
        let (d, n) = (places.first()?.len(), places.len() as f64);
        let mean = |i: usize| places.iter().map(|x| x[i]).sum::<f64>() / n;
        let centre: Vec<f64> = (0..d).map(mean).collect();
        let mut spread = vec![0.0; d * d];
        for x in places {
            for i in 0..d {
                for j in 0..=i {
                    spread[i * d + j] += (x[i] - centre[i]) * (x[j] - centre[j]) / n;
                }
            }
        }
        cholesky(&mut spread, d)?;
        let mut ball = Self { centre, spread, radius: 1.0 };
        let length = |x: &[f64]| ball.scaled(x).iter().map(|x| x * x).sum::<f64>();
        ball.radius = places.iter().map(|x| length(x)).fold(0.0, f64::max).sqrt();
        Some(ball)
    }

    fn scaled(&self, x: &[f64]) -> Vec<f64> {
        let mut z: Vec<f64> = x.iter().zip(&self.centre).map(|(x, c)| x - c).collect();
        solve_lower(&self.spread, z.len(), &mut z);
        z.iter_mut().for_each(|z| *z /= self.radius);
        z
    }
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
        let mut staged = points.staged().fresh();
        let (rows, ball) = rows(points, region, &mut *staged)?;
        let mut error = |degree: usize| left_out(&mut *staged, points, region, &rows, degree);
        let (_, degree) = degrees
            .into_iter()
            .map(|degree| (error(degree), degree))
            .min_by(|(a, _), (b, _)| a.total_cmp(b))?;
        let polynomials = fit(&rows, region, degree, |_| true)?;
        Some(Self { region: region.clone(), polynomials, ball, scaled: vec![0.0; region.dim()] })
    }

    /// Features at the whitened z.
    pub fn at(&mut self, staged: &mut dyn Staged, z: &[f64], features: &mut [f64]) {
        let charted = self.ball.as_ref().zip(staged.chart(&self.region.theta(z)));
        match charted {
            Some((ball, chart)) => self.scaled = ball.scaled(&chart),
            None => {
                for (x, z) in self.scaled.iter_mut().zip(z) {
                    *x = z / self.region.radius;
                }
            }
        }
        self.polynomials.at(&self.scaled, features);
    }
}

/// The points in the region, and their mirror images there.
fn rows<'a>(
    points: &'a Points,
    region: &Region,
    fresh: &mut dyn Staged,
) -> Option<(Vec<Row<'a>>, Option<Ball>)> {
    let (staged, top) = (points.staged(), points.best()?.profile);
    let (mut rows, mut charts) = (Vec::new(), Vec::new());
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
                charts.extend(fresh.chart(&theta));
            }
        }
    }
    if charts.is_empty() {
        return Some((rows, None));
    }
    let ball = Ball::around(&charts)?;
    for (row, chart) in rows.iter_mut().zip(&charts) {
        row.x = ball.scaled(chart);
    }
    Some((rows, Some(ball)))
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

#[cfg(test)]
mod tests {
    use super::super::known::Known;
    use super::*;

    #[test]
    fn polynomials_of_a_chart_are_exact_where_those_of_theta_are_not() {
        let mut points = Points::new(&Known::Bowl, 1);
        let region = Region::new(vec![0.1, -0.2], vec![0.8, 0.0, 0.1, 0.7]);
        points.spread_out(&region, 30);
        let mut emulator = Emulator::best(&points, &region, vec![2]).unwrap();
        let (mut staged, mut found, mut truth) = (Known::Bowl.fresh(), [0.0], [0.0]);
        for z in [[0.3, -1.0], [2.0, 1.1]] {
            emulator.at(&mut *staged, &z, &mut found);
            assert!(staged.features(&region.theta(&z), &mut truth));
            assert!((found[0] - truth[0]).abs() < 1e-6, "{found:?} {truth:?}");
        }
    }
}
