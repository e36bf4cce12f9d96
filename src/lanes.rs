//! Arithmetic on a lane of levels: plain loops that the compiler turns into vector instructions.

/// Levels handled side by side in one vector lane block.
pub const LANES: usize = 4;
pub type Lane = [f64; LANES];

pub const ZERO: Lane = [0.0; LANES];
pub const ONE: Lane = [1.0; LANES];

/// Index of entry (i, j), j ≤ i, of a lower triangle stored by rows.
#[inline(always)]
pub fn triangular(i: usize, j: usize) -> usize {
    i * (i + 1) / 2 + j
}

// Sums are formed aside and stored at once: the compiler then need not wonder whether `to` overlaps
// with what it still has to read, and uses whole vectors.

#[inline(always)]
pub fn add_product(to: &mut Lane, a: &Lane, b: &Lane) {
    let mut out = *to;
    for lane in 0..LANES {
        out[lane] += a[lane] * b[lane];
    }
    *to = out;
}

#[inline(always)]
pub fn subtract_product(to: &mut Lane, a: &Lane, b: &Lane) {
    let mut out = *to;
    for lane in 0..LANES {
        out[lane] -= a[lane] * b[lane];
    }
    *to = out;
}

#[inline(always)]
pub fn add_scaled(to: &mut Lane, a: &Lane, factor: f64) {
    let mut out = *to;
    for lane in 0..LANES {
        out[lane] += a[lane] * factor;
    }
    *to = out;
}

#[inline(always)]
pub fn times(a: &Lane, b: &Lane) -> Lane {
    let mut out = ZERO;
    for lane in 0..LANES {
        out[lane] = a[lane] * b[lane];
    }
    out
}

#[inline(always)]
pub fn reciprocal(a: &Lane) -> Lane {
    let mut out = ZERO;
    for lane in 0..LANES {
        out[lane] = 1.0 / a[lane];
    }
    out
}

#[inline(always)]
pub fn square_root(a: &Lane) -> Lane {
    let mut out = ZERO;
    for lane in 0..LANES {
        out[lane] = a[lane].sqrt();
    }
    out
}

#[inline(always)]
pub fn sum(a: &Lane) -> f64 {
    a.iter().sum()
}

/// Sum of the logarithms of positive values, one logarithm for all where the product is finite.
#[inline(never)]
pub fn log_of_product(a: &Lane) -> f64 {
    let product: f64 = a.iter().product();
    if product.is_finite() { product.ln() } else { a.iter().map(|x| x.ln()).sum() }
}
