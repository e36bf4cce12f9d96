//! Points where the density was evaluated: in batches, on all threads, and each kept.

use super::emulator::MARGIN;
use super::region::Region;
use crate::parallel::shared_out;
use crate::sampler::Staged;
use statrs::function::erf::erfc_inv;
use std::f64::consts::{FRAC_PI_2, SQRT_2};

/// A point, and the features there; none where they are not finite.
pub struct Known {
    pub theta: Vec<f64>,
    pub features: Option<Vec<f64>>,
    /// As [`Staged::profile`].
    pub profile: f64,
}

impl Known {
    /// Whether it bears on what is known of a region.
    fn is_in(&self, region: &Region) -> bool {
        self.features.is_some() && region.reach(&region.white(&self.theta)) < MARGIN
    }
}

/// The density with the points known so far.
pub struct Points {
    /// One for each thread.
    workers: Vec<Box<dyn Staged>>,
    pub known: Vec<Known>,
    /// How many of the sequence of well-spread points were used.
    used: usize,
}

impl Points {
    pub fn new(staged: &dyn Staged, threads: usize) -> Self {
        let workers = (0..threads.max(1)).map(|_| staged.fresh()).collect();
        Self { workers, known: Vec::new(), used: 0 }
    }

    pub fn staged(&self) -> &dyn Staged {
        &*self.workers[0]
    }

    /// Evaluate at these points; returns the position of the first.
    pub fn evaluate(&mut self, thetas: Vec<Vec<f64>>) -> usize {
        let first = self.known.len();
        let point = |theta| Known { theta, features: None, profile: f64::NEG_INFINITY };
        self.known.extend(thetas.into_iter().map(point));
        let fresh = &mut self.known[first..];
        self.workers.iter_mut().for_each(|worker| worker.begin());
        shared_out(fresh, &mut self.workers, |worker, _, point| fill(&mut **worker, point));
        first
    }

    /// Well-spread points in the ball: an additive recurrence of irrational steps (Roberts 2018),
    /// its last number as the radius, more of them near the surface, where polynomials go astray.
    pub fn spread_out(&mut self, region: &Region, count: usize) {
        let d = region.dim();
        // The root of x^(d+2) = x + 1.
        let mut root: f64 = 1.5;
        for _ in 0..60 {
            root = (1.0 + root).powf(1.0 / (d as f64 + 2.0));
        }
        let thetas = (0..count).map(|_| {
            self.used += 1;
            let number = |i: usize| (0.5 + self.used as f64 * root.powi(-(i as i32 + 1))).fract();
            let mut z: Vec<f64> = (0..d)
                .map(|i| -SQRT_2 * erfc_inv(2.0 * number(i).clamp(1e-9, 1.0 - 1e-9)))
                .collect();
            let length = z.iter().map(|z| z * z).sum::<f64>().sqrt().max(1e-9);
            let reach = (FRAC_PI_2 * number(d).powf(1.0 / d.max(1) as f64)).sin();
            z.iter_mut().for_each(|z| *z *= region.radius * reach / length);
            region.theta(&z)
        });
        let thetas = thetas.collect();
        self.evaluate(thetas);
    }

    /// How many of the points from one on lie in a region.
    pub fn within(&self, region: &Region, first: usize) -> usize {
        self.known.iter().skip(first).filter(|point| point.is_in(region)).count()
    }

    /// Points in a region, each with how far its profile is below the highest.
    pub fn inside(&self, region: &Region) -> Vec<(&[f64], f64)> {
        let top = self.best().map_or(0.0, |best| best.profile);
        let inside = self.known.iter().filter(|point| point.is_in(region));
        inside.map(|point| (&point.theta[..], top - point.profile)).collect()
    }

    /// As [`Staged::chart`].
    pub fn chart(&mut self, theta: &[f64]) -> Option<Vec<f64>> {
        self.workers[0].chart(theta)
    }

    /// As [`Staged::peaks`], beside a known point.
    pub fn peaks(&mut self, at: usize) -> Vec<Vec<f64>> {
        let Known { theta, features, .. } = &self.known[at];
        features.as_ref().map_or_else(Vec::new, |known| self.workers[0].peaks(theta, known))
    }

    /// The highest point, by its profile.
    pub fn best(&self) -> Option<&Known> {
        let found = self.known.iter().filter(|point| point.profile.is_finite());
        found.max_by(|a, b| a.profile.total_cmp(&b.profile))
    }
}

fn fill(worker: &mut dyn Staged, point: &mut Known) {
    let mut features = vec![0.0; worker.n_features()];
    if worker.features(&point.theta, &mut features) {
        point.profile = worker.profile(&point.theta, &features);
        point.features = Some(features);
    }
}
