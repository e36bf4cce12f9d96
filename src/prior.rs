//! Univariate priors and the maps from the real line to their support.
//!
//! A [`Scalar`] is one sampled parameter: its prior, its support, and the map from the
//! unconstrained coordinate that the sampler sees. Densities are up to an additive constant.

/// Kernel of a univariate density; its support is a matter of [`Support`].
///
/// Half and truncated priors are the full kernel with a smaller support.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Prior {
    Flat,
    Normal {
        loc: f64,
        scale: f64,
    },
    StudentT {
        df: f64,
        loc: f64,
        scale: f64,
    },
    /// Gamma with a rate; `shape = 1` is the exponential.
    Gamma {
        shape: f64,
        rate: f64,
    },
    InverseGamma {
        shape: f64,
        scale: f64,
    },
    LogNormal {
        mu: f64,
        sigma: f64,
    },
}

impl Prior {
    /// Log density at `x`, up to a constant, and its derivative.
    pub fn logp(&self, x: f64) -> (f64, f64) {
        match *self {
            Prior::Flat => (0.0, 0.0),
            Prior::Normal { loc, scale } => {
                let z = (x - loc) / scale;
                (-0.5 * z * z, -z / scale)
            }
            Prior::StudentT { df, loc, scale } => {
                let z = (x - loc) / scale;
                let slope = -(df + 1.0) * z / ((df + z * z) * scale);
                (-0.5 * (df + 1.0) * (z * z / df).ln_1p(), slope)
            }
            Prior::Gamma { shape, rate } => {
                // `0 · ln 0` is 0 for the exponential, whose density at 0 is finite.
                let a = shape - 1.0;
                let (log, inverse) = if a == 0.0 { (0.0, 0.0) } else { (a * x.ln(), a / x) };
                (log - rate * x, inverse - rate)
            }
            Prior::InverseGamma { shape, scale } => {
                (-(shape + 1.0) * x.ln() - scale / x, (scale / x - (shape + 1.0)) / x)
            }
            Prior::LogNormal { mu, sigma } => {
                let z = (x.ln() - mu) / sigma;
                (-x.ln() - 0.5 * z * z, -(1.0 + z / sigma) / x)
            }
        }
    }
}

impl Prior {
    /// The second derivative of the log density at `x`, negative.
    pub fn curvature(&self, x: f64) -> f64 {
        match *self {
            Prior::Flat => 0.0,
            Prior::Normal { scale, .. } => scale.powi(-2),
            Prior::StudentT { df, loc, scale } => {
                let square = ((x - loc) / scale).powi(2);
                (df + 1.0) * (df - square) / ((df + square) * scale).powi(2)
            }
            Prior::Gamma { shape, .. } => (shape - 1.0) / (x * x),
            Prior::InverseGamma { shape, scale } => (2.0 * scale / x - (shape + 1.0)) / (x * x),
            Prior::LogNormal { mu, sigma } => {
                let z = (x.ln() - mu) / sigma;
                (1.0 / (sigma * sigma) - 1.0 - z / sigma) / (x * x)
            }
        }
    }

    /// Where the density is highest, if anywhere above 0: that of a scale.
    pub fn peak(&self) -> Option<f64> {
        let at = match *self {
            Prior::Flat => return None,
            Prior::Normal { loc, .. } | Prior::StudentT { loc, .. } => loc,
            Prior::Gamma { shape, rate } => (shape - 1.0) / rate,
            Prior::InverseGamma { shape, scale } => scale / (shape + 1.0),
            Prior::LogNormal { mu, sigma } => (mu - sigma * sigma).exp(),
        };
        (at > 0.0).then_some(at)
    }
}

/// Where a parameter may lie, and how the real line maps there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Support {
    /// `x = centre + unit · u`
    Real { centre: f64, unit: f64 },
    /// `x = low + unit · exp(u)`
    Above { low: f64, unit: f64 },
    /// `x = high − unit · exp(u)`
    Below { high: f64, unit: f64 },
    /// `x = low + (high − low) · logistic(u)`
    Between { low: f64, high: f64 },
    /// A scale with a sign: `t = unit · LINEAR · sinh(u / LINEAR)`, and `x = t`, or
    /// `t / √(1 + (t/high)²)` where it is bounded. Linear near 0, so that a scale may pass through 0
    /// without the long tail that its logarithm has there, and exponential far out, for priors with
    /// heavy tails. The prior is that of `|x|`.
    Signed { unit: f64, high: f64 },
}

