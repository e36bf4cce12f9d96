//! Probabilities as functions of the linear predictor.

use crate::parallel::in_parts;
use crate::vmath::{
    HALF_LOG_2PI, exp, exp_and_rest, ln, ln_1p, ln_1p_and_inverse, ln_with, normal_tail_ratio,
};

macro_rules! links {
    ($($name:literal => $link:ident,)+ probabilities: $($other:literal => $share:ident,)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Link {
            $($link,)+
            $($share,)+
        }

        impl Link {
            pub const ALL: &[(&str, Link)] =
                &[$(($name, Link::$link),)+ $(($other, Link::$share),)+];
        }

        /// Links of probabilities; `by_link` knows each.
        pub const PROBABILITIES: &[Link] = &[$(Link::$share,)+];
    };
}

links! {
    "identity" => Identity,
    "log" => Log,
    probabilities:
    "logit" => Logit,
    "probit" => Probit,
    "cloglog" => Cloglog,
}

/// Evaluate an expression with `$inverse` for the type of a link of probabilities.
macro_rules! by_link {
    ($link:expr, $inverse:ident => $do:expr) => {
        match $link {
            $crate::family::Link::Probit => {
                type $inverse = $crate::family::link::Probit;
                $do
            }
            $crate::family::Link::Cloglog => {
                type $inverse = $crate::family::link::Cloglog;
                $do
            }
            _ => {
                type $inverse = $crate::family::link::Logit;
                $do
            }
        }
    };
}
pub(super) use by_link;

impl Link {
    pub fn parse(name: &str) -> Option<Link> {
        Self::ALL.iter().find(|known| known.0 == name).map(|known| known.1)
    }
}

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

/// One trial.
pub struct Trial {
    /// Log probability of what happened, less the logarithm of `factor` if the link has one.
    pub log: f64,
    pub factor: f64,
    pub slope: f64,
}

pub trait Inverse {
    const FACTOR: bool = false;

    fn at(eta: f64) -> Share;

    /// A success for `sign` = 1, a failure for −1.
    fn trial(sign: f64, eta: f64) -> Trial;
}

pub struct Logit;
pub struct Probit;
pub struct Cloglog;

/// With e = exp(−|η|): `ln p = min(η, 0) − ln(1 + e)`, and the slopes are q and −p.
impl Inverse for Logit {
    const FACTOR: bool = true;

    #[inline(always)]
    fn at(eta: f64) -> Share {
        let e = exp(-eta.abs());
        let (log, high) = ln_1p_and_inverse(e);
        let low = e * high;
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

    #[inline(always)]
    fn trial(sign: f64, eta: f64) -> Trial {
        let m = sign * eta;
        let e = exp(-m.abs());
        let factor = 1.0 + e;
        let other = if m > 0.0 { e } else { 1.0 };
        Trial { log: negative_part(m), factor, slope: sign * other / factor }
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

    #[inline(always)]
    fn trial(sign: f64, eta: f64) -> Trial {
        let m = sign * eta;
        let ratio = normal_tail_ratio(m.abs());
        let log_density = -0.5 * m * m - HALF_LOG_2PI;
        let likely = m > 0.0;
        let density = exp(if likely { log_density } else { 0.0 });
        let tail = density * ratio;
        let body = 1.0 - tail;
        // The probability, over the density unless `likely`.
        let p = if likely { body } else { ratio };
        let lost = if likely { (1.0 - body) - tail } else { 0.0 };
        let log = ln_with(p, lost) + if likely { 0.0 } else { log_density };
        Trial { log, factor: 1.0, slope: sign * density / p }
    }
}

/// `p = 1 − exp(−μ)` with μ = exp(η): `ln p = η + ln((1 − exp(−μ))/μ)` has no cancellation where μ
/// is small, `ln(1 − exp(−μ))` none where it is large.
impl Inverse for Cloglog {
    #[inline(always)]
    fn at(eta: f64) -> Share {
        let success = Self::trial(1.0, eta);
        let mu = exp(eta);
        let (q, p) = exp_and_rest(mu);
        Share { p, q, log_p: success.log, log_q: -mu, log_p_slope: success.slope, log_q_slope: -mu }
    }

    #[inline(always)]
    fn trial(sign: f64, eta: f64) -> Trial {
        let mu = exp(eta);
        let (q, p) = exp_and_rest(mu);
        let ratio = if mu < 1e-16 { 1.0 } else { p / mu };
        let small = mu < 1.0;
        let lost = if small { 0.0 } else { (1.0 - p) - q };
        let log = ln_with(if small { ratio } else { p }, lost) + if small { eta } else { 0.0 };
        // q μ/p; where q is 0, μ may be infinite.
        let slope = if q > 0.0 { q / ratio } else { 0.0 };
        let success = sign > 0.0;
        Trial {
            log: if success { log } else { -mu },
            factor: 1.0,
            slope: if success { slope } else { -mu },
        }
    }
}

#[inline(always)]
pub fn negative_part(x: f64) -> f64 {
    if x > 0.0 { 0.0 } else { x }
}

/// p and 1 − p at each linear predictor; nothing for links of other responses.
pub fn probabilities(link: Link, eta: &[f64], threads: usize) -> Option<(Vec<f64>, Vec<f64>)> {
    const PART: usize = 4096;
    if !PROBABILITIES.contains(&link) {
        return None;
    }
    let (mut p, mut q) = (vec![0.0; eta.len()], vec![0.0; eta.len()]);
    let outputs = p.chunks_mut(PART).zip(q.chunks_mut(PART));
    let mut parts: Vec<_> = eta.chunks(PART).zip(outputs).collect();
    in_parts(&mut parts, threads, |_, parts| {
        for (eta, (p, q)) in parts {
            pulp::Arch::new().dispatch(Shares { link, eta, p, q });
        }
    });
    drop(parts);
    Some((p, q))
}

/// A closure would not be inlined into the code that may use vectors.
struct Shares<'a> {
    link: Link,
    eta: &'a [f64],
    p: &'a mut [f64],
    q: &'a mut [f64],
}

impl Shares<'_> {
    #[inline(always)]
    fn fill<L: Inverse>(self) {
        for ((&eta, p), q) in self.eta.iter().zip(self.p).zip(self.q) {
            let share = L::at(eta);
            (*p, *q) = (share.p, share.q);
        }
    }
}

impl pulp::WithSimd for Shares<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        by_link!(self.link, L => self.fill::<L>())
    }
}
