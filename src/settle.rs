//! What the pilot found → the coordinates in which NUTS walks, and where it starts.
//!
//! For each factor: the information of its levels, with the coefficients of factors nested in it
//! integrated out at the pilot's variances, and a target such that the conditional mean at the
//! pilot's estimate is the estimate. For the population coefficients: a basis in which their
//! posterior is roughly standard normal.

use crate::general::{General, GroupPrior, Part};
use crate::linalg::{cholesky, solve_lower, solve_lower_transposed};
use crate::pilot::{
    DEPENDENT, Estimate, add_prior_curvature, inverse, level_precision, level_products,
    population_products, ridge, working_rows,
};
use crate::predictor::dot;
use crate::prior::Support;
use crate::whitening::{Ancestor, Whitening};

pub(crate) fn settle(
    model: &mut General,
    mut estimates: Vec<Estimate>,
    u: &[f64],
) -> Result<(), String> {
    for (part, at) in model.parts.iter_mut().zip(&mut estimates) {
        nest(part);
        move_means(part, at);
    }
    let (mut start, mut effects) = (Vec::new(), Vec::new());
    for which in 0..model.parts.len() {
        let (weights, residuals) = working_rows(model, &estimates, u, which);
        let (part, at) = (&mut model.parts[which], &estimates[which]);
        let mut levels: Vec<Whitening> = (0..part.factors.len())
            .map(|g| level_products(part, &weights, &residuals, g))
            .collect();
        share_information(part, &weights, &mut levels);
        let mut base = population_products(part, &weights, &residuals).0;
        add_prior_curvature(part, at, &mut base, &mut vec![0.0; at.c.len()]);
        let precision = integrate(part, at, &base, &mut levels).unwrap_or_else(|| base.clone());
        settle_coefficients(part, at, &precision)
            .or_else(|| settle_coefficients(part, at, &base))
            .ok_or(DEPENDENT)?;
        let v = part.coefficients.from_c(&at.c);
        for (v, bounded) in v.iter().zip(&part.coefficients.bounded) {
            start.push(bounded.as_ref().map_or(0.0, |scalar| scalar.support.unconstrain(*v)));
        }
        for (g, mut own) in levels.into_iter().enumerate() {
            set_targets(&mut own, at, g);
            settle_factor(part, at, g, own, &mut start, &mut effects);
        }
    }
    start.extend(u);
    start.extend(effects);
    model.start = start;
    Ok(())
}

/// Find which factors are nested in which, order them, and keep loose means where they are needed.
fn nest(part: &mut Part) {
    let n_factors = part.factors.len();
    let nests = |outer: usize, inner: usize| -> Option<Vec<u32>> {
        let separate = |g: usize| matches!(part.factors[g].prior, GroupPrior::Separate(_));
        let (a, b) = (&part.columns.groupings[outer], &part.columns.groupings[inner]);
        let finer = b.n_levels > a.n_levels || (b.n_levels == a.n_levels && inner > outer);
        if outer == inner || separate(outer) || separate(inner) || !finer {
            return None;
        }
        let mut levels = vec![u32::MAX; b.n_levels];
        for (&there, &here) in a.codes.iter().zip(&b.codes) {
            let known = &mut levels[here as usize];
            if *known == u32::MAX {
                *known = there;
            } else if *known != there {
                return None;
            }
        }
        levels.iter().all(|level| *level != u32::MAX).then_some(levels)
    };
    let mut found: Vec<Vec<Ancestor>> = (0..n_factors)
        .map(|inner| {
            let all = (0..n_factors).filter_map(|outer| {
                let (q, own) = (part.columns.groupings[outer].q, &part.columns.groupings[inner]);
                let cross = vec![0.0; own.n_levels * own.q * q];
                nests(outer, inner).map(|levels| Ancestor { factor: outer, q, levels, cross })
            });
            all.collect()
        })
        .collect();
    let depth: Vec<usize> = found.iter().map(Vec::len).collect();
    for ancestors in &mut found {
        ancestors.sort_by_key(|ancestor| std::cmp::Reverse(depth[ancestor.factor]));
    }
    part.order.sort_by_key(|&g| depth[g]);
    let roots = depth.iter().filter(|depth| **depth == 0).count();
    for ((factor, ancestors), depth) in part.factors.iter_mut().zip(found).zip(depth) {
        factor.whitening.ancestors = ancestors;
        if roots < 2 || depth > 0 {
            factor.twin.clear();
        }
    }
}

