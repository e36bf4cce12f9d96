use super::whitened::{Gait, Whitened};
use super::*;
use crate::sampler::{ChainRun, Plan, protected};

/// A normal density that claims to be about standard normal beyond its first coordinates, of which
/// each hangs together with the next; the sds of the others perhaps follow one of them (a funnel).
#[derive(Clone)]
struct Claimed {
    sd: Vec<f64>,
    first: usize,
    funnel: f64,
}

impl Density for Claimed {
    fn dim(&self) -> usize {
        self.sd.len()
    }

    fn n_outputs(&self) -> usize {
        self.sd.len()
    }

    fn start(&self) -> Vec<f64> {
        vec![0.0; self.sd.len()]
    }

    fn whitened(&self) -> Option<usize> {
        Some(self.first)
    }

    fn logp_and_grad(&mut self, u: &[f64], grad: &mut [f64]) -> Option<f64> {
        let (mut logp, last) = (0.0, self.first - 1);
        grad.fill(0.0);
        for k in 0..u.len() {
            let shift = if 0 < k && k <= last { u[k - 1] / self.sd[k - 1] } else { 0.0 };
            let log_sd = if k > last { self.funnel * u[last] } else { 0.0 };
            let sd = self.sd[k] * log_sd.exp();
            let z = u[k] / sd - shift;
            logp -= 0.5 * z * z + log_sd;
            grad[k] -= z / sd;
            if 0 < k && k <= last {
                grad[k - 1] += z / self.sd[k - 1];
            } else if k > last {
                grad[last] += self.funnel * (z * u[k] / sd - 1.0);
            }
        }
        Some(logp)
    }

    fn output<R: rand::Rng + ?Sized>(&mut self, u: &[f64], _: &mut R, out: &mut [f64]) -> bool {
        out.copy_from_slice(u);
        true
    }
}

fn plan(warmup: usize, exact_warmup: bool, threads: usize) -> Plan {
    Plan {
        chains: 4,
        draws: 1000,
        warmup,
        exact_warmup,
        seed: 3,
        threads,
        max_depth: 10,
        surrogate: false,
        design: None,
    }
}

fn sampled(density: &Claimed, plan: &Plan) -> Vec<ChainRun> {
    let watch = Watch::new(plan.chains, None);
    let runs = protected(plan, &watch, |chain| run_chain(density.clone(), chain, plan, &watch));
    assert!(runs.iter().all(|run| run.failure.is_none() && run.kept == plan.draws));
    runs
}

fn warmups(runs: &[ChainRun]) -> Vec<usize> {
    runs.iter().map(|run| run.warmup).collect()
}

/// Share of draws with more than three steps.
fn longer(run: &ChainRun) -> f64 {
    run.depth.iter().filter(|depth| **depth > 2).count() as f64 / run.kept as f64
}

/// Means and sds of a coordinate, within five standard errors as if an eighth of the draws counted.
fn check(runs: &[ChainRun], dim: usize, k: usize, sd: f64) {
    let all: Vec<f64> =
        runs.iter().flat_map(|run| run.outputs.iter().skip(k).step_by(dim)).copied().collect();
    let n = all.len() as f64;
    let mean = all.iter().sum::<f64>() / n;
    let square = all.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    let error = 5.0 / (n / 8.0).sqrt();
    assert!(mean.abs() < error * sd, "{k}: mean {mean}");
    assert!((square.sqrt() / sd - 1.0).abs() < error, "{k}: sd {} not {sd}", square.sqrt());
}

/// Three coordinates with scales of their own that hang together, and many of sd 1.
fn claimed() -> Claimed {
    let mut sd = vec![0.05, 2.0, 0.3];
    sd.extend(vec![1.0; 40]);
    Claimed { sd, first: 3, funnel: 0.0 }
}

fn check_all(runs: &[ChainRun], density: &Claimed) {
    for (k, sd) in density.sd.iter().enumerate() {
        // Each of the first adds a variance to that of the one before.
        let own = if k < density.first { ((k + 1) as f64).sqrt() } else { 1.0 };
        check(runs, density.sd.len(), k, own * sd);
    }
}

#[test]
fn a_good_pilot_needs_a_short_warm_up() {
    let density = claimed();
    let runs = sampled(&density, &plan(1000, false, 2));
    assert_eq!(warmups(&runs), [300; 4]);
    assert!(runs.iter().all(|run| longer(run) < 0.2));
    check_all(&runs, &density);
}

