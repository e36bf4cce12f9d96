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
        let inverse = 1.0 / self.radius;
        for (x, z) in self.scratch.iter_mut().zip(z) {
            *x = z * inverse;
        }
        let value = self.polynomial.at(&self.scratch, slopes);
        for slope in slopes.iter_mut() {
            *slope *= inverse;
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

impl State {
    /// As a clone, in the storage that is there.
    fn copy_from(&mut self, other: &Self) {
        self.z.copy_from_slice(&other.z);
        self.slopes.copy_from_slice(&other.slopes);
        (self.logp, self.exact) = (other.logp, other.exact);
    }
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
    momentum: Vec<f64>,
    /// Where a path leads, and where the moves since the last answer began.
    end: State,
    before: State,
}

impl<'a, D: Density> Walker<'a, D> {
    fn new(surrogate: Surrogate, density: &'a mut D, beyond: bool) -> Self {
        let zero = vec![0.0; surrogate.dim()];
        let end = State { z: zero.clone(), slopes: zero.clone(), logp: 0.0, exact: false };
        Self {
            surrogate,
            walls: density.walls(),
            density,
            beyond,
            u: zero.clone(),
            momentum: zero,
            before: end.clone(),
            end,
        }
    }

    /// Evaluate the stand-in where the path has come to.
    fn evaluate(&mut self) -> Option<()> {
        let State { z, slopes, logp, exact } = &mut self.end;
        if let Some(found) = self.surrogate.inside(z, slopes) {
            (*logp, *exact) = (found, false);
            return Some(());
        }
        if !self.beyond {
            return None;
        }
        self.surrogate.to_position(z, &mut self.u);
        (*logp, *exact) = (self.density.logp_and_grad(&self.u, slopes)?, true);
        self.surrogate.pull_back(slopes);
        Some(())
    }

    /// The state at `z`, or at its mirror image on the inner side of the walls.
    fn state(&mut self, z: &[f64]) -> Option<State> {
        self.surrogate.to_position(z, &mut self.u);
        for &wall in &self.walls {
            self.u[wall] = self.u[wall].abs();
        }
        self.surrogate.to_white(&self.u, &mut self.end.z);
        self.evaluate()?;
        Some(self.end.clone())
    }

    /// Move the end of the path along the momentum for some time, thrown back by walls. In whitened
    /// coordinates walls are planes and momenta know no direction, so that lengths and volumes stay
    /// (Afshar & Domke 2015). Returns false in the corner of two walls, from where no path leads
    /// back.
    fn drift(&mut self, mut time: f64) -> bool {
        let (z, momentum) = (&mut self.end.z, &mut self.momentum);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::{ChainRun, Plan, Watch};
    use rand::Rng;
    use std::sync::atomic::AtomicBool;

    /// Densities of two variables whose moments are known.
    #[derive(Clone)]
    enum Known {
        /// A normal distribution with correlation 0.8 and mean (0.3, 0), by |u₀|, cut off at 0.
        Wall,
        /// u₀ = the logarithm of a Gamma(3) variable, u₁ given u₀ normal around u₀² with sd 0.5.
        Bent,
        /// Two equal heights, 12 apart.
        Peaks,
    }

    impl Density for Known {
        fn dim(&self) -> usize {
            2
        }
        fn n_outputs(&self) -> usize {
            2
        }
        fn start(&self) -> Vec<f64> {
            vec![0.5, 0.2]
        }
        fn takes_surrogate(&self) -> bool {
            true
        }
        fn walls(&self) -> Vec<usize> {
            if matches!(self, Known::Wall) { vec![0] } else { Vec::new() }
        }
        fn logp_and_grad(&mut self, u: &[f64], grad: &mut [f64]) -> Option<f64> {
            let (a, b) = (u[0], u[1]);
            match self {
                Known::Wall => {
                    let (x, sign, c) = (a.abs() - 0.3, a.signum(), 1.0 - 0.64);
                    grad[0] = -sign * (x - 0.8 * b) / c;
                    grad[1] = -(b - 0.8 * x) / c;
                    Some(-0.5 * (x * x - 1.6 * x * b + b * b) / c)
                }
                Known::Bent => {
                    let left = (b - a * a) / 0.25;
                    grad[0] = 3.0 - a.exp() + 2.0 * a * left;
                    grad[1] = -left;
                    Some(3.0 * a - a.exp() - 0.5 * left * (b - a * a))
                }
                Known::Peaks => {
                    let (left, right) = (-0.5 * (a + 6.0).powi(2), -0.5 * (a - 6.0).powi(2));
                    let top = left.max(right);
                    let (l, r) = ((left - top).exp(), (right - top).exp());
                    grad[0] = (-(a + 6.0) * l - (a - 6.0) * r) / (l + r);
                    grad[1] = -b;
                    Some(top + (l + r).ln() - 0.5 * b * b)
                }
            }
        }
        fn output<R: Rng + ?Sized>(&mut self, u: &[f64], _rng: &mut R, out: &mut [f64]) -> bool {
            out.copy_from_slice(u);
            true
        }
    }

    fn run(density: &Known, surrogate: &Surrogate) -> ChainRun {
        let plan = Plan {
            chains: 1,
            draws: 40_000,
            warmup: 200,
            exact_warmup: true,
            seed: 3,
            threads: 1,
            max_depth: 0,
            surrogate: true,
            design: None,
        };
        run_chain(surrogate, density.clone(), 0, &plan, &Watch::default())
    }

    fn built(density: &Known) -> Option<Surrogate> {
        build(density, &AtomicBool::new(false))
    }

    fn mean(run: &ChainRun, of: impl Fn(f64, f64) -> f64) -> f64 {
        run.outputs.chunks_exact(2).map(|u| of(u[0], u[1])).sum::<f64>() / run.kept as f64
    }

    #[test]
    fn a_wall_throws_back_without_a_trace() {
        let density = Known::Wall;
        let run = run(&density, &built(&density).unwrap());
        // Moments of the cut normal distribution: φ(0.3) / Φ(0.3).
        let hazard = 0.381_387_8 / 0.617_911_4;
        let first = 0.3 + hazard;
        let variance = 1.0 - 0.3 * hazard - hazard * hazard;
        assert!((mean(&run, |a, _| a) - first).abs() < 0.015);
        assert!((mean(&run, |_, b| b) - 0.8 * hazard).abs() < 0.02);
        assert!((mean(&run, |a, _| (a - first).powi(2)) - variance).abs() < 0.02);
        assert!(run.outputs.chunks_exact(2).all(|u| u[0] >= 0.0));
        // Share near the wall: (Φ(−0.2) − Φ(−0.3)) / Φ(0.3).
        let near = mean(&run, |a, _| f64::from(a < 0.1));
        assert!((near - 0.038_655 / 0.617_911_4).abs() < 0.005);
    }

    #[test]
    fn a_rough_stand_in_costs_draws_but_no_truth() {
        let density = Known::Bent;
        let good = built(&density).unwrap();
        // Digamma and trigamma at 3.
        let (first, variance) = (0.922_784_3, 0.394_934_1);
        for spoiled in [false, true] {
            let mut surrogate = good.clone();
            if spoiled {
                surrogate.polynomial.spoil(0.1);
            }
            let run = run(&density, &surrogate);
            assert!((mean(&run, |a, _| a) - first).abs() < 0.015);
            assert!((mean(&run, |a, _| (a - first).powi(2)) - variance).abs() < 0.02);
            assert!((mean(&run, |a, b| b - a * a)).abs() < 0.02);
            let share = run.refused as f64 / run.kept as f64;
            assert!(if spoiled { share > 0.1 } else { share < 0.1 }, "{share}");
        }
    }

    #[test]
    fn peaks_far_apart_are_left_to_others() {
        assert!(built(&Known::Peaks).is_none());
    }

    #[test]
    fn nothing_is_built_when_told_to_stop() {
        assert!(build(&Known::Bent, &AtomicBool::new(true)).is_none());
    }
}
