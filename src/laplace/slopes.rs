//! Slopes of the log likelihood by all parameters, and what is known of the levels.

use super::{Laplace, Mode, Parameters};
use crate::blocks::{AllRows, Within};

/// Step of a dispersion parameter, relative to its size.
const STEP: f64 = 1e-5;

/// Slopes of [`Mode::value`].
pub struct Slopes {
    pub by_c: Vec<f64>,
    /// Of each factor, q × q: by G.
    pub by_g: Vec<Vec<f64>>,
    pub by_aux: Vec<f64>,
}

/// Of one factor, given the parameters: per level the covariance of its coefficients (q × q), and
/// how their mode moves with c (q × p).
pub struct Conditionals {
    pub covariance: Vec<f64>,
    pub by_c: Vec<f64>,
}

impl Laplace {
    pub fn slopes(&self, at: Parameters<'_>, mode: &Mode) -> Option<Slopes> {
        let n = self.columns.n;
        let mut by_c = vec![0.0; at.c.len()];
        if mode.r.is_empty() {
            self.columns.gather(0..n, &mode.slopes, &mut by_c, &mut []);
            return Some(Slopes { by_c, by_g: Vec::new(), by_aux: mode.by_aux.clone() });
        }
        let rows = self.weighted(&mode.weights);
        let (mut elimination, _) = self.eliminated(&rows, &vec![0.0; n], at.lambda)?;
        // Fills T too.
        let precisions = elimination.slopes(&[0.0]);
        let all = AllRows { factors: &rows, xy: &[] };
        let within = Within::new(&elimination);
        let variance: Vec<f64> = (mode.weights.root.iter().enumerate())
            .map(|(row, root)| within.inside(&all, row, &mut []) / (root * root))
            .collect();
        let changes = self.changes(&mode.eta, &mode.slopes, at.aux);
        let pull: Vec<f64> = variance.iter().zip(&changes).map(|(v, h)| -0.5 * v * h).collect();
        // The response w/√H of rows √H Z.
        let target: Vec<f64> = (pull.iter().enumerate())
            .map(|(i, w)| w * mode.weights.root[i] / mode.weights.at(i))
            .collect();
        let (mut moved, _) = self.eliminated(&rows, &target, at.lambda)?;
        let means: Vec<Vec<f64>> = (0..mode.r.len()).map(|k| moved.means(k)).collect();
        let shifts = self.of_levels(&means);
        let m: Vec<f64> = (pull.iter().zip(&shifts).enumerate())
            .map(|(i, (w, shift))| w - mode.weights.at(i) * shift)
            .collect();
        let total: Vec<f64> = mode.slopes.iter().zip(&m).map(|(s, m)| s + m).collect();
        self.columns.gather(0..n, &total, &mut by_c, &mut []);
        Some(Slopes {
            by_c,
            by_g: self.by_covariances(&mode.slopes, &m, &precisions),
            by_aux: self.by_dispersion(at, mode, &variance, &shifts),
        })
    }

    fn by_covariances(&self, slopes: &[f64], m: &[f64], precisions: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let factors = self.gathered(slopes).into_iter().zip(self.gathered(m)).zip(precisions);
        factors
            .map(|((t, m), precision)| {
                let q = precision.len().isqrt();
                let mut sum: Vec<f64> = precision.iter().map(|p| -0.5 * p).collect();
                for (t, m) in t.chunks_exact(q).zip(m.chunks_exact(q)) {
                    for i in 0..q {
                        for j in 0..q {
                            sum[i * q + j] += 0.5 * (t[i] * t[j] + m[i] * t[j] + t[i] * m[j]);
                        }
                    }
                }
                sum
            })
            .collect()
    }

    fn by_dispersion(
        &self,
        at: Parameters<'_>,
        mode: &Mode,
        variance: &[f64],
        shifts: &[f64],
    ) -> Vec<f64> {
        let mut by_aux = mode.by_aux.clone();
        let mut aux = at.aux.to_vec();
        for (k, by) in by_aux.iter_mut().enumerate() {
            let step = STEP * at.aux[k].abs().max(1e-3);
            for side in [1.0, -1.0] {
                aux[k] = at.aux[k] + side * step;
                let slopes = self.at_rows(&mode.eta, 0.0, &aux).slopes;
                let curvatures = self.curvatures(&mode.eta, &aux);
                let sum: f64 = (slopes.iter().zip(shifts).zip(curvatures.iter().zip(variance)))
                    .map(|((s, shift), (h, v))| s * shift - 0.5 * h * v)
                    .sum();
                *by += side * sum / (2.0 * step);
            }
            aux[k] = at.aux[k];
        }
        by_aux
    }

    /// What is known of the levels, given the parameters.
    pub fn conditionals(&self, at: Parameters<'_>, mode: &Mode) -> Option<Vec<Conditionals>> {
        let (n, p) = (self.columns.n, self.columns.p);
        if mode.r.is_empty() {
            return Some(Vec::new());
        }
        let mut xy = Vec::with_capacity(n * (p + 1));
        for (i, root) in mode.weights.root.iter().enumerate() {
            xy.extend((0..p).map(|k| self.columns.x[k * n + i] * root));
            xy.push(0.0);
        }
        let (mut elimination, _) =
            self.eliminated(&self.weighted(&mode.weights), &xy, at.lambda)?;
        elimination.invert();
        let of = |k: usize| {
            let found = elimination.conditional(k);
            let rows = found.mean.chunks_exact(p + 1);
            let by_c = rows.flat_map(|row| row[..p].iter().map(|mean| -mean)).collect();
            Conditionals { covariance: found.covariance, by_c }
        };
        Some((0..mode.r.len()).map(of).collect())
    }
}
