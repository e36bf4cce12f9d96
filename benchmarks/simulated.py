"""Tables with known truth for the cases that no data set of the package serves.

Written once into ``.data``, which git ignores, and again when this file has changed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CACHE = Path(__file__).parent / ".data"

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Table:
    """A generator, and the population's true values, named as the benchmark prints them."""

    make: Callable[[np.random.Generator, dict[str, float]], Columns]
    truth: dict[str, float]
    seed: int

    @property
    def path(self) -> Path:
        return CACHE / f"{self.make.__name__}.csv"

    def write(self) -> None:
        if self.path.exists() and self.path.stat().st_mtime >= Path(__file__).stat().st_mtime:
            return
        columns = self.make(np.random.default_rng(self.seed), self.truth)
        rows = zip(*(values.tolist() for values in columns.values()), strict=True)
        lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
        CACHE.mkdir(exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text("\n".join(lines) + "\n")
        partial.replace(self.path)


def bernoulli(rng: np.random.Generator, true: dict[str, float]) -> Columns:
    """10,000 rows of 0 and 1; 500 groups with correlated intercepts and slopes, 20 rows each."""
    groups, rows = 500, 10_000
    cor = true["cor_g"]
    scale = np.diag([true["sd_g[0]"], true["sd_g[1]"]])
    covariance = scale @ np.array([[1, cor], [cor, 1]]) @ scale
    coef = rng.multivariate_normal([true["b[0]"], true["b[1]"]], covariance, size=groups)
    g = np.repeat(np.arange(groups), rows // groups)
    x = rng.normal(size=rows).round(6)
    eta = coef[g, 0] + coef[g, 1] * x
    y = rng.random(rows) < 1 / (1 + np.exp(-eta))
    return {"g": g + 1, "x": x, "y": y.astype(int)}


def poisson(rng: np.random.Generator, true: dict[str, float]) -> Columns:
    """5,000 counts, one in each cell of two crossed factors of 50 and 100 levels."""
    a, b = (codes.ravel() for codes in np.indices((50, 100)))
    x = rng.normal(size=a.size).round(6)
    eta = true["b[0]"] + true["b[1]"] * x
    eta += true["sd_a"] * rng.normal(size=50)[a] + true["sd_b"] * rng.normal(size=100)[b]
    return {"a": a + 1, "b": b + 1, "x": x, "y": rng.poisson(np.exp(eta))}


BERNOULLI = Table(
    bernoulli,
    {"b[0]": -0.5, "b[1]": 1.0, "sd_g[0]": 1.0, "sd_g[1]": 0.5, "cor_g": 0.4},
    seed=20_240_501,
)
POISSON = Table(
    poisson,
    {"b[0]": 0.5, "b[1]": 0.3, "sd_a": 0.5, "sd_b": 0.4},
    seed=20_240_502,
)
