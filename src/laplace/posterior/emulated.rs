//! Means and products of weighted rows at any θ, as polynomials through those at the points where the
//! density was evaluated: what coefficients are drawn around need not be exact, since the weight of a
//! draw allows for it.

use super::{Climb, Point, Posterior, Scales};
use crate::blocks::Products;
use crate::explore::monomials::{monomials, n_monomials};
use crate::linalg::{cholesky_ridged, solve_lower, solve_lower_transposed};
use std::sync::Arc;

/// Degrees, and points for each monomial.
const DEGREES: [usize; 3] = [4, 3, 2];
const SHARE: f64 = 1.4;

/// Monomials at most, and numbers of all polynomials.
const MONOMIALS: usize = 36;
const NUMBERS: usize = 40_000_000;

/// A mode that is known.
pub struct Node {
    pub theta: Vec<f64>,
    pub at: Scales,
    pub c: Vec<f64>,
    pub u: Vec<Vec<f64>>,
    /// How much less likely θ is than the most likely one, as a logarithm.
    pub below: f64,
}

/// Polynomials of c, u and entries of the products.
#[derive(Clone)]
pub struct Emulated {
    centre: Vec<f64>,
    spread: Vec<f64>,
    /// How each monomial but the first follows from an earlier one.
    from: Vec<(usize, usize)>,
    /// Quantities, and their numbers: one a quantity for each monomial.
    n: usize,
    coefficients: Arc<Vec<f64>>,
}

impl Emulated {
    /// `None` where there are too few nodes, or too many numbers.
    pub fn new(of: &Posterior, climb: &mut Climb, nodes: &[Node]) -> Option<Self> {
        let d = nodes.first()?.theta.len();
        let enough = |k: usize| {
            let m = n_monomials(d, k);
            m <= MONOMIALS && SHARE * m as f64 <= nodes.len() as f64
        };
        let degree = if d == 0 { 0 } else { DEGREES.into_iter().find(|&k| enough(k))? };
        let m = n_monomials(d, degree);
        let size = of.n_coefficients() + of.n_effects() + of.n_entries();
        if m * size > NUMBERS {
            return None;
        }
        let mut found = Self {
            centre: vec![0.0; d],
            spread: vec![1.0; d],
            from: monomials(d, degree).1,
            n: size,
            coefficients: Arc::new(Vec::new()),
        };
        for i in 0..d {
            let values = || nodes.iter().map(|node| node.theta[i]);
            let mean = values().sum::<f64>() / nodes.len() as f64;
            let square = values().map(|x| (x - mean).powi(2)).sum::<f64>() / nodes.len() as f64;
            (found.centre[i], found.spread[i]) = (mean, square.sqrt().max(1e-9));
        }
        // Normal equations, all quantities at once.
        let (mut gram, mut sums) = (vec![0.0; m * m], vec![vec![0.0; size]; m]);
        for node in nodes {
            let basis = found.basis(&node.theta);
            let weight = 1.0 / (1.0 + (0.5 * node.below).powi(2));
            for (i, a) in basis.iter().enumerate() {
                for (j, b) in basis.iter().enumerate() {
                    gram[i * m + j] += weight * a * b;
                }
            }
            let values = of.quantities(climb, node)?;
            for (sum, a) in sums.iter_mut().zip(&basis) {
                sum.iter_mut().zip(&values).for_each(|(sum, value)| *sum += weight * a * value);
            }
        }
        cholesky_ridged(&mut gram, m)?;
        let mut coefficients = vec![0.0; size * m];
        // Columns of the inverse, so that quantities stay side by side.
        for (k, own) in coefficients.chunks_exact_mut(size.max(1)).enumerate() {
            let mut column = vec![0.0; m];
            column[k] = 1.0;
            solve_lower(&gram, m, &mut column);
            solve_lower_transposed(&gram, m, &mut column);
            for (sum, a) in sums.iter().zip(&column) {
                own.iter_mut().zip(sum).for_each(|(own, sum)| *own += a * sum);
            }
        }
        found.coefficients = Arc::new(coefficients);
        Some(found)
    }

    fn basis(&self, theta: &[f64]) -> Vec<f64> {
        let scaled: Vec<f64> = (theta.iter().zip(&self.centre).zip(&self.spread))
            .map(|((x, centre), spread)| (x - centre) / spread)
            .collect();
        let mut basis = vec![1.0];
        for &(earlier, variable) in &self.from {
            basis.push(basis[earlier] * scaled[variable]);
        }
        basis
    }

    /// Coefficients c and u at θ; fills the products, if there are some, and the lower triangle of
    /// XᵀHX otherwise.
    pub fn at(
        &self,
        of: &Posterior,
        theta: &[f64],
        products: Option<&mut Products>,
        total: &mut [f64],
    ) -> (Vec<f64>, Vec<Vec<f64>>) {
        let mut values = vec![0.0; self.n];
        let rows = self.coefficients.chunks_exact(self.n.max(1));
        for (own, a) in rows.zip(self.basis(theta)) {
            values.iter_mut().zip(own).for_each(|(value, own)| *value += a * own);
        }
        let mut each = values.into_iter();
        let c = each.by_ref().take(of.n_coefficients()).collect();
        let groupings = &of.model.parts[0].columns.groupings;
        let u = groupings.iter().map(|g| each.by_ref().take(g.n_levels * g.q).collect()).collect();
        match products {
            Some(products) => {
                for part in products.parts_mut() {
                    part.iter_mut().zip(each.by_ref()).for_each(|(entry, value)| *entry = value);
                }
            }
            None => total.iter_mut().zip(each).for_each(|(entry, value)| *entry = value),
        }
        (c, u)
    }
}

impl Posterior {
    pub fn n_effects(&self) -> usize {
        self.model.parts[0].columns.groupings.iter().map(|g| g.n_levels * g.q).sum()
    }

    /// Entries of the products of weighted rows.
    fn n_entries(&self) -> usize {
        match &self.products {
            Some(products) => products.parts().iter().map(|part| part.len()).sum(),
            None => (self.n_coefficients() + 1).pow(2),
        }
    }

    /// Means of c and u, nearly, and the entries of the products at a mode.
    fn quantities(&self, climb: &mut Climb, node: &Node) -> Option<Vec<f64>> {
        let point = Point::new(self, &node.at, node.c.clone(), node.u.clone());
        climb.arrive(self, &node.at, &point)?;
        let mean = climb.mean(self, &node.at, point)?;
        let mut values = mean.c;
        values.extend(mean.u.iter().flatten());
        let (weights, none) = (&climb.said.curvatures, vec![0.0; self.base.len()]);
        match &mut climb.elimination {
            Some(elimination) => {
                let products = Arc::make_mut(&mut elimination.data);
                self.weighing.fill(weights, &none, products);
                values.extend(products.parts().into_iter().flatten());
            }
            None => {
                let mut total = vec![0.0; (self.n_coefficients() + 1).pow(2)];
                self.weighing.total(weights, &none, &mut total);
                values.extend(total);
            }
        }
        Some(values)
    }
}
