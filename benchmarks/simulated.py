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


def school_panel(rng: np.random.Generator, true: dict[str, float]) -> Columns:
    """7,230 tests of 1,721 children in 60 schools, up to six years; one child in 30 moves once."""
    children, schools, rows = 1721, 60, 7230
    size = rng.integers(150, 1500, schools)
    female = rng.integers(0, 2, children)
    child, of_child = _ragged(rng, children, rows, at_most=6)
    year = (rng.integers(0, 7 - np.bincount(child)[child])[_first(child)] + of_child) - 2.5
    first, second = rng.integers(0, schools, (2, children))
    moves = rng.random(children) < 1 / 30
    school = np.where(moves[child] & (of_child >= 2), second[child], first[child])
    math = true["b[Intercept]"] + true["b[year]"] * year + true["b[size]"] * size[school]
    math += true["b[year:size]"] * year * size[school] + true["b[female]"] * female[child]
    math += true["sd_child"] * rng.normal(size=children)[child]
    math += true["sd_school"] * rng.normal(size=schools)[school]
    math += true["sigma"] * rng.normal(size=rows)
    if "sd_child[year]" in true:
        math += true["sd_child[year]"] * rng.normal(size=children)[child] * year
        math += true["sd_school[year]"] * rng.normal(size=schools)[school] * year
    return {
        "child": child + 1,
        "school": school + 1,
        "year": year,
        "size": size[school],
        "female": female[child],
        "math": math.round(3),
    }


def school_slopes(rng: np.random.Generator, true: dict[str, float]) -> Columns:
    """The school panel with slopes of children and of schools."""
    return school_panel(rng, true)


def three_factors(rng: np.random.Generator, true: dict[str, float]) -> Columns:
    """26,796 marks of 5,000 pupils by 300 teachers in 100 schools, all three partly crossed.

    Every school has three teachers; a tenth of lessons is at another school, and a tenth is given
    by anybody's teacher.
    """
    pupils, teachers, schools, rows = 5000, 300, 100, 26_796
    pupil, lesson = _ragged(rng, pupils, rows, at_most=8)
    away = rng.random(rows) < 0.1
    home = rng.integers(0, schools, pupils)
    school = np.where(away, rng.integers(0, schools, rows), home[pupil])
    teacher = 3 * school + rng.integers(0, 3, rows)
    teacher = np.where(rng.random(rows) < 0.1, rng.integers(0, teachers, rows), teacher)
    mark = true["b[Intercept]"] + true["b[lesson]"] * lesson
    mark += true["sd_pupil"] * rng.normal(size=pupils)[pupil]
    mark += true["sd_teacher"] * rng.normal(size=teachers)[teacher]
    mark += true["sd_school"] * rng.normal(size=schools)[school]
    mark += true["sigma"] * rng.normal(size=rows)
    return {
        "pupil": pupil + 1,
        "teacher": teacher + 1,
        "school": school + 1,
        "lesson": lesson,
        "mark": mark.round(3),
    }


def answers(rng: np.random.Generator, true: dict[str, float]) -> Columns:
    """7,584 answers, yes or no, of 316 people to 24 items each, and eight predictors."""
    person, item = (codes.ravel() for codes in np.indices((316, 24)))
    x = rng.normal(size=(person.size, 8)).round(4)
    eta = true["b[Intercept]"] + x @ np.array([true[f"b[x{k + 1}]"] for k in range(8)])
    eta += true["sd_person"] * rng.normal(size=316)[person]
    eta += true["sd_item"] * rng.normal(size=24)[item]
    columns = {f"x{k + 1}": x[:, k] for k in range(8)}
    return {"person": person + 1, "item": item + 1, **columns, "y": _yes(rng, eta)}


def visits(rng: np.random.Generator, true: dict[str, float]) -> Columns:
    """100,000 rows of yes or no in 1,000 groups with slopes."""
    site, x = rng.integers(0, 1000, 100_000), rng.normal(size=100_000).round(4)
    slope = true["b[x]"] + true["sd_site[x]"] * rng.normal(size=1000)
    eta = true["b[Intercept]"] + true["sd_site[Intercept]"] * rng.normal(size=1000)[site]
    return {"site": site + 1, "x": x, "y": _yes(rng, eta + slope[site] * x)}


def maximal(rng: np.random.Generator, true: dict[str, float]) -> Columns:
    """8,700 trials, yes or no, of 145 people with 60 items, each of which both kinds have."""
    person, item = (codes.ravel() for codes in np.indices((145, 60)))
    kind = (person + item) % 2 - 0.5
    eta = true["b[Intercept]"] + true["b[kind]"] * kind
    for name, codes in (("person", person), ("item", item)):
        size = codes.max() + 1
        eta = eta + true[f"sd_{name}[Intercept]"] * rng.normal(size=size)[codes]
        eta = eta + true[f"sd_{name}[kind]"] * rng.normal(size=size)[codes] * kind
    return {"person": person + 1, "item": item + 1, "kind": kind, "y": _yes(rng, eta)}


