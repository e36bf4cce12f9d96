//! Natural cubic splines, many at once through the same knots.

/// Knots, and what gives second derivatives there from values.
#[derive(Clone, Debug, Default)]
pub struct Spline {
    knots: Vec<f64>,
    /// By rows: second derivative at each knot from the value at each.
    bend: Vec<f64>,
}

impl Spline {
    /// At least two `knots`, ascending.
    pub fn new(knots: Vec<f64>) -> Self {
        let n = knots.len();
        let mut bend = vec![0.0; n * n];
        for value in 0..n {
            let second = second_derivatives(&knots, value);
            for (at, second) in second.iter().enumerate() {
                bend[at * n + value] = *second;
            }
        }
        Self { knots, bend }
    }

    /// Values and slopes at `x` of splines whose `values` are given knot by knot; straight outside.
    #[inline(always)]
    pub fn at(&self, x: f64, values: &[f64], out: &mut [f64], slopes: &mut [f64]) {
        out.fill(0.0);
        slopes.fill(0.0);
        let n = out.len();
        for knot in 0..self.knots.len() {
            let (weight, slope) = self.weight(x, knot);
            let each = values[knot * n..][..n].iter().zip(&mut *out).zip(&mut *slopes);
            for ((value, out), by_x) in each {
                *out += weight * value;
                *by_x += slope * value;
            }
        }
    }

    /// Weight of one knot's value at `x`, and its slope.
    fn weight(&self, x: f64, knot: usize) -> (f64, f64) {
        let (knots, n) = (&self.knots, self.knots.len());
        let left = (1..n - 1).take_while(|k| knots[*k] <= x).count();
        let (low, high) = (knots[left], knots[left + 1]);
        let width = high - low;
        let inside = x.clamp(knots[0], knots[n - 1]);
        let (a, b) = ((high - inside) / width, (inside - low) / width);
        let value = |k: usize| f64::from(u8::from(k == knot));
        let (bend, next) = (self.bend[left * n + knot], self.bend[(left + 1) * n + knot]);
        let slope = (value(left + 1) - value(left)) / width
            + ((3.0 * b * b - 1.0) * next - (3.0 * a * a - 1.0) * bend) * width / 6.0;
        let curved = ((a * a * a - a) * bend + (b * b * b - b) * next) * width * width / 6.0;
        (a * value(left) + b * value(left + 1) + curved + slope * (x - inside), slope)
    }
}

/// Second derivatives of the spline that is 1 at one knot and 0 at the others (Thomas's algorithm).
fn second_derivatives(knots: &[f64], one: usize) -> Vec<f64> {
    let n = knots.len();
    let y = |k: usize| f64::from(u8::from(k == one));
    let (mut second, mut ratio) = (vec![0.0; n], vec![0.0; n]);
    for k in 1..n.max(1) - 1 {
        let (before, after) = (knots[k] - knots[k - 1], knots[k + 1] - knots[k]);
        let change = (y(k + 1) - y(k)) / after - (y(k) - y(k - 1)) / before;
        let pivot = 2.0 * (before + after) - before * ratio[k - 1];
        ratio[k] = after / pivot;
        second[k] = (6.0 * change - before * second[k - 1]) / pivot;
    }
    for k in (1..n.max(1) - 1).rev() {
        second[k] -= ratio[k] * second[k + 1];
    }
    second
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOTS: [f64; 5] = [-0.8, -0.3, 0.0, 0.7, 1.6];

    fn both(spline: &Spline, x: f64, values: &[f64]) -> (f64, f64) {
        let (mut out, mut slope) = ([0.0], [0.0]);
        spline.at(x, values, &mut out, &mut slope);
        (out[0], slope[0])
    }

    #[test]
    fn goes_through_its_values_and_keeps_straight_lines() {
        let spline = Spline::new(KNOTS.to_vec());
        let values = [0.3, -1.0, 0.0, 2.0, 0.4];
        for (x, y) in KNOTS.iter().zip(values) {
            assert!((both(&spline, *x, &values).0 - y).abs() < 1e-14);
        }
        let line: Vec<f64> = KNOTS.iter().map(|x| 1.0 - 2.0 * x).collect();
        for x in [-3.0, -0.5, 0.2, 1.0, 4.0] {
            let (y, slope) = both(&spline, x, &line);
            assert!((y - (1.0 - 2.0 * x)).abs() < 1e-13 && (slope + 2.0).abs() < 1e-13);
        }
    }

    #[test]
    fn slopes_are_those_of_its_values_and_nowhere_jump() {
        let spline = Spline::new(KNOTS.to_vec());
        let values = [0.3, -1.0, 0.0, 2.0, 0.4];
        let step = 1e-6;
        for x in [-2.0, -0.8, -0.6, -0.3, -0.1, 0.0, 0.5, 0.7, 1.2, 1.6, 3.0] {
            let at = |x: f64| both(&spline, x, &values);
            let found = (at(x + step).0 - at(x - step).0) / (2.0 * step);
            assert!((found - at(x).1).abs() < 1e-7, "{x}");
            let second = (at(x + step).1 - at(x).1, at(x).1 - at(x - step).1);
            assert!((second.0 - second.1).abs() < 1e-9, "{x}");
        }
    }
}