/// Units up to which a signed scale is nearly linear in its coordinate. Steeper, and priors with the
/// tails of a normal distribution would be walls where steps of a good size elsewhere diverge.
const LINEAR: f64 = 4.0;

/// A point of the support with the derivatives of the map that led there.
pub struct Mapped {
    pub x: f64,
    pub dx_du: f64,
    /// `log |dx/du|` up to a constant, and its derivative by `u`.
    pub log_jacobian: f64,
    pub log_jacobian_slope: f64,
}

impl Support {
    /// Where the unconstrained `u` leads.
    pub fn at(&self, u: f64) -> Mapped {
        match *self {
            Support::Real { centre, unit } => Mapped {
                x: centre + unit * u,
                dx_du: unit,
                log_jacobian: 0.0,
                log_jacobian_slope: 0.0,
            },
            Support::Above { low, unit } => {
                let step = unit * u.exp();
                Mapped { x: low + step, dx_du: step, log_jacobian: u, log_jacobian_slope: 1.0 }
            }
            Support::Below { high, unit } => {
                let step = unit * u.exp();
                Mapped { x: high - step, dx_du: -step, log_jacobian: u, log_jacobian_slope: 1.0 }
            }
            Support::Between { low, high } => {
                let width = high - low;
                // From the nearer end, so that neither end is reached by rounding early.
                let e = (-u.abs()).exp();
                let near = e / (1.0 + e);
                Mapped {
                    x: if u > 0.0 { high - width * near } else { low + width * near },
                    dx_du: width * near / (1.0 + e),
                    log_jacobian: -u.abs() - 2.0 * e.ln_1p(),
                    log_jacobian_slope: -u.signum() * (1.0 - e) / (1.0 + e),
                }
            }
            Support::Signed { unit, high } => {
                let e = (u / LINEAR).exp();
                let inverse = 1.0 / e;
                let (sinh, cosh) = (0.5 * LINEAR * (e - inverse), 0.5 * (e + inverse));
                let bound = unit / high;
                let share = bound * sinh;
                let bend_squared = 1.0 / (1.0 + share * share);
                let bend = bend_squared.sqrt();
                let stretch = cosh * bend * bend_squared;
                Mapped {
                    x: unit * sinh * bend,
                    dx_du: unit * stretch,
                    log_jacobian: stretch.ln(),
                    log_jacobian_slope: sinh / (LINEAR * LINEAR * cosh)
                        - 3.0 * share * bend_squared * bound * cosh,
                }
            }
        }
    }

    /// Between which values `x` lies; for a scale with a sign these are those of its size.
    pub fn bounds(&self) -> (f64, f64) {
        match *self {
            Support::Real { .. } => (f64::NEG_INFINITY, f64::INFINITY),
            Support::Above { low, .. } => (low, f64::INFINITY),
            Support::Below { high, .. } => (f64::NEG_INFINITY, high),
            Support::Between { low, high } => (low, high),
            Support::Signed { high, .. } => (0.0, high),
        }
    }

    /// The unconstrained coordinate of `x`, pulled inside the support where it is outside.
    pub fn unconstrain(&self, x: f64) -> f64 {
        match *self {
            Support::Real { centre, unit } => (x - centre) / unit,
            Support::Above { low, unit } => ((x - low) / unit).max(1e-6).ln(),
            Support::Below { high, unit } => ((high - x) / unit).max(1e-6).ln(),
            Support::Between { low, high } => {
                let share = ((x - low) / (high - low)).clamp(1e-3, 1.0 - 1e-3);
                (share / (1.0 - share)).ln()
            }
            Support::Signed { unit, high } => {
                let inside = x.abs().min(0.999 * high);
                let t = inside / (1.0 - (inside / high).powi(2)).sqrt();
                LINEAR * (t / (unit * LINEAR)).asinh()
            }
        }
    }
}

