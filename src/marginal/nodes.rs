//! Nodes of φ, and the population coefficients given each of them.

use super::conditional::semidefinite_factor;
use super::crossproducts::CrossProducts;
use super::sums::{ANY, Sizes, Sums, assemble};
use super::{Narrow, Wide, wide::WIDE};
use crate::parallel::in_parts;

/// φ at some nodes.
pub struct Nodes {
    pub q: usize,
    pub sigma: Vec<f64>,
    /// Per node: Λ/σ, q × q; none where priors are flat.
    pub lambda: Vec<f64>,
}

impl Nodes {
    /// `covariance` holds Σ, node by node.
    pub fn new(q: usize, sigma: Vec<f64>, mut covariance: Vec<f64>) -> Self {
        for (lambda, sigma) in covariance.chunks_exact_mut((q * q).max(1)).zip(&sigma) {
            semidefinite_factor(lambda, q);
            lambda.iter_mut().for_each(|x| *x /= sigma);
        }
        Self { q, sigma, lambda: covariance }
    }
}

/// Per node: u = (−c, 1), whose sampled entries are given, and S by rows of its transpose, where
/// SSᵀ is the covariance of the integrated ones. NaN where rounding leaves none.
pub struct Coefficients {
    pub u: Vec<f64>,
    pub root: Vec<f64>,
}

/// The population coefficients given each node; `prior_rows` is P.
pub fn coefficients(
    data: &CrossProducts,
    prior_rows: &[f64],
    nodes: &Nodes,
    n_integrated: usize,
    u: Vec<f64>,
    threads: usize,
) -> Coefficients {
    let mut found = Coefficients { root: vec![0.0; nodes.sigma.len() * n_integrated.pow(2)], u };
    if n_integrated > 0 {
        let solver = Solver { data, prior_rows, nodes, n_integrated };
        let w = data.width;
        let roots = found.root.chunks_exact_mut(n_integrated.pow(2));
        let mut each: Vec<_> = found.u.chunks_exact_mut(w).zip(roots).collect();
        in_parts(&mut each, threads, |first, some| {
            if w >= WIDE {
                solver.solve(first, some, &mut Wide::new(data, n_integrated));
            } else {
                solver.solve(first, some, &mut Narrow::new(data, n_integrated));
            }
        });
    }
    found
}

type Places<'a> = [(&'a mut [f64], &'a mut [f64])];

struct Solver<'a> {
    data: &'a CrossProducts,
    prior_rows: &'a [f64],
    nodes: &'a Nodes,
    n_integrated: usize,
}

impl Solver<'_> {
    fn solve<S: Sums<Data = CrossProducts>>(
        &self,
        first: usize,
        places: &mut Places,
        sums: &mut S,
    ) {
        let arch = pulp::Arch::new();
        match (self.data.q, self.data.width) {
            (1, 2) => arch.dispatch(Solve::<S, 1, 2>(self, first, places, sums)),
            (1, 3) => arch.dispatch(Solve::<S, 1, 3>(self, first, places, sums)),
            (2, 3) => arch.dispatch(Solve::<S, 2, 3>(self, first, places, sums)),
            (1, _) => arch.dispatch(Solve::<S, 1, ANY>(self, first, places, sums)),
            (2, _) => arch.dispatch(Solve::<S, 2, ANY>(self, first, places, sums)),
            _ => arch.dispatch(Solve::<S, ANY, ANY>(self, first, places, sums)),
        }
    }
}

struct Solve<'a, 'b, S, const Q: usize, const W: usize>(
    &'a Solver<'a>,
    usize,
    &'a mut Places<'b>,
    &'a mut S,
);

impl<S: Sums<Data = CrossProducts>, const Q: usize, const W: usize> pulp::WithSimd
    for Solve<'_, '_, S, Q, W>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<T: pulp::Simd>(self, _simd: T) {
        let Self(Solver { data, prior_rows, nodes, n_integrated }, first, places, sums) = self;
        let q = if Q == ANY { data.q } else { Q };
        let w = if W == ANY { data.width } else { W };
        let n_i = *n_integrated;
        let known = Q != ANY && W != ANY;
        let sizes = Sizes { q, w, n_s: w - 1 - n_i, n_i, known };
        let mut f = vec![0.0; w * w];
        for (k, (u, root)) in places.iter_mut().enumerate() {
            let node = first + k;
            let lambda = &nodes.lambda[node * q * q..][..q * q];
            let precision = nodes.sigma[node].powi(-2);
            let determined = sums.forward(data, sizes, lambda, &mut f, false).is_some();
            assemble(&mut f, (w, precision), prior_rows);
            let sampled: Vec<f64> = u[n_i..w - 1].iter().map(|u| -u).collect();
            if !determined || sums.integrate(&f, sizes, &sampled).is_none() {
                u.fill(f64::NAN);
                root.fill(f64::NAN);
                continue;
            }
            u.copy_from_slice(&sums.u()[..w]);
            for (k, row) in root.chunks_exact_mut(n_i).enumerate() {
                row[k] = 1.0;
                sums.scatter(row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_are_those_of_generalised_least_squares() {
        // Two levels of rows (1, y): V_j = σ² + sd² 11ᵀ, so that level means have the precisions
        // 1/(sd² + σ²/n_j); the prior N(1, 4) is one more value.
        let mut data = CrossProducts::new(1, 2, 2);
        for (level, y) in [(0, 2.0), (0, 3.0), (1, 5.0)] {
            data.add_row(level, &mut [1.0], &mut [1.0, y]);
        }
        data.finish(&[1.0]);
        let (sd, sigma): (f64, f64) = (1.5, 0.7);
        let nodes = Nodes::new(1, vec![sigma; 3], vec![sd * sd; 3]);
        let prior = [0.25, 0.25, 0.25, 0.25];
        let found = coefficients(&data, &prior, &nodes, 1, vec![0.0; 6], 2);
        let precisions =
            [1.0 / (sd * sd + sigma * sigma / 2.0), 1.0 / (sd * sd + sigma * sigma), 0.25];
        let total: f64 = precisions.iter().sum();
        let mean = (2.5 * precisions[0] + 5.0 * precisions[1] + precisions[2]) / total;
        for k in 0..3 {
            assert!((found.u[2 * k] + mean).abs() < 1e-13 && found.u[2 * k + 1] == 1.0);
            assert!((found.root[k].powi(2) - 1.0 / total).abs() < 1e-13);
        }
    }
}
