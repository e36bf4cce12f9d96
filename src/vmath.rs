//! `exp`, `ln` and what follows from them, without branches: loops over them become vector code.
//!
//! Only arithmetic, comparisons and bits of numbers, so that the compiler can put several rows into
//! one instruction; `std` calls a function a row. All fused products are written out (`mul_add`):
//! the result is the same to the last bit however wide the vectors of a machine are. Selections
//! are written so that NaN comes out as NaN.

/// Two-sum constant: adding it rounds to an integer, which then stands in the lowest bits.
const ROUND: f64 = 6_755_399_441_055_744.0; // 1.5 · 2⁵²
const LOG2_E: f64 = std::f64::consts::LOG2_E;
/// ln 2 in two parts, the first with enough zero bits for exact products (fdlibm, `e_exp.c`).
const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// `Σ c_i x^i` for at least four coefficients, as four sums in x⁴: a single chain of products as in
/// Horner's scheme would be what the whole loop waits for.
#[inline(always)]
pub fn polynomial<const N: usize>(c: &[f64; N], x: f64) -> f64 {
    let square = x * x;
    let fourth = square * square;
    let mut sums = [0.0; 4];
    for i in N - 4..N {
        sums[i % 4] = c[i];
    }
    for i in (0..N - 4).rev() {
        sums[i % 4] = sums[i % 4].mul_add(fourth, c[i]);
    }
    sums[3].mul_add(x, sums[2]).mul_add(square, sums[1].mul_add(x, sums[0]))
}

/// `(eʳ − 1 − r)/r²` for |r| ≤ ln 2 / 2: interpolation at Chebyshev nodes, relative error of eʳ 2e-17.
const EXP: [f64; 10] = [
    0.500_000_000_000_000_1,
    0.166_666_666_666_666_69,
    0.041_666_666_666_624_164,
    0.008_333_333_333_330_065,
    0.001_388_888_891_719_673_6,
    0.000_198_412_698_630_405_59,
    2.480_152_132_234_228e-5,
    2.755_726_848_028_971_6e-6,
    2.762_007_589_254_816_4e-7,
    2.510_037_584_223_7e-8,
];

/// `(eʳ − 1, 2ⁿ⁻¹)` with `x = n ln 2 + r`, for |x| < 710.
#[inline(always)]
fn reduced(x: f64) -> (f64, f64) {
    let shifted = x.mul_add(LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x));
    let expm1 = (r * r).mul_add(polynomial(&EXP, r), r);
    // 2ⁿ⁻¹ rather than 2ⁿ, which is not finite for the largest x. The shift drops all but n.
    let half_power = f64::from_bits(shifted.to_bits().wrapping_add(1022) << 52);
    (expm1, half_power)
}

/// `eˣ`; 0 below −708, where the result would be subnormal.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    let inside = if x > 709.8 { 709.8 } else { x };
    // Nearer to 0, so that no product on the way is subnormal: those take a hundred times as long.
    let inside = if inside < -708.0 { -700.0 } else { inside };
    let (expm1, half_power) = reduced(inside);
    let y = half_power.mul_add(expm1, half_power) * 2.0;
    if x < -708.0 { 0.0 } else { y }
}

/// `(e⁻ˣ, 1 − e⁻ˣ)` for x ≥ 0, both with all their digits.
#[inline(always)]
pub fn exp_and_rest(x: f64) -> (f64, f64) {
    let inside = if x > 708.0 { 700.0 } else { x };
    let (expm1, half_power) = reduced(-inside);
    let power = 2.0 * half_power;
    let y = power.mul_add(expm1, power);
    (if x > 708.0 { 0.0 } else { y }, (1.0 - power) - power * expm1)
}

/// `(ln(1 + f) − f + f²/2 − s f²/2)/s` with `s = f/(2 + f)`, a polynomial of s² (fdlibm, `e_log.c`).
const LOG: [f64; 7] = [
    6.666_666_666_666_735e-1,
    3.999_999_999_940_942e-1,
    2.857_142_874_366_239e-1,
    2.222_219_843_214_978_4e-1,
    1.818_357_216_161_805e-1,
    1.531_383_769_920_937_3e-1,
    1.479_819_860_511_658_6e-1,
];
/// Bits of √½: mantissas are taken from there to √2.
const ROOT_HALF: u64 = 0x3FE6_A09E_667F_3BCD;
const MANTISSA: u64 = (1 << 52) - 1;
/// As bits of an exponent field over a small integer, the number 2⁵² + that integer.
const INTEGER: u64 = 0x4330_0000_0000_0000;
const TWO_52: f64 = 4_503_599_627_370_496.0;

