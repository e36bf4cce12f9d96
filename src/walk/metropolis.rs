//! Random-walk Metropolis on the joint density: all parameters move at once by normal steps, and
//! proposals outside the support are rejected. Slow to explore, and that is its lesson.

use super::{Joint, Scratch};
use crate::sampler::{Plan, Watch, generator, in_parallel};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// One walk, as far as it went.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    /// `kept` rows of all parameters.
    pub draws: Vec<f64>,
    pub kept: usize,
    pub logp: Vec<f64>,
    /// Share of accepted proposals among the kept draws.
    pub acceptance: f64,
    pub seconds: f64,
    pub failure: Option<String>,
}

/// Walk from each start; `proposal_sd` has one step size a parameter.
pub fn walk(
    joint: &Joint,
    starts: &[Vec<f64>],
    proposal_sd: &[f64],
    plan: &Plan,
    watch: &Watch,
) -> Vec<Walk> {
    in_parallel(plan, |chain| match starts.get(chain) {
        Some(start) => walk_one(joint, start, proposal_sd, chain, plan, watch),
        None => Walk { failure: Some("no starting point".into()), ..Walk::default() },
    })
}

fn walk_one(
    joint: &Joint,
    start: &[f64],
    proposal_sd: &[f64],
    chain: usize,
    plan: &Plan,
    watch: &Watch,
) -> Walk {
    let clock = Instant::now();
    let mut rng = generator(plan.seed, chain, 1);
    let mut scratch = Scratch::default();
    let mut here = start.to_vec();
    let mut there = here.clone();
    let mut logp = joint.logp(&here, &mut scratch);
    let mut walk = Walk::default();
    if walk.draws.try_reserve_exact(plan.draws.saturating_mul(here.len())).is_err() {
        walk.failure = Some("the draws do not fit into memory".into());
        return walk;
    }
    if !logp.is_finite() {
        walk.failure = Some("the starting point lies outside the support".into());
        return walk;
    }
    let mut accepted = 0_usize;
    for iteration in 0..plan.warmup + plan.draws {
        if watch.stop.load(Relaxed) {
            break;
        }
        for ((there, here), sd) in there.iter_mut().zip(&here).zip(proposal_sd) {
            let z: f64 = StandardNormal.sample(&mut rng);
            *there = here + sd * z;
        }
        let proposed = joint.logp(&there, &mut scratch);
        let accept = proposed - logp > rng.random::<f64>().ln();
        if accept {
            std::mem::swap(&mut here, &mut there);
            logp = proposed;
        }
        watch.did(chain, 1, 0);
        if iteration >= plan.warmup {
            accepted += usize::from(accept);
            walk.draws.extend_from_slice(&here);
            walk.logp.push(logp);
            walk.kept += 1;
        }
    }
    walk.acceptance = accepted as f64 / walk.kept.max(1) as f64;
    walk.seconds = clock.elapsed().as_secs_f64();
    walk
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marginal::crossproducts::CrossProducts;
    use crate::prior::Prior;
    use crate::walk::Bounded;

    #[test]
    fn a_normal_mean_is_found() {
        // Flat prior, sigma = 1, ten rows with mean 3: posterior N(3, 1/10).
        let mut data = CrossProducts::new(0, 2, 0);
        for k in 0..10 {
            data.add_row(0, &mut [], &mut [1.0, if k % 2 == 0 { 2.0 } else { 4.0 }]);
        }
        data.finish(&[]);
        let flat = Bounded { prior: Prior::Flat, low: f64::NEG_INFINITY, high: f64::INFINITY };
        let joint = Joint {
            data,
            map: vec![1.0],
            shift: vec![0.0],
            t: vec![],
            base: vec![],
            unback: vec![],
            prior_rows: vec![0.0; 4],
            b: vec![flat],
            group: None,
            sigma: None,
        };
        let plan = Plan {
            chains: 2,
            draws: 40_000,
            warmup: 500,
            exact_warmup: true,
            seed: 1,
            threads: 2,
            max_depth: 0,
            surrogate: false,
            design: None,
        };
        let walks = walk(&joint, &[vec![0.0], vec![5.0]], &[0.7], &plan, &Watch::default());
        let draws: Vec<f64> = walks.iter().flat_map(|w| w.draws.clone()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        // About one independent draw in six: standard errors 0.0028 and 0.0013.
        assert!((mean - 3.0).abs() < 5.0 * 0.0028, "{mean}");
        assert!((variance - 0.1).abs() < 5.0 * 0.0013, "{variance}");
        assert!((0.3..0.6).contains(&walks[0].acceptance));
    }
}
