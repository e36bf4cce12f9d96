//! Factors whose levels lie in those of another.

use super::{GroupPrior, Part};
use crate::whitening::Ancestor;

/// Find which factors are nested in which, order them, and keep loose means where they are needed.
pub fn nest(part: &mut Part) {
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