/// Where c stands for the sum of b and the factors' means, bring the estimate to that form.
fn move_means(part: &Part, at: &mut Estimate) {
    for (factor, r) in part.factors.iter().zip(&mut at.r) {
        if factor.twin.is_empty() {
            continue;
        }
        let minus: Vec<f64> = r.iter().map(|r| -r).collect();
        factor.take_mean(&minus, &mut at.c);
        let (q, levels) = (factor.whitening.q, factor.whitening.n_levels as f64);
        for k in 0..q {
            let mean = r.iter().skip(k).step_by(q).sum::<f64>() / levels;
            r.iter_mut().skip(k).step_by(q).for_each(|r| *r -= mean);
        }
    }
}

/// Information that levels share with those that they are nested in: ZᵀWZ′.
fn share_information(part: &Part, weights: &[f64], levels: &mut [Whitening]) {
    let all = 0..part.columns.n;
    for (g, own) in levels.iter_mut().enumerate() {
        own.ancestors.clone_from(&part.factors[g].whitening.ancestors);
        let grouping = &part.columns.groupings[g];
        for ancestor in &mut own.ancestors {
            let outer = &part.columns.groupings[ancestor.factor];
            for a in 0..grouping.q {
                for b in 0..outer.q {
                    let (z, other) = (grouping.column(a, &all), outer.column(b, &all));
                    for row in 0..part.columns.n {
                        let level = grouping.codes[row] as usize;
                        let at = (level * grouping.q + a) * outer.q + b;
                        ancestor.cross[at] += weights[row] * z[row] * other[row];
                    }
                }
            }
        }
    }
}

/// Integrate inner coefficients out of the outer factors' information, innermost first; returns
/// the precision of c that remains, roughly: variances that unrelated factors bring add up.
fn integrate(
    part: &Part,
    at: &Estimate,
    base: &[f64],
    levels: &mut [Whitening],
) -> Option<Vec<f64>> {
    let p = at.c.len();
    let roots: Vec<usize> = part.order.iter().copied().filter(|g| is_root(part, *g)).collect();
    let mut left = vec![base.to_vec(); part.factors.len()];
    // One chain of nested factors below each root: two that are nested in the same factor, but not
    // in each other, would both claim the same information.
    let mut innermost: Vec<Option<usize>> = vec![None; part.factors.len()];
    for &g in part.order.iter().rev() {
        let own = levels[g].clone();
        let root = own.ancestors.last().map_or(g, |ancestor| ancestor.factor);
        let chain = *innermost[root].get_or_insert(g);
        if chain != g && !levels[chain].ancestors.iter().any(|a| a.factor == g) {
            continue;
        }
        for level in 0..own.n_levels {
            eliminate(&own, &at.precision[g], level, levels, &mut left[root])?;
        }
    }
    let loose = part.factors.iter().any(|factor| !factor.twin.is_empty());
    if roots.is_empty() || loose {
        return Some(base.to_vec());
    }
    if let [only] = roots[..] {
        return Some(left[only].clone());
    }
    let ridged_inverse = |a: &[f64]| inverse(a, p);
    let plain = ridged_inverse(base)?;
    let mut variance = plain.clone();
    for root in roots {
        for ((v, one), plain) in variance.iter_mut().zip(ridged_inverse(&left[root])?).zip(&plain) {
            *v += one - plain;
        }
    }
    inverse(&variance, p)
}

fn is_root(part: &Part, g: usize) -> bool {
    part.factors[g].whitening.ancestors.is_empty()
}

/// Take one level's coefficients out: off the levels it is nested in, and off the population.
fn eliminate(
    own: &Whitening,
    precision: &[f64],
    level: usize,
    levels: &mut [Whitening],
    population: &mut [f64],
) -> Option<()> {
    let (q, p) = (own.q, own.p);
    let mut m = level_precision(own, precision, level);
    ridge(&mut m, q);
    cholesky(&mut m, q)?;
    let half_solved = |matrix: &[f64], width: usize| -> Vec<Vec<f64>> {
        (0..width)
            .map(|b| {
                let mut column: Vec<f64> =
                    (0..q).map(|a| matrix[(level * q + a) * width + b]).collect();
                solve_lower(&m, q, &mut column);
                column
            })
            .collect()
    };
    let with_c = half_solved(&own.cross, p);
    for i in 0..p {
        for j in 0..p {
            population[i * p + j] -= dot(&with_c[i], &with_c[j]);
        }
    }
    let halves: Vec<_> = own.ancestors.iter().map(|a| half_solved(&a.cross, a.q)).collect();
    for (k, ancestor) in own.ancestors.iter().enumerate() {
        let there = ancestor.levels[level] as usize;
        let outer = &mut levels[ancestor.factor];
        let (q, half) = (ancestor.q, &halves[k]);
        for a in 0..q {
            for b in 0..q {
                outer.information[(there * q + a) * q + b] -= dot(&half[a], &half[b]);
            }
            for j in 0..p {
                outer.cross[(there * q + a) * p + j] -= dot(&half[a], &with_c[j]);
            }
        }
        for (other, far) in own.ancestors.iter().zip(&halves).skip(k + 1) {
            let shared = outer.ancestors.iter_mut().find(|a| a.factor == other.factor);
            let Some(shared) = shared else { continue };
            for a in 0..q {
                for b in 0..other.q {
                    shared.cross[(there * q + a) * other.q + b] -= dot(&half[a], &far[b]);
                }
            }
        }
    }
    Some(())
}

