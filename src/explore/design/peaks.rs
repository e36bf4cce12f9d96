//! Hills that priors make by themselves, too narrow to be seen from afar: where priors have their
//! peaks, it is looked whether there is one beyond a valley.

use super::points::Points;
use super::region::Region;

/// How far below the top a narrow hill has next to nothing of the mass.
const NOTHING: f64 = 8.0;

/// How deep a valley is that proposals may not cross.
const VALLEY: f64 = 1.0;

/// Whether a prior has a hill of its own that matters, beyond a valley from the mode.
pub fn has_hills(points: &mut Points, region: &Region) -> bool {
    let known = points.known.iter().enumerate().filter(|(_, point)| point.profile.is_finite());
    let best = known.max_by(|a, b| a.1.profile.total_cmp(&b.1.profile));
    let Some((best, top)) = best.map(|(k, point)| (k, point.profile)) else { return true };
    let count = points.peaks(best).len();
    (0..count).any(|k| {
        // How far the peak is in θ depends on σ, which depends on θ: from where it led, once more.
        let mut at = best;
        for _ in 0..2 {
            let Some(theta) = points.peaks(at).into_iter().nth(k) else { return false };
            at = points.evaluate(vec![theta]);
        }
        let (theta, end) = (&points.known[at].theta, points.known[at].profile);
        if end <= top - NOTHING {
            return false;
        }
        let middle = theta.iter().zip(&region.centre).map(|(a, b)| 0.5 * (a + b)).collect();
        let between = points.evaluate(vec![middle]);
        points.known[between].profile < end.min(top) - VALLEY
    })
}