#[test]
fn a_poor_pilot_takes_longer_and_changes_nothing() {
    let mut density = claimed();
    for (k, sd) in density.sd[3..].iter_mut().enumerate() {
        *sd = [0.1, 1.0, 12.0][k % 3];
    }
    let runs = sampled(&density, &plan(1000, false, 2));
    assert!(warmups(&runs).iter().all(|warmup| *warmup > 300), "{:?}", warmups(&runs));
    check_all(&runs, &density);
}

/// The sds of 10 coordinates follow a first one over powers of e.
fn funnel(power: f64) -> Claimed {
    let mut sd = vec![1.0; 11];
    sd[0] = 1.5;
    Claimed { sd, first: 1, funnel: power }
}

#[test]
fn where_short_paths_do_badly_they_are_longer() {
    let runs = sampled(&funnel(1.0), &plan(1000, false, 2));
    assert!(warmups(&runs).iter().all(|warmup| *warmup > 300), "{:?}", warmups(&runs));
    assert!(runs.iter().any(|run| longer(run) > 0.5));
}

#[test]
fn where_the_pilot_fails_all_is_learned_anew() {
    let runs = sampled(&funnel(3.0), &plan(1000, false, 2));
    assert!(warmups(&runs).contains(&1000), "{:?}", warmups(&runs));
}

#[test]
fn paths_over_a_standard_normal_density_are_exact() {
    let density = Claimed { sd: vec![1.0; 6], first: 1, funnel: 0.0 };
    let metric = Metric::new(vec![0.0; 6], 1);
    for length in [0.7, 1.8, 2.6] {
        let gait = Gait { length, jitter: 0.0, step: 0.5, tune: 0, accept: 0.8 };
        let mut random = generator(5, 0, 1);
        let mut walk =
            Whitened::new(&density, metric.clone(), &[0.3; 6], gait, &mut random).unwrap();
        let (mut before, mut product, mut square) = (walk.draw().u, 0.0, 0.0);
        for _ in 0..4000 {
            let draw = walk.draw();
            assert!(walk.error.abs() < 1e-12, "{}", walk.error);
            product += draw.u.iter().zip(&before).map(|(x, y)| x * y).sum::<f64>();
            square += draw.u.iter().map(|x| x * x).sum::<f64>();
            before = draw.u;
        }
        // 24,000 pairs, of which a few count as one.
        assert!((product / square - length.cos()).abs() < 5.0 / f64::sqrt(6000.0), "{length}");
        assert!((square / 24_000.0 - 1.0).abs() < 5.0 * f64::sqrt(2.0 / 6000.0), "{square}");
    }
}

#[test]
fn steps_are_as_long_as_the_acceptance_wants_them() {
    let density = funnel(0.3);
    let taken = |accept: f64| {
        let gait = Gait { length: 3.2, jitter: 0.5, step: 0.5, tune: 300, accept };
        let metric = Metric::new(vec![0.0; 11], 1);
        let mut random = generator(6, 0, 1);
        let mut walk = Whitened::new(&density, metric, &[0.1; 11], gait, &mut random).unwrap();
        let all: Vec<f64> = (0..2300).map(|_| (walk.draw(), walk.taken).1).collect();
        all[300..].iter().sum::<f64>() / 2000.0
    };
    let found = [0.8, 0.9].map(taken);
    assert!((found[0] - 0.8).abs() < 0.1 && (found[1] - 0.9).abs() < 0.05, "{found:?}");
}

#[test]
fn steps_do_not_shrink_for_ever() {
    // In one coordinate the pilot is wrong by so much that no path is taken.
    for power in [2, 5, 10] {
        let mut density = Claimed { sd: vec![1.0; 6], first: 1, funnel: 0.0 };
        density.sd[3] = 10_f64.powi(-power);
        let gait = Gait { length: 1.8, jitter: 0.2, step: 0.5, tune: 100, accept: 0.8 };
        let metric = Metric::new(vec![0.0; 6], 1);
        let mut random = generator(8, 0, 1);
        let at = density.sd.clone();
        let mut walk = Whitened::new(&density, metric, &at, gait, &mut random).unwrap();
        assert!((0..100).all(|_| walk.draw().gradients <= 54), "{power}");
    }
}

#[test]
fn a_number_is_the_length_of_the_warm_up() {
    for warmup in [0, 120, 400, 550] {
        let runs = sampled(&claimed(), &plan(warmup, true, 2));
        assert_eq!(warmups(&runs), [warmup; 4]);
    }
}

#[test]
fn threads_change_nothing() {
    let density = claimed();
    let [one, three] = [1, 3].map(|threads| sampled(&density, &plan(1000, false, threads)));
    for (a, b) in one.iter().zip(&three) {
        assert_eq!((a.warmup, &a.outputs), (b.warmup, &b.outputs));
    }
}