/// Turn scores (ZᵀWe) into targets: at the estimate, h is the score and what H makes of r.
fn set_targets(own: &mut Whitening, at: &Estimate, g: usize) {
    let (q, p) = (own.q, own.p);
    for level in 0..own.n_levels {
        for a in 0..q {
            let row = level * q + a;
            let mut target = dot(&own.cross[row * p..][..p], &at.c);
            target += dot(&own.information[row * q..][..q], &at.r[g][level * q..][..q]);
            for ancestor in &own.ancestors {
                let there = &at.r[ancestor.factor][ancestor.levels[level] as usize * ancestor.q..];
                target +=
                    dot(&ancestor.cross[row * ancestor.q..][..ancestor.q], &there[..ancestor.q]);
            }
            own.target[row] += target;
        }
    }
}

fn settle_coefficients(part: &mut Part, at: &Estimate, precision: &[f64]) -> Option<()> {
    let coefficients = &mut part.coefficients;
    let (p, free) = (coefficients.len(), coefficients.free());
    let v = coefficients.from_c(&at.c);
    let n = free.len();
    // Precision of the free v: mapᵀ P map.
    let mut own = vec![0.0; n * n];
    for (a, &i) in free.iter().enumerate() {
        for (b, &j) in free.iter().enumerate() {
            own[a * n + b] = (0..p)
                .flat_map(|k| (0..p).map(move |l| (k, l)))
                .map(|(k, l)| {
                    let map = &coefficients.map;
                    map[k * p + i] * precision[k * p + l] * map[l * p + j]
                })
                .sum();
        }
    }
    ridge(&mut own, n);
    cholesky(&mut own, n)?;
    let mut basis = vec![0.0; n * n];
    for k in 0..n {
        let mut column = vec![0.0; n];
        column[k] = 1.0;
        solve_lower_transposed(&own, n, &mut column);
        for i in 0..n {
            basis[i * n + k] = column[i];
        }
    }
    coefficients.basis = basis;
    coefficients.centre = free.iter().map(|&k| v[k]).collect();
    Some(())
}

fn settle_factor(
    part: &mut Part,
    at: &Estimate,
    g: usize,
    own: Whitening,
    start: &mut Vec<f64>,
    effects: &mut Vec<f64>,
) {
    let factor = &mut part.factors[g];
    let (q, n_levels) = (own.q, own.n_levels as f64);
    let typical = |k: usize| {
        let each = own.information.iter().skip(k * (q + 1)).step_by(q * q);
        (each.sum::<f64>().max(0.0) / n_levels).sqrt()
    };
    match &mut factor.prior {
        GroupPrior::Separate(scalars) => {
            for (k, (scalar, r)) in scalars.iter_mut().zip(&at.r[g]).enumerate() {
                let information = own.information[k / q * q * q + (k % q) * (q + 1)];
                if let Support::Real { centre, unit } = &mut scalar.support {
                    *centre = *r;
                    if information > 0.0 {
                        *unit = unit.min(1.0 / information.sqrt());
                    }
                }
                effects.push(scalar.support.unconstrain(*r));
            }
            return;
        }
        GroupPrior::Normal { .. } => {}
        GroupPrior::Hierarchical { sd, covariance } => {
            let sigma = inverse(&at.precision[g], q);
            for (k, scalar) in sd.iter_mut().enumerate() {
                let found = sigma.as_ref().map_or(scalar.start, |s| s[k * q + k].sqrt());
                if let Support::Signed { unit, .. } = &mut scalar.support {
                    // A size below which an sd can hardly be told from 0.
                    let resolution = 1.0 / (typical(k) * n_levels.powf(0.25));
                    if resolution.is_finite() && resolution > 0.0 {
                        *unit = resolution.min(10.0 * scalar.start.max(found));
                    }
                }
                start.push(scalar.support.unconstrain(found));
            }
            start.extend(std::iter::repeat_n(0.0, covariance.n_correlations()));
        }
    }
    effects.extend(std::iter::repeat_n(0.0, at.r[g].len()));
    factor.whitening = own;
    factor.whitening.loose_mean = !factor.twin.is_empty();
}