/// `ln(x + lost)` where `lost` is what rounding took from x, if it is `LOST` at all.
#[inline(always)]
fn ln_of<const LOST: bool>(x: f64, lost: f64) -> f64 {
    let subnormal = x < f64::MIN_POSITIVE;
    let normal = if subnormal { x * TWO_52 } else { x };
    let bits = normal.to_bits().wrapping_add(0x3FF0_0000_0000_0000 - ROOT_HALF);
    let biased = bits >> 52;
    let exponent =
        f64::from_bits(INTEGER | biased) - (TWO_52 + 1023.0) - if subnormal { 52.0 } else { 0.0 };
    let mut f = f64::from_bits((bits & MANTISSA).wrapping_add(ROOT_HALF)) - 1.0;
    if LOST {
        // Divided by the power of two that the mantissa lacks.
        f += lost * f64::from_bits(2046u64.wrapping_sub(biased) << 52);
    }
    let s = f / (2.0 + f);
    let z = s * s;
    let half_square = 0.5 * f * f;
    let low = exponent.mul_add(LN2_LOW, s * z.mul_add(polynomial(&LOG, z), half_square));
    let y = exponent.mul_add(LN2_HIGH, f - (half_square - low));
    let y = if x < f64::INFINITY { y } else { x };
    let y = if x > 0.0 { y } else { f64::NAN };
    if x == 0.0 { f64::NEG_INFINITY } else { y }
}

/// `ln x`; −∞ at 0, NaN below.
#[inline(always)]
pub fn ln(x: f64) -> f64 {
    ln_of::<false>(x, 0.0)
}

/// `ln(x + lost)` for a small `lost` that x cannot hold.
#[inline(always)]
pub fn ln_with(x: f64, lost: f64) -> f64 {
    ln_of::<true>(x, lost)
}

/// `ln(1 + x)`; −∞ at −1, NaN below.
#[inline(always)]
pub fn ln_1p(x: f64) -> f64 {
    let sum = 1.0 + x;
    ln_of::<true>(sum, x - (sum - 1.0))
}

/// `(artanh(s)/s − 1)/s²` as a polynomial of s² for |s| ≤ ⅓: interpolation at Chebyshev nodes,
/// relative error of artanh 7e-18.
const ARTANH: [f64; 10] = [
    0.3333333333333333,
    0.20000000000007292,
    0.1428571428355438,
    0.11111111358713932,
    0.09090894718066429,
    0.07692785032479312,
    0.06657072104827468,
    0.06000536404795356,
    0.04400369243072337,
    0.08082022805971766,
];

/// `(ln(1 + e), 1/(1 + e))` for 0 ≤ e ≤ 1, with one division: `ln(1 + e) = 2 artanh(e/(2 + e))`.
#[inline(always)]
pub fn ln_1p_and_inverse(e: f64) -> (f64, f64) {
    let (one, two) = (1.0 + e, 2.0 + e);
    let inverse = 1.0 / (one * two);
    let twice = 2.0 * e * one * inverse;
    let z = 0.25 * twice * twice;
    (twice.mul_add(z * polynomial(&ARTANH, z), twice), two * inverse)
}

/// `(1 + x) T(x)` as a polynomial of (x − 5)/(x + 5), with T as below for x ≥ 0: interpolation at
/// Chebyshev nodes, relative error 5e-17. The form is that of Shepherd & Laframboise (1981),
/// "Chebyshev approximation of (1 + 2x) exp(x²) erfc x in 0 ≤ x < ∞", Math. Comp. 36.
const TAIL: [f64; 25] = [
    1.1568486282918946,
    -0.22948753825211318,
    0.07778159886873558,
    0.02507217930163978,
    -0.06617760077899582,
    0.061505045840161206,
    -0.03802659218771832,
    0.016348231281331425,
    -0.004201290311078416,
    1.9530636365484052e-05,
    0.0004570438205116078,
    -0.0001343742704194541,
    -2.480546663097941e-05,
    2.270959149359291e-05,
    -1.7721527238693433e-07,
    -3.2772513658038686e-06,
    3.2194150125726876e-07,
    4.919558007942762e-07,
    -6.735246707235891e-08,
    -7.755689282319666e-08,
    1.006273629203449e-08,
    1.1020770424653135e-08,
    -1.0770966817867951e-09,
    -9.545215884456858e-10,
    6.163047198655167e-11,
];

/// `T(x) = Φ(−x)/φ(x)` of the standard normal distribution, for x ≥ 0: from √(π/2) down to 1/x.
#[inline(always)]
pub fn normal_tail_ratio(x: f64) -> f64 {
    let (above, one) = (x + 5.0, x + 1.0);
    let inverse = 1.0 / (above * one);
    polynomial(&TAIL, (x - 5.0) * (one * inverse)) * (above * inverse)
}

