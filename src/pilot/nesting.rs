//! Factors whose levels lie in those of another: the information of the outer levels once the inner
//! coefficients are integrated out at the pilot's variances.

use super::Estimate;
use super::products::level_precision;
use crate::general::Part;
use crate::linalg::{cholesky_ridged, inverse_ridged, solve_lower};
use crate::predictor::dot;
use crate::whitening::Whitening;

/// Information that levels share with those that they are nested in: ZᵀWZ′.
pub(super) fn share_information(part: &Part, weights: &[f64], levels: &mut [Whitening]) {
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
pub(super) fn integrate(
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
    let plain = inverse_ridged(base, p)?;
    let mut variance = plain.clone();
    for root in roots {
        for ((v, one), plain) in
            variance.iter_mut().zip(inverse_ridged(&left[root], p)?).zip(&plain)
        {
            *v += one - plain;
        }
    }
    inverse_ridged(&variance, p)
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
    cholesky_ridged(&mut m, q)?;
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
