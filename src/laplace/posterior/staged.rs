//! The density of θ for the explorer that makes independent draws, and draws of all coefficients.

use super::Posterior;
use super::draws::{Around, Given, Population};
use super::emulated::{Emulated, Node, Numbers, take};
use super::judging::Judging;
use super::levelled::{JUDGED, LEVELS};
use super::nearby::Modes;
use crate::general::{GroupPrior, n_scales};
use crate::laplace::climb::CLOSE;
use crate::laplace::observed::Said;
use crate::laplace::point::{Start, inward};
use crate::laplace::rows::Integrand;
use crate::laplace::{Climb, Point, Scales, Top};
use crate::marginal::Scales as Coordinates;
use crate::sampler::Staged;
use rand_chacha::ChaCha8Rng;
use std::sync::{Arc, Mutex};

/// Where coordinates of dispersion parameters are looked for, around what the pilot found.
const AROUND: f64 = 1.5;

/// The density is an approximation itself, and weights of draws know what θ was drawn by.
const TOLERANCE: f64 = 2.5;

type Prepared = (Arc<Modes>, Option<Arc<Emulated>>);

/// The density with its working storage.
#[derive(Clone)]
pub struct InStages {
    pub of: Arc<Posterior>,
    coordinates: Coordinates,
    climb: Climb,
    /// The mode where the search for that of θ begins.
    start: Arc<Point>,
    /// Modes that were found, and those that were known before the points in hand.
    modes: Arc<Mutex<Modes>>,
    before: Arc<Modes>,
    emulated: Option<Arc<Emulated>>,
    /// The last two as whoever prepared to draw had them, for all that are alike.
    prepared: Arc<Mutex<Prepared>>,
    threads: usize,
    judging: Judging,
    at: Scales,
    /// Of dispersion parameters, with Jacobian.
    log_prior: f64,
    slopes: Vec<f64>,
    by_dispersion: Vec<f64>,
}

impl InStages {
    /// `None` where coefficients have no mode at the point from which the search for that of θ begins.
    pub fn new(of: Arc<Posterior>, judging: Judging, threads: usize) -> Option<Self> {
        let information = of.information();
        let model = of.model.clone();
        let n = model.dispersion.dim();
        let (c, zeros) = of.start();
        let start = Point { c, u: zeros.clone(), r: zeros, eta: Vec::new() };
        let mut found = Self {
            coordinates: Coordinates::new(&of.parameters, &information),
            climb: Climb::new(&*of, CLOSE),
            start: Arc::new(start),
            modes: Arc::default(),
            before: Arc::default(),
            emulated: None,
            prepared: Arc::default(),
            threads,
            judging,
            at: Scales { lambda: Vec::new(), values: vec![0.0; model.n_values()] },
            log_prior: 0.0,
            slopes: vec![0.0; n],
            by_dispersion: vec![0.0; n],
            of,
        };
        let begin = found.start();
        found.start = Arc::new(found.top(&begin)?.point);
        Some(found)
    }

    fn of_scales(&self) -> usize {
        self.coordinates.dim()
    }

    /// Go to θ.
    fn go_to(&mut self, theta: &[f64]) {
        let (scales, u) = theta.split_at(self.of_scales());
        let (of, model) = (self.of.clone(), self.of.model.clone());
        self.coordinates.go_to(&of.parameters, scales);
        self.log_prior =
            model.dispersion.at(u, &mut self.at.values, &mut self.slopes, &mut self.by_dispersion);
        let (joined, total, mut first) = (self.coordinates.lambda(), of.parameters.covariance.q, 0);
        let lambda = of.factors().map(|factor| match &factor.prior {
            GroupPrior::Hierarchical { sd, .. } => {
                let (q, from) = (sd.len(), first);
                first += q;
                let row = |i: usize| &joined[(from + i) * total + from..][..q];
                (0..q).flat_map(|i| row(i).to_vec()).collect()
            }
            GroupPrior::Normal { lambda, .. } => lambda.clone(),
            GroupPrior::Separate(_) => Vec::new(),
        });
        self.at.lambda = lambda.collect();
    }