/// Stirling's series: `ln Γ(x) = (x − ½) ln x − x + ½ ln 2π + Σ c_k x^(1 − 2k)`, with
/// `c_k = B_2k/(2k (2k − 1))` (Abramowitz & Stegun 6.1.41). Seven terms are exact from 8 on.
const STIRLING: [f64; 7] = [
    1.0 / 12.0,
    -1.0 / 360.0,
    1.0 / 1260.0,
    -1.0 / 1680.0,
    1.0 / 1188.0,
    -691.0 / 360_360.0,
    1.0 / 156.0,
];
/// Its slope, less the sign: `c_k (2k − 1)` (6.3.18).
const STIRLING_SLOPE: [f64; 7] = [
    1.0 / 12.0,
    -1.0 / 120.0,
    1.0 / 252.0,
    -1.0 / 240.0,
    1.0 / 132.0,
    -691.0 / 32_760.0,
    1.0 / 12.0,
];
pub const HALF_LOG_2PI: f64 = 0.918_938_533_204_672_7;

/// The sum in Stirling's series for x ≥ 8, and its slope.
#[inline(always)]
fn stirling(x: f64) -> (f64, f64) {
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    (inverse * polynomial(&STIRLING, square), -square * polynomial(&STIRLING_SLOPE, square))
}

/// `ln Γ(x)` and its slope, the digamma function, for x > 0.
#[inline(always)]
pub fn ln_gamma(x: f64) -> (f64, f64) {
    // Γ(x) = Γ(x + 8)/(x (x + 1) … (x + 7)); the logarithm of the product has the slope of the
    // product over it.
    let (mut product, mut slope) = (x, 1.0);
    for k in 1..8 {
        let factor = x + f64::from(k);
        slope = slope * factor + product;
        product *= factor;
    }
    let small = x < 8.0;
    let above = if small { x + 8.0 } else { x };
    let product = if small { product } else { 1.0 };
    let slope = if small { slope } else { 0.0 };
    let log = ln(above);
    let (rest, rest_slope) = stirling(above);
    let value = (above - 0.5) * log - above + HALF_LOG_2PI + rest;
    (value - ln(product), log - 0.5 / above + rest_slope - slope / product)
}

/// `ln Γ(x + step) − ln Γ(x)` for step ≥ 0 and its slope by x, without cancellation where x is
/// large.
pub fn ln_gamma_step(x: f64, step: f64) -> (f64, f64) {
    let above = x + step;
    if x < 8.0 {
        let (high, low) = (ln_gamma(above), ln_gamma(x));
        return (high.0 - low.0, high.1 - low.1);
    }
    let log_ratio = ln_1p(step / x);
    let (high, low) = (stirling(above), stirling(x));
    let value = (x - 0.5) * log_ratio + step * (ln(above) - 1.0) + (high.0 - low.0);
    (value, log_ratio + 0.5 * step / x / above + (high.1 - low.1))
}

