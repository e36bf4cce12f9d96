//! A cheap stand-in for a density that costs much: a polynomial where most of the mass is.
//!
//! A chain that moves by a kernel reversible for the stand-in and then accepts or refuses by the
//! density itself has the density's own distribution, however rough the stand-in is (Christen & Fox
//! 2005; Liu 2001, §9.4.3). So a draw costs one evaluation of the density, and as little more as
//! the stand-in is good. Outside its region the stand-in is the density itself.

mod build;
mod polynomial;
mod walk;

pub use build::build;
pub use walk::run_chain;

use crate::sampler::Density;
use polynomial::Polynomial;

/// Times that walls may throw a path back within one step.
const MOST_WALLS: usize = 16;

/// The polynomial in whitened coordinates: `u = centre + spread · z`, with z in a ball.
#[derive(Clone, Debug)]
pub struct Surrogate {
    polynomial: Polynomial,
    centre: Vec<f64>,
    /// Lower triangular, by rows.
    spread: Vec<f64>,
    radius: f64,
    /// What the polynomial counts from.
    top: f64,
    /// Step of the leapfrog in whitened coordinates.
    step: f64,
    scratch: Vec<f64>,
}

impl Surrogate {
    fn dim(&self) -> usize {
        self.centre.len()
    }

    fn to_position(&self, z: &[f64], u: &mut [f64]) {
        let d = self.dim();
        for i in 0..d {
            let s: f64 = (0..=i).map(|j| self.spread[i * d + j] * z[j]).sum();
            u[i] = self.centre[i] + s;
        }
    }

    fn to_white(&self, u: &[f64], z: &mut [f64]) {
        let d = self.dim();
        for i in 0..d {
            let s: f64 = (0..i).map(|j| self.spread[i * d + j] * z[j]).sum();
            z[i] = (u[i] - self.centre[i] - s) / self.spread[i * d + i];
        }
    }

    /// Slopes by the position → slopes by z, in place.
    fn pull_back(&self, slopes: &mut [f64]) {
        let d = self.dim();
        for j in 0..d {
            slopes[j] = (j..d).map(|i| self.spread[i * d + j] * slopes[i]).sum();
        }
    }

    /// Log density of the stand-in at z and its slopes by z; `None` outside the region.
    fn inside(&mut self, z: &[f64], slopes: &mut [f64]) -> Option<f64> {
        if z.iter().map(|z| z * z).sum::<f64>() > self.radius * self.radius {
            return None;
        }
        for (x, z) in self.scratch.iter_mut().zip(z) {
            *x = z / self.radius;
        }
        let value = self.polynomial.at(&self.scratch, slopes);
        for slope in slopes.iter_mut() {
            *slope /= self.radius;
        }
        Some(self.top + value)
    }
}

/// A point as the chain sees it: whitened, with the stand-in's log density and slopes there.
#[derive(Clone, Debug)]
struct State {
    z: Vec<f64>,
    slopes: Vec<f64>,
    logp: f64,
    /// Whether `logp` is the density's own.
    exact: bool,
}

/// The stand-in with what it stands for, to walk over.
struct Walker<'a, D> {
    surrogate: Surrogate,
    density: &'a mut D,
    /// Outside the region: the density itself, or nothing.
    beyond: bool,
    /// Coordinates that are kept from becoming negative.
    walls: Vec<usize>,
    u: Vec<f64>,
}

impl<'a, D: Density> Walker<'a, D> {
    fn new(surrogate: Surrogate, density: &'a mut D, beyond: bool) -> Self {
        let (u, walls) = (vec![0.0; surrogate.dim()], density.walls());
        Self { surrogate, density, beyond, walls, u }
    }

    /// Log density of the stand-in at `z`, its slopes there, and whether it is the density's own.
    fn at(&mut self, z: &[f64], slopes: &mut [f64]) -> Option<(f64, bool)> {
        if let Some(logp) = self.surrogate.inside(z, slopes) {
            return Some((logp, false));
        }
        if !self.beyond {
            return None;
        }
        self.surrogate.to_position(z, &mut self.u);
        let logp = self.density.logp_and_grad(&self.u, slopes)?;
        self.surrogate.pull_back(slopes);
        Some((logp, true))
    }

    /// The state at `z`, or at its mirror image on the inner side of the walls.
    fn state(&mut self, mut z: Vec<f64>) -> Option<State> {
        self.surrogate.to_position(&z, &mut self.u);
        for &wall in &self.walls {
            self.u[wall] = self.u[wall].abs();
        }
        self.surrogate.to_white(&self.u, &mut z);
        let mut slopes = vec![0.0; z.len()];
        let (logp, exact) = self.at(&z, &mut slopes)?;
        Some(State { z, slopes, logp, exact })
    }

    /// Move along a momentum for some time, thrown back by walls. In whitened coordinates walls
    /// are planes and momenta know no direction, so that lengths and volumes stay (Afshar & Domke
    /// 2015). Returns false in the corner of two walls, from where no path leads back.
    fn drift(&self, z: &mut [f64], momentum: &mut [f64], mut time: f64) -> bool {
        let d = z.len();
        let along = |row: &[f64], x: &[f64]| row.iter().zip(x).map(|(a, b)| a * b).sum::<f64>();
        for _ in 0..MOST_WALLS {
            let (mut first, mut hit) = (time, None);
            for &wall in &self.walls {
                let row = &self.surrogate.spread[wall * d..(wall + 1) * d];
                let height = self.surrogate.centre[wall] + along(row, z);
                let speed = along(row, momentum);
                if speed < 0.0 && height + speed * first < 0.0 {
                    (first, hit) = ((-height / speed).max(0.0), Some((row, speed)));
                }
            }
            for (z, p) in z.iter_mut().zip(&*momentum) {
                *z += first * p;
            }
            let Some((row, speed)) = hit else { return true };
            let back = 2.0 * speed / along(row, row);
            for (p, r) in momentum.iter_mut().zip(row) {
                *p -= back * r;
            }
            time -= first;
        }
        false
    }
}