    /// The mode at θ.
    pub fn top(&mut self, theta: &[f64]) -> Option<Top> {
        let place = self.place(theta);
        self.go_to(theta);
        let near = self.before.foretold(&place);
        near.and_then(|start| self.climb.top(&*self.of, &self.at, start)).or_else(|| {
            let start = self.beginning();
            self.climb.top(&*self.of, &self.at, start)
        })
    }

    /// Where to climb from without modes nearby: the coefficients of another θ as they are, or those
    /// that are as usual as they were there. Far out, one of them can be far from anything likely.
    fn beginning(&mut self) -> Start {
        let Point { c, u, r, .. } = &*self.start;
        let same = r.iter().zip(&self.at.lambda).map(|(r, lambda)| inward(lambda, r));
        let (usual, same) = ((c.clone(), u.clone()), (c.clone(), same.collect()));
        self.climb.likelier(&*self.of, &self.at, usual, same)
    }

    /// θ in coordinates in which all else is smooth.
    fn place(&mut self, theta: &[f64]) -> Vec<f64> {
        self.chart(theta).unwrap_or_else(|| theta.to_vec())
    }

    /// Around which c to draw at θ, the factor of its precision being filled.
    fn population(&mut self, theta: &[f64]) -> Option<Vec<f64>> {
        if let Some(emulated) = self.emulated.clone() {
            let (place, p) = (self.place(theta), self.of.n_coefficients());
            let found = emulated.population(place, p, &mut self.climb);
            if found.is_some() {
                self.go_to(theta);
                return found;
            }
        }
        self.exactly_around(theta).map(|around| around.c)
    }

    /// Around which coefficients of levels to draw at θ, V₀ being factorised, by what polynomials give.
    fn around(&mut self, theta: &[f64], numbers: Option<Numbers>) -> Option<Around> {
        if let (Some(emulated), Some(numbers)) = (self.emulated.clone(), numbers) {
            self.go_to(theta);
            let found = emulated.around(&self.of, &self.at, &numbers, &mut self.climb);
            if found.is_some() {
                return found;
            }
        }
        self.exactly_around(theta)
    }

    /// Around which c and u to draw at θ, A being factorised, by climbing.
    fn exactly_around(&mut self, theta: &[f64]) -> Option<Around> {
        let Top { point, log_det, .. } = self.top(theta)?;
        let (away_c, away_u) = self.climb.skewed(&*self.of, &self.at, &point);
        let add = |mut to: Vec<f64>, more: Vec<f64>| {
            to.iter_mut().zip(more).for_each(|(to, more)| *to += more);
            to
        };
        let u = point.u.into_iter().zip(away_u).map(|(u, more)| add(u, more)).collect();
        let log_det = log_det - 2.0 * self.climb.log_det_of_factor();
        Some(Around { c: add(point.c, away_c), u, log_det })
    }

    /// What polynomials give at these θ, or nothing at any of them.
    pub fn numbers(&mut self, thetas: &[&[f64]]) -> Vec<Option<Numbers>> {
        let Some(emulated) = self.emulated.clone() else {
            return thetas.iter().map(|_| None).collect();
        };
        let places: Vec<Vec<f64>> = thetas.iter().map(|theta| self.place(theta)).collect();
        emulated.numbers(&places)
    }

    /// The same as those that draw.
    pub fn prepared(&self) -> Self {
        let mut own = self.clone();
        if let Ok(prepared) = self.prepared.lock() {
            (own.before, own.emulated) = prepared.clone();
        }
        own
    }

    /// θ whose numbers are to be asked for at once.
    pub fn at_once(&self) -> usize {
        self.emulated.as_ref().map_or(1, |emulated| emulated.at_once())
    }

    /// Draw the coefficients of all levels, given c, around what is known of θ.
    pub fn levels(
        &mut self,
        theta: &[f64],
        population: &Population,
        numbers: Option<Numbers>,
    ) -> Option<Vec<Vec<f64>>> {
        let around = self.around(theta, numbers)?;
        let given = Given::new(&self.of, &self.at, &around, population);
        let (z, _) = given.numbers();
        let mut levels = given.levels(&mut self.climb, &z).r;
        for (factor, r) in self.of.factors().zip(&mut levels) {
            if let GroupPrior::Normal { mean, .. } = &factor.prior {
                r.iter_mut().zip(mean.iter().cycle()).for_each(|(r, mean)| *r += mean);
            }
        }
        Some(levels)
    }