/// One sampled parameter.
#[derive(Clone, Copy, Debug)]
pub struct Scalar {
    pub prior: Prior,
    pub support: Support,
    /// A reasonable value, where chains start from.
    pub start: f64,
}

/// A scalar at a point: value, `dx/du`, and the log prior on the unconstrained scale with its slope.
pub struct ScalarAt {
    pub x: f64,
    pub dx_du: f64,
    pub logp: f64,
    pub dlogp_du: f64,
}

impl Scalar {
    pub fn at(&self, u: f64) -> ScalarAt {
        let Mapped { x, dx_du, log_jacobian, log_jacobian_slope } = self.support.at(u);
        let (logp, slope) = match self.support {
            Support::Signed { .. } => {
                let (logp, slope) = self.prior.logp(x.abs());
                (logp, if x < 0.0 { -slope } else { slope })
            }
            _ => self.prior.logp(x),
        };
        ScalarAt {
            x,
            dx_du,
            logp: logp + log_jacobian,
            dlogp_du: slope * dx_du + log_jacobian_slope,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIORS: [Prior; 8] = [
        Prior::Flat,
        Prior::Normal { loc: 0.3, scale: 2.0 },
        Prior::StudentT { df: 3.0, loc: 0.2, scale: 1.5 },
        Prior::StudentT { df: 1.0, loc: 0.0, scale: 5.0 },
        Prior::Gamma { shape: 1.0, rate: 0.7 },
        Prior::Gamma { shape: 2.5, rate: 1.1 },
        Prior::InverseGamma { shape: 2.0, scale: 1.3 },
        Prior::LogNormal { mu: 0.1, sigma: 0.6 },
    ];
    const SUPPORTS: [Support; 6] = [
        Support::Real { centre: 3.0, unit: 0.5 },
        Support::Above { low: 0.0, unit: 2.0 },
        Support::Below { high: 9.0, unit: 1.0 },
        Support::Between { low: 0.0, high: 10.0 },
        Support::Signed { unit: 0.3, high: 2.0 },
        Support::Signed { unit: 0.3, high: f64::INFINITY },
    ];

    #[test]
    fn slopes_agree_with_finite_differences() {
        for prior in PRIORS {
            for support in SUPPORTS {
                let scalar = Scalar { prior, support, start: 1.0 };
                for u in [-1.7, -0.2, 0.4, 1.3] {
                    let h = 1e-5;
                    let (lo, hi, at) = (scalar.at(u - h), scalar.at(u + h), scalar.at(u));
                    let slope = (hi.logp - lo.logp) / (2.0 * h);
                    assert!((slope - at.dlogp_du).abs() < 1e-7 * (1.0 + slope.abs()), "{scalar:?}");
                    let dx = (hi.x - lo.x) / (2.0 * h);
                    assert!((dx - at.dx_du).abs() < 1e-7 * (1.0 + dx.abs()), "{scalar:?}");
                    let x = at.x.abs();
                    let [above, below] = [x * (1.0 + h), x * (1.0 - h)].map(|x| prior.logp(x).1);
                    let (bend, found) = ((below - above) / (2.0 * x * h), prior.curvature(x));
                    assert!((bend - found).abs() < 1e-6 * (1.0 + bend.abs()), "{scalar:?}");
                }
            }
        }
    }

    #[test]
    fn unconstrain_inverts_constrain() {
        for support in SUPPORTS {
            for u in [-3.0, 0.0, 2.5] {
                // A signed scale is started from its positive side.
                let u = if matches!(support, Support::Signed { .. }) { f64::abs(u) } else { u };
                let x = support.at(u).x;
                assert!((support.unconstrain(x) - u).abs() < 1e-10, "{support:?}");
            }
        }
    }

    #[test]
    fn the_ends_of_the_real_line_stay_inside_the_support() {
        let support = Support::Between { low: -100.0, high: 100.0 };
        for u in [-800.0, 800.0] {
            let at = support.at(u);
            assert!((-100.0..=100.0).contains(&at.x) && at.dx_du >= 0.0);
        }
    }
}