def ratings(rng: np.random.Generator, true: dict[str, float]) -> Columns:
    """1,847 ratings from 1 to 5 by 100 judges."""
    judge, x = rng.integers(0, 100, 1847), rng.normal(size=1847).round(4)
    latent = true["b[x]"] * x + true["sd_judge"] * rng.normal(size=100)[judge]
    latent += rng.logistic(size=1847)
    return {"judge": judge + 1, "x": x, "y": np.digitize(latent, [-2, -0.7, 0.7, 2]) + 1}


def _yes(rng: np.random.Generator, eta: np.ndarray) -> np.ndarray:
    return (rng.random(eta.size) < 1 / (1 + np.exp(-eta))).astype(int)


def many_levels(rng: np.random.Generator, true: dict[str, float], rows: int = 10) -> Columns:
    """100,000 levels of some rows each, with correlated intercepts and slopes."""
    levels, cor = 100_000, true["cor_id"]
    z = rng.normal(size=(2, levels))
    intercept = true["b[Intercept]"] + true["sd_id[Intercept]"] * z[0]
    slope = true["b[x]"] + true["sd_id[x]"] * (cor * z[0] + np.sqrt(1 - cor**2) * z[1])
    id_ = np.repeat(np.arange(levels), rows)
    x = rng.normal(size=id_.size).round(4)
    y = intercept[id_] + slope[id_] * x + true["sigma"] * rng.normal(size=id_.size)
    return {"id": id_ + 1, "x": x, "y": y.round(4)}


def _ragged(
    rng: np.random.Generator, levels: int, rows: int, at_most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's level and its number within, 2 to ``at_most`` rows a level."""
    counts = np.full(levels, 2)
    while (short := rows - counts.sum()) > 0:
        chosen = rng.permutation(np.flatnonzero(counts < at_most))[:short]
        counts[chosen[rng.random(chosen.size) < 0.5]] += 1
    level = np.repeat(np.arange(levels), counts)
    return level, np.arange(rows) - np.repeat(counts.cumsum() - counts, counts)


def _first(level: np.ndarray) -> np.ndarray:
    """Return, for each row, the first row of its level."""
    return np.searchsorted(level, level)


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
_PANEL = {
    "b[Intercept]": -0.7,
    "b[year]": 0.85,
    "b[size]": -0.0003,
    "b[year:size]": -0.0001,
    "b[female]": -0.02,
    "sd_child": 0.8,
    "sd_school": 0.4,
    "sigma": 0.6,
}
SCHOOL_PANEL = Table(school_panel, _PANEL, seed=20_240_503)
SCHOOL_SLOPES = Table(
    school_slopes, _PANEL | {"sd_child[year]": 0.15, "sd_school[year]": 0.1}, seed=20_240_506
)
THREE_FACTORS = Table(
    three_factors,
    {
        "b[Intercept]": 5.0,
        "b[lesson]": 0.1,
        "sd_pupil": 1.0,
        "sd_teacher": 0.5,
        "sd_school": 0.3,
        "sigma": 1.2,
    },
    seed=20_240_504,
)
MANY_LEVELS = Table(
    many_levels,
    {
        "b[Intercept]": 2.0,
        "b[x]": -2.0,
        "sd_id[Intercept]": 1.0,
        "sd_id[x]": 0.5,
        "cor_id": 0.3,
        "sigma": 2.0,
    },
    seed=20_240_505,
)
ANSWERS = Table(
    answers,
    {
        **{"b[Intercept]": -0.2, "b[x1]": 0.5, "b[x2]": -0.4, "b[x3]": 0.3, "b[x4]": 0.2},
        **{"b[x5]": -0.1, "b[x6]": 0.1, "b[x7]": 0.0, "b[x8]": 0.0},
        **{"sd_person": 1.2, "sd_item": 0.6},
    },
    seed=20_240_507,
)
VISITS = Table(
    visits,
    {"b[Intercept]": -0.5, "b[x]": 0.3, "sd_site[Intercept]": 0.8, "sd_site[x]": 0.4},
    seed=20_240_508,
)
MAXIMAL = Table(
    maximal,
    {
        **{"b[Intercept]": 0.6, "b[kind]": 0.4, "sd_person[Intercept]": 0.9},
        **{"sd_person[kind]": 0.4, "sd_item[Intercept]": 0.7, "sd_item[kind]": 0.3},
    },
    seed=20_240_509,
)
RATINGS = Table(ratings, {"b[x]": 0.5, "sd_judge": 1.0}, seed=20_240_510)