    /// Log prior of θ with Jacobians.
    fn prior(&mut self, bounded: bool) -> f64 {
        self.coordinates.log_prior(&self.of.parameters, 1.0, bounded) + self.log_prior
    }

    /// A row of output: as that of the joint density, without coefficients of levels, then what there
    /// is to judge the draw by, and what its levels are drawn by.
    fn write(&self, theta: &[f64], drawn: &Population, judged: &[f64; JUDGED], out: &mut [f64]) {
        let mut next = 0;
        let mut put = |values: &[f64]| {
            out[next..next + values.len()].copy_from_slice(values);
            next += values.len();
        };
        let covariance = &self.of.parameters.covariance;
        let (mut sd, mut cor) = (vec![0.0; covariance.q], vec![0.0; covariance.n_correlations()]);
        self.coordinates.write(&self.of.parameters, 1.0, &mut sd, &mut cor);
        let (mut c, mut sd, mut cor) = (&drawn.c[..], &sd[..], &cor[..]);
        for part in &self.of.model.parts {
            put(take(&mut c, part.coefficients.len()));
            for factor in &part.factors {
                if let GroupPrior::Hierarchical { sd: own, covariance } = &factor.prior {
                    put(take(&mut sd, own.len()));
                    put(take(&mut cor, covariance.n_correlations()));
                }
            }
        }
        put(&self.at.values);
        put(judged);
        put(theta);
        put(&[drawn.key]);
    }
}

impl Posterior {
    /// Those of all predictors, in a row of output.
    pub fn coefficients_of(&self, row: &[f64]) -> Vec<f64> {
        let (mut rest, mut c) = (row, Vec::new());
        for part in &self.model.parts {
            c.extend(take(&mut rest, part.coefficients.len()));
            take(&mut rest, part.factors.iter().map(n_scales).sum());
        }
        c
    }

    /// For each sampled sd, what the rows of a level tell of a coefficient, on the average.
    fn information(&self) -> Vec<f64> {
        let (c, zeros) = self.start();
        let (mut eta, mut said) = (vec![0.0; self.base.len()], Said::default());
        self.fill(&c, &zeros, &mut eta);
        let mut values = vec![0.0; self.model.n_values()];
        let (u, n) = (self.model.start_of_dispersion(), self.model.dispersion.dim());
        self.model.dispersion.at(u, &mut values, &mut vec![0.0; n], &mut vec![0.0; n]);
        let observed = self.observed();
        let known = observed.slopes(&eta, &values, &mut said).is_some();
        observed.curvatures(&eta, &values, &mut said);
        if observed.tie.is_some() {
            observed.downwards(&mut said.curvatures);
        }
        let mut found = Vec::new();
        for (factor, grouping) in self.factors().zip(&self.columns().groupings) {
            if !matches!(factor.prior, GroupPrior::Hierarchical { .. }) {
                continue;
            }
            for z in grouping.z.chunks_exact(eta.len().max(1)) {
                let each = z.iter().zip(&said.curvatures);
                let sum: f64 = each.map(|(z, h)| z * z * h.max(0.0)).sum();
                let mean = sum / grouping.n_levels as f64;
                found.push(if known && mean > 0.0 && mean.is_finite() { mean } else { 1.0 });
            }
        }
        found
    }
}

impl Staged for InStages {
    fn fresh(&self) -> Box<dyn Staged> {
        Box::new(self.clone())
    }

    fn dims(&self) -> (usize, usize) {
        (self.of_scales() + self.slopes.len(), 0)
    }

    fn n_features(&self) -> usize {
        1
    }

    fn n_outputs(&self) -> usize {
        self.of.n_outputs()
    }

    fn operations(&self) -> f64 {
        f64::INFINITY
    }

    fn box_of_theta(&self) -> Vec<(f64, f64)> {
        let dispersion = self.of.model.start_of_dispersion().iter();
        let around = dispersion.map(|u| (u - AROUND, u + AROUND));
        self.coordinates.intervals().into_iter().chain(around).collect()
    }

