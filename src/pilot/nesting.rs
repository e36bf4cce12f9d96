//! Factors whose levels lie in those of another: the information of the outer levels once the inner
//! coefficients are integrated out at the pilot's variances.

use super::Estimate;
use super::products::{half_solved, level_precision, take_out};
use crate::general::Part;
use crate::linalg::{cholesky_ridged, inverse_ridged};
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
    let half = |matrix: &[f64], width: usize| {
        half_solved(&m, q, &matrix[level * q * width..][..q * width], width)
    };
    let with_c = half(&own.cross, p);
    take_out(&with_c, p, population);
    let halves: Vec<_> = own.ancestors.iter().map(|a| half(&a.cross, a.q)).collect();
    // Of two matrices of q rows, `(AᵀB)[a, b]`.
    let product = |x: &[f64], y: &[f64], widths: (usize, usize), a: usize, b: usize| -> f64 {
        (0..q).map(|i| x[i * widths.0 + a] * y[i * widths.1 + b]).sum()
    };
    for (k, ancestor) in own.ancestors.iter().enumerate() {
        let there = ancestor.levels[level] as usize;
        let outer = &mut levels[ancestor.factor];
        let (width, half) = (ancestor.q, &halves[k]);
        for a in 0..width {
            let row = there * width + a;
            for b in 0..width {
                outer.information[row * width + b] -= product(half, half, (width, width), a, b);
            }
            for j in 0..p {
                outer.cross[row * p + j] -= product(half, &with_c, (width, p), a, j);
            }
        }
        for (other, far) in own.ancestors.iter().zip(&halves).skip(k + 1) {
            let shared = outer.ancestors.iter_mut().find(|a| a.factor == other.factor);
            let Some(shared) = shared else { continue };
            for a in 0..width {
                for b in 0..other.q {
                    shared.cross[(there * width + a) * other.q + b] -=
                        product(half, far, (width, other.q), a, b);
                }
            }
        }
    }
    Some(())
}