/// `ln Γ(x) − (x ln x − x)` and its slope, without cancellation where x is large.
pub fn ln_gamma_rest(x: f64) -> (f64, f64) {
    let log = ln(x);
    if x < 8.0 {
        let (value, slope) = ln_gamma(x);
        return (value - x * log + x, slope - log);
    }
    let (rest, slope) = stirling(x);
    (HALF_LOG_2PI - 0.5 * log + rest, slope - 0.5 / x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance in units of the last place of `expected`.
    fn ulps(value: f64, expected: f64) -> f64 {
        if value == expected {
            return 0.0;
        }
        let ulp = f64::from_bits(expected.abs().to_bits() + 1) - expected.abs();
        (value - expected).abs() / ulp
    }

    /// Positive numbers of all magnitudes from 10^low to 10^high, without a pattern in their bits.
    fn magnitudes(low: f64, high: f64) -> impl Iterator<Item = f64> {
        (0..40_000)
            .map(move |i| 10f64.powf(low + (high - low) * (f64::from(i) * 0.618_034).fract()))
    }

    #[test]
    fn exp_agrees_with_std() {
        for i in -70_000..=70_970 {
            let x = f64::from(i) * 0.010_001;
            assert!(ulps(exp(x), x.exp()) <= 2.0, "{x}: {} {}", exp(x), x.exp());
        }
        for x in magnitudes(-20.0, 0.0).flat_map(|x| [x, -x]) {
            assert!(ulps(exp(x), x.exp()) <= 2.0, "{x}");
        }
        assert!(exp(709.78).is_finite() && ulps(exp(709.78), 709.78f64.exp()) <= 2.0);
        assert_eq!([exp(709.79), exp(1e300), exp(f64::INFINITY)], [f64::INFINITY; 3]);
        assert_eq!([exp(-709.0), exp(-1e300), exp(f64::NEG_INFINITY)], [0.0; 3]);
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f64::NAN).is_nan());
    }

    #[test]
    fn ln_agrees_with_std() {
        for x in magnitudes(-323.0, 308.0).chain(magnitudes(-1.0, 1.0)) {
            assert!(ulps(ln(x), x.ln()) <= 1.0, "{x}: {} {}", ln(x), x.ln());
        }
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(ln(0.0), f64::NEG_INFINITY);
        assert_eq!(ln(f64::INFINITY), f64::INFINITY);
        assert!(ln(-1.0).is_nan() && ln(f64::NAN).is_nan());
    }

    #[test]
    fn differences_from_one_keep_their_digits() {
        for x in magnitudes(-300.0, 2.9) {
            assert!(ulps(ln_1p(x), x.ln_1p()) <= 3.0, "{x}");
            let (power, rest) = exp_and_rest(x);
            assert!(ulps(rest, -(-x).exp_m1()) <= 3.0, "{x}");
            assert!(x > 708.0 || ulps(power, (-x).exp()) <= 2.0, "{x}");
            if x <= 1.0 {
                let (log, inverse) = ln_1p_and_inverse(x);
                assert!(ulps(log, x.ln_1p()) <= 4.0, "{x}");
                assert!(ulps(inverse, 1.0 / (1.0 + x)) <= 3.0, "{x}");
            }
        }
        for x in magnitudes(-300.0, -0.000_1) {
            assert!(ulps(ln_1p(-x), (-x).ln_1p()) <= 3.0, "{x}");
        }
        assert_eq!(
            (exp_and_rest(0.0), ln_1p_and_inverse(0.0), ln_1p(0.0)),
            ((1.0, 0.0), (0.0, 1.0), 0.0)
        );
        assert_eq!([exp_and_rest(1e300), exp_and_rest(f64::INFINITY)], [(0.0, 1.0); 2]);
        assert_eq!(ln_1p(f64::INFINITY), f64::INFINITY);
        assert_eq!(ln_1p(-1.0), f64::NEG_INFINITY);
        assert!(ln_1p(f64::NAN).is_nan() && exp_and_rest(f64::NAN).1.is_nan());
    }

    #[test]
    fn the_normal_tail_agrees_with_its_continued_fraction_and_series() {
        for x in magnitudes(-20.0, 150.0) {
            let expected = if x < 2.5 {
                // Φ(x) − ½ = φ(x) Σ x^(2k+1)/(2k+1)!! (Abramowitz & Stegun 26.2.11)
                let (mut term, mut sum, mut k) = (x, 0.0, 1.0);
                while term > 1e-18 * sum {
                    sum += term;
                    k += 2.0;
                    term *= x * x / k;
                }
                (std::f64::consts::PI / 2.0).sqrt() * (x * x / 2.0).exp() - sum
            } else {
                // 1/(x + 1/(x + 2/(x + 3/(x + …)))) (26.2.14)
                (1..200).rev().fold(x, |below, k| x + f64::from(k) / below).recip()
            };
            // The series is a difference of numbers of the size of exp(x²/2).
            let rounding = if x < 2.5 { 2e-16 * (x * x / 2.0).exp() / expected } else { 2e-16 };
            let error = (normal_tail_ratio(x) / expected - 1.0).abs();
            assert!(error < 4.0 * rounding, "{x}: {error}");
        }
    }

    #[test]
    fn the_gamma_function_agrees_with_statrs_and_its_recurrence() {
        use statrs::function::gamma::{digamma, ln_gamma as ln_gamma_of};
        for x in magnitudes(-30.0, 30.0).chain(magnitudes(-1.0, 2.0)) {
            let (value, slope) = ln_gamma(x);
            let expected = (ln_gamma_of(x), digamma(x));
            assert!((value - expected.0).abs() <= 2e-14 * (1.0 + expected.0.abs()), "{x}");
            assert!((slope - expected.1).abs() <= 2e-13 * (1.0 + expected.1.abs()), "{x}");
            // Γ(x + 1)/Γ(x) = x
            let (step, step_slope) = ln_gamma_step(x, 1.0);
            let rounding = 1e-15 * (20.0 + x.ln().abs());
            assert!((step - x.ln()).abs() < 2.0 * rounding, "{x}: {step} {}", x.ln());
            assert!((step_slope * x - 1.0).abs() < 1e-13 * (1.0 + x.min(8.0)), "{x}: {step_slope}");
            let (rest, rest_slope) = ln_gamma_rest(x);
            if x < 100.0 {
                assert!(
                    (rest - (value - x * x.ln() + x)).abs() < 1e-13 * (1.0 + value.abs()),
                    "{x}"
                );
                assert!((rest_slope - (slope - x.ln())).abs() < 1e-13 * (1.0 + slope.abs()), "{x}");
            }
        }
    }
}