    fn start(&self) -> Vec<f64> {
        let mut theta = self.coordinates.start(&self.of.parameters);
        theta.extend(self.of.model.start_of_dispersion());
        theta
    }

    fn walls(&self) -> Vec<usize> {
        self.coordinates.walls()
    }

    fn mirror(&self, wall: usize, theta: &mut [f64]) {
        let scales = &mut theta[..self.of_scales()];
        self.coordinates.mirror(&self.of.parameters, wall, scales);
    }

    fn begin(&mut self) {
        if let Ok(modes) = self.modes.lock() {
            self.before = Arc::new(modes.clone());
        }
    }

    fn chart(&mut self, theta: &[f64]) -> Option<Vec<f64>> {
        let (scales, rest) = theta.split_at(self.of_scales());
        self.coordinates.go_to(&self.of.parameters, scales);
        let mut chart = self.coordinates.chart(&self.of.parameters)?;
        chart.extend(rest);
        Some(chart)
    }

    fn tolerance(&self) -> f64 {
        TOLERANCE
    }

    fn features(&mut self, theta: &[f64], out: &mut [f64]) -> bool {
        let Some(Top { point, value, .. }) = self.top(theta) else { return false };
        out[0] = value;
        let place = self.place(theta);
        if self.before.take_more()
            && let Ok(mut modes) = self.modes.lock()
        {
            modes.keep(theta, place, (point.c, point.u));
        }
        true
    }

    fn peaks(&mut self, theta: &[f64], _features: &[f64]) -> Vec<Vec<f64>> {
        let (scales, rest) = theta.split_at(self.of_scales());
        self.coordinates.go_to(&self.of.parameters, scales);
        let mut peaks = self.coordinates.peaks(&self.of.parameters, scales, 1.0);
        peaks.iter_mut().for_each(|peak| peak.extend(rest));
        peaks
    }

    fn profile(&mut self, theta: &[f64], features: &[f64]) -> f64 {
        self.go_to(theta);
        self.prior(false) + features[0]
    }

    fn rest(&self) -> Vec<(f64, f64)> {
        Vec::new()
    }

    fn logp(&mut self, theta: &[f64], _rest: &[f64], features: &[f64]) -> f64 {
        self.go_to(theta);
        let logp = self.prior(true) + features[0];
        if logp.is_nan() { f64::NEG_INFINITY } else { logp }
    }

    fn moved(&self, _found: &[f64], _truth: &[f64]) -> f64 {
        0.0 // coefficients are drawn around the mode itself
    }

    fn output(
        &mut self,
        theta: &[f64],
        _rest: &[f64],
        features: &[f64],
        rng: &mut ChaCha8Rng,
        out: &mut [f64],
    ) -> bool {
        let judge = self.judging.is_next();
        let Some(mean) = self.population(theta) else { return false };
        let drawn = Population::draw(&mean, &self.climb, rng);
        let mut judged = [f64::NAN; JUDGED];
        if judge {
            let numbers = self.numbers(&[theta]).pop().flatten();
            let Some(around) = self.around(theta, numbers) else { return false };
            let given = Given::new(&self.of, &self.at, &around, &drawn);
            judged = given.judged(&mut self.climb, features[0]);
            self.judging.saw(judged[LEVELS]);
        }
        self.write(theta, &drawn, &judged, out);
        true
    }

    fn prepare(&mut self, known: &[(&[f64], f64)]) {
        self.begin();
        let modes = self.before.clone();
        let node = |(theta, below): &(&[f64], f64)| {
            let (c, u) = modes.at(theta)?.clone();
            let place = self.place(theta);
            self.go_to(theta);
            Some(Node { place, at: self.at.clone(), c, u, below: *below })
        };
        let nodes: Vec<Node> = known.iter().filter_map(node).collect();
        let emulated = Emulated::new(&self.of, &self.climb, &nodes, self.threads);
        self.emulated = emulated.map(Arc::new);
        if let Ok(mut prepared) = self.prepared.lock() {
            *prepared = (modes, self.emulated.clone());
        }
    }
}
