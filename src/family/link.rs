//! Probabilities as functions of the linear predictor.

use super::Link;
use crate::vmath::{exp, ln, ln_1p, normal_tail_ratio, one_minus_exp, one_minus_exp_ratio};

pub const HALF_LOG_2PI: f64 = 0.918_938_533_204_672_7;

/// A probability p and q = 1 − p at a linear predictor, each with all its digits: their logarithms,
/// and the slopes of those.
pub struct Share {
    pub p: f64,
    pub q: f64,
    pub log_p: f64,
    pub log_q: f64,
    pub log_p_slope: f64,
    pub log_q_slope: f64,
}

pub trait Inverse {
    fn at(eta: f64) -> Share;
}

pub struct Logit;
pub struct Probit;
pub struct Cloglog;

/// With e = exp(−|η|): `ln p = min(η, 0) − ln(1 + e)`, and the slopes are q and −p.
impl Inverse for Logit {
    #[inline(always)]
    fn at(eta: f64) -> Share {
        let e = exp(-eta.abs());
        let log = ln_1p(e);
        let inverse = 1.0 / (1.0 + e);
        let (high, low) = (inverse, e * inverse);
        let (p, q) = if eta > 0.0 { (high, low) } else { (low, high) };
        Share {
            p,
            q,
            log_p: negative_part(eta) - log,
            log_q: negative_part(-eta) - log,
            log_p_slope: q,
            log_q_slope: -p,
        }
    }
}

/// Of the two probabilities the smaller is `φ(|η|) T(|η|)`, and its slope over itself 1/T.
impl Inverse for Probit {
    #[inline(always)]
    fn at(eta: f64) -> Share {
        let ratio = normal_tail_ratio(eta.abs());
        let log_density = -0.5 * eta * eta - HALF_LOG_2PI;
        let density = exp(log_density);
        let tail = density * ratio;
        let body = 1.0 - tail;
        let (log_tail, log_body) = (log_density + ln(ratio), ln_1p(-tail));
        let (tail_slope, body_slope) = (1.0 / ratio, density / body);
        let positive = eta > 0.0;
        Share {
            p: if positive { body } else { tail },
            q: if positive { tail } else { body },
            log_p: if positive { log_body } else { log_tail },
            log_q: if positive { log_tail } else { log_body },
            log_p_slope: if positive { body_slope } else { tail_slope },
            log_q_slope: if positive { -tail_slope } else { -body_slope },
        }
    }
}

/// `p = 1 − exp(−μ)` with μ = exp(η): `ln p = η + ln((1 − exp(−μ))/μ)` has no cancellation where μ
/// is small, `ln(1 − exp(−μ))` none where it is large.
impl Inverse for Cloglog {
    #[inline(always)]
    fn at(eta: f64) -> Share {
        let mu = exp(eta);
        let q = exp(-mu);
        let p = one_minus_exp(mu);
        let ratio = one_minus_exp_ratio(mu);
        // 1/ratio = μ/p, and q μ/p is the slope; where q is 0, μ may be infinite.
        let slope = if q > 0.0 { q / ratio } else { 0.0 };
        Share {
            p,
            q,
            log_p: if eta < 0.0 { eta + ln(ratio) } else { ln_1p(-q) },
            log_q: -mu,
            log_p_slope: slope,
            log_q_slope: -mu,
        }
    }
}

#[inline(always)]
pub fn negative_part(x: f64) -> f64 {
    if x > 0.0 { 0.0 } else { x }
}

/// p and 1 − p at each linear predictor; nothing for links of other responses.
pub fn probabilities(link: Link, eta: &[f64]) -> Option<Vec<(f64, f64)>> {
    fn all<L: Inverse>(eta: &[f64]) -> Option<Vec<(f64, f64)>> {
        Some(eta.iter().map(|&eta| L::at(eta)).map(|share| (share.p, share.q)).collect())
    }
    match link {
        Link::Logit => all::<Logit>(eta),
        Link::Probit => all::<Probit>(eta),
        Link::Cloglog => all::<Cloglog>(eta),
        _ => None,
    }
}
