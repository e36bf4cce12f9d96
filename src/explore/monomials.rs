//! The monomials of several variables up to a total degree.

/// Number of monomials of `dim` variables up to a degree.
pub fn n_monomials(dim: usize, degree: usize) -> usize {
    (1..=degree).fold(1, |n, k| n * (dim + k) / k)
}

/// Exponents of all monomials by degree, and how each but the first follows from an earlier one.
pub fn monomials(dim: usize, degree: usize) -> (Vec<Vec<usize>>, Vec<(usize, usize)>) {
    let (mut exponents, mut from) = (vec![vec![0; dim]], Vec::new());
    let mut begin = 0;
    for _ in 0..degree {
        let end = exponents.len();
        for k in begin..end {
            // Each monomial once: variables in increasing order.
            let last = exponents[k].iter().rposition(|&e| e > 0).unwrap_or(0);
            for variable in last..dim {
                let mut next = exponents[k].clone();
                next[variable] += 1;
                exponents.push(next);
                from.push((k, variable));
            }
        }
        begin = end;
    }
    (exponents, from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monomials_are_counted_and_unlike() {
        for (dim, degree) in [(1, 5), (2, 8), (3, 4), (7, 3)] {
            let (mut exponents, from) = monomials(dim, degree);
            assert_eq!(exponents.len(), n_monomials(dim, degree));
            assert_eq!(from.len() + 1, exponents.len());
            exponents.sort();
            exponents.dedup();
            assert_eq!(exponents.len(), n_monomials(dim, degree));
        }
    }
}
