"""Default priors mean the same whatever origin, unit or coding a column has.

Random formulas over random data are written in two ways that say one model. With population
coefficients integrated out, the marginal density of the one must be that of the other, at the same
unconstrained point, to rounding; and so must the prior distribution of every linear predictor of
other families. Group coefficients that correlate are compared by the same densities.
"""

import re

import numpy as np
import pandas as pd
import pytest
from msgspec.structs import astuple

import partialpool as pp
from helpers import log_likelihood, model_of, points

POPULATION = (
    "x",
    "z",
    "f",
    "h",
    "x * z",
    "x * f",
    "f * h",
    "x + {x**2}",
    "f * (x + {x**2})",
    "x * f * h",
    "bs(z, df=4)",
    "poly(x, 2) * h",
)
GROUPS = (
    "(1 | g)",
    "(x | g)",
    "(f | g)",
    "(x + z | g)",
    "(x * h | g)",
    "(x + {x**2} | g)",
    "(f + x | g)",
)
N = 120


def data(seed):
    rng = np.random.default_rng(seed)
    # Rows of every combination of categories, so that no interaction has an empty cell.
    frame = pd.DataFrame(
        {
            "x": np.round(rng.normal(rng.normal(0, 3), 1.5, N), 3),
            "z": np.round(rng.gamma(2.0, 1.0, N), 3),
            "f": np.resize(list("abc"), N),
            "h": np.resize(list("ppppqqqqqqq"), N),
            "g": rng.integers(0, 8, N),
        }
    )
    effect = {"a": 0.0, "b": 1.0, "c": -0.7}
    noise = rng.normal(size=N) + rng.normal(size=8)[frame["g"]]
    frame["y"] = 3 + 0.5 * frame["x"] + frame["f"].map(effect) * frame["z"] + noise
    return frame


def formulas(seed):
    rng = np.random.default_rng(1000 + seed)
    picked = rng.choice(POPULATION, size=rng.integers(1, 4), replace=False).tolist()
    if any("poly" in one for one in picked):  # which has x in its span
        picked = [one for one in picked if "poly" in one or "x" not in one]
    return " + ".join(picked), str(rng.choice(GROUPS))


def coded(text, coding):
    """Write another contrast for f, everywhere."""
    return re.sub(r"\bf\b", f"C(f, {coding})", text)


def centred_powers(text):
    return text.replace("{x**2}", "{(x - 3)**2}").replace("poly(x, 2)", "(x + {(x + 1)**2})")


# Another way of writing the same model: of the formula, and of the data.
WRITINGS = {
    "shift of x": (str, lambda d: d.assign(x=d["x"] + 2011)),
    "unit of x, shift of z": (str, lambda d: d.assign(x=d["x"] * 4096, z=d["z"] - 512)),
    "sum contrasts": (lambda t: coded(t, "contr.sum"), pd.DataFrame.copy),
    "helmert contrasts": (lambda t: coded(t, "contr.helmert"), pd.DataFrame.copy),
    "another reference": (lambda t: coded(t, "contr.treatment(base='c')"), pd.DataFrame.copy),
    "another order of categories": (
        str,
        lambda d: d.assign(f=pd.Categorical(d["f"], categories=["c", "a", "b"])),
    ),
    "names of numbers": (str, lambda d: d.assign(h=d["h"].map({"p": 0, "q": 1}))),
    "other powers": (centred_powers, pd.DataFrame.copy),
    "order of terms": (lambda t: " + ".join(reversed(t.split(" + "))), pd.DataFrame.copy),
}


def same_density(one, other, shift=0.0, rel=1e-8):
    for u in points(one, 3, 1):
        # Columns far from 0 keep some 1e-16 · 2011² of their own part.
        assert log_likelihood(other, u) == pytest.approx(log_likelihood(one, u) + shift, rel=rel)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("writing", WRITINGS)
def test_of_the_marginal_density(writing, seed):
    change, recode = WRITINGS[writing]
    population, group = formulas(seed)
    d = data(seed)
    if writing == "order of terms":
        if "(x + {x**2})" in population:
            return  # no sum to turn round
        population = re.sub(r"\{x\*\*2\}", "{x**2}", population)
    one = model_of(f"y ~ {population} + {group}", d).core
    # (the order of group columns is that of their correlations, so it stays)
    other_group = group if writing == "order of terms" else change(group)
    other = model_of(f"y ~ {change(population)} + {other_group}", recode(d)).core
    same_density(one, other)


@pytest.mark.parametrize("seed", range(12))
def test_cell_means(seed):
    """`0 + f` and `1 + f` are one model, in the population and in group terms."""
    d = data(seed).assign(y=lambda d: d["y"] + 500)
    rest = ["", " + x", " + x * f", " + h", " + x * h"][seed % 5]
    group = ["({} f | g)", "({} f + x | g)", "(1 | g)"][seed % 3]
    with_, without = (
        model_of(f"y ~ {sign} f{rest} + {group.format(sign)}", d).core for sign in ("1 +", "0 +")
    )
    same_density(with_, without)


def test_cell_means_made_by_hand():
    """Dummies, and a share with its complement, have the constant in their span too."""
    d = data(1).assign(y=lambda d: d["y"] + 500, p=lambda d: d["z"] / 10)
    d = d.assign(a=1.0 * (d["f"] == "a"), b=1.0 * (d["f"] == "b"), c=1.0 * (d["f"] == "c"))
    d = d.assign(rest=1 - d["p"])
    one = model_of("y ~ f + x + (1 | g)", d).core
    same_density(one, model_of("y ~ 0 + a + b + c + x + (1 | g)", d).core)
    one = model_of("y ~ p + (1 | g)", d).core
    same_density(one, model_of("y ~ 0 + p + rest + (1 | g)", d).core)


@pytest.mark.parametrize("seed", range(6))
def test_of_shift_and_unit_of_the_response(seed):
    population, group = formulas(seed)
    d = data(seed).assign(y=lambda d: np.round(d["y"] * 64) / 64)
    one = model_of(f"y ~ {population} + {group}", d).core
    other = model_of(f"y ~ {population} + {group}", d.assign(y=32 * d["y"] + 4096)).core
    same_density(one, other, shift=-N * np.log(32))


@pytest.mark.parametrize("c", [1e5, 1e-3])
@pytest.mark.parametrize("seed", range(4))
def test_of_a_common_factor_of_precision_weights(seed, c):
    population, group = formulas(seed)
    d = data(seed).assign(w=np.random.default_rng(seed).uniform(0.3, 2, N))
    one = model_of(f"y ~ {population} + {group}", d, weights="w")
    other = model_of(f"y ~ {population} + {group}", d.assign(w=c * d["w"]), weights="w")
    # sigma is √c times as large at the same point; √(w)/sigma is the same.
    same_density(one.core, other.core)
    rates = [model.priors["sigma"].rate for model in (one, other)]
    assert rates[0] / rates[1] == pytest.approx(np.sqrt(c))


def prior_of_predictor(formula, d, **options):
    """Mean and covariance of the linear predictor of every row, under the prior."""
    fit = pp.fit(formula, d, chains=1, draws=4, warmup=4, seed=1, **options)
    at, X = fit.model.coordinates["mu"], fit.design.X
    moments = np.array([prior.typical for prior in at.priors])
    half = X @ (at.back / at.unit) * moments[:, 1]
    centre = at.from_values(moments[:, 0])
    if fit.design.categories:
        # Thresholds at the means of the predictors: differences to these are what is determined.
        half, X = half - half.mean(axis=0), X - X.mean(axis=0)
    return X @ centre, half @ half.T


FAMILIES = {
    "poisson": (lambda d: np.random.default_rng(2).poisson(2.0, N), {}),
    "bernoulli": (lambda d: np.arange(N) % 2, {"weights": np.arange(N) % 3 + 1.0}),
    "gamma": (lambda d: np.exp(d["y"] / 10), {}),
    "cumulative": (lambda d: np.digitize(d["y"], [1, 3, 5]), {}),
    "student_t": (lambda d: d["y"], {"weights": np.arange(N) % 3 + 1.0}),
    "negbinomial": (
        lambda d: np.random.default_rng(2).poisson(2.0, N),
        {"exposure": np.arange(N) % 5 + 1},
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "writing", ["shift of x", "sum contrasts", "another order of categories", "other powers"]
)
def test_of_the_predictor_in_other_families(writing, family):
    change, recode = WRITINGS[writing]
    response, options = FAMILIES[family]
    d = data(3).assign(y=lambda d: response(d))
    population = "f * (x + {x**2}) + h"
    one = prior_of_predictor(f"y ~ {population} + (1 | g)", d, family=family, **options)
    other = prior_of_predictor(
        f"y ~ {change(population)} + (1 | g)", recode(d), family=family, **options
    )
    scale = np.sqrt(np.diag(one[1])).max()
    np.testing.assert_allclose(other[0], one[0], rtol=0, atol=1e-7 * scale)
    np.testing.assert_allclose(other[1], one[1], rtol=0, atol=1e-7 * scale**2)


@pytest.mark.parametrize("formula", ["y ~ x * z + (x | g)", "y ~ x * h + f + (h | g)"])
def test_without_pooling(formula):
    """What levels have for themselves is marginal to what they share."""
    d = data(4)
    one = model_of(formula, d, pooling="none").core
    for moved in (d.assign(x=d["x"] + 2048), d.assign(z=d["z"] - 512), d.assign(x=d["x"] / 8)):
        same_density(one, model_of(formula, moved, pooling="none").core)
    other = formula.replace("h", "C(h, contr.sum)")
    same_density(one, model_of(other, d, pooling="none").core)


@pytest.mark.parametrize("family", ["poisson", "bernoulli", "gamma", "cumulative"])
def test_rows_that_count_are_rows(family):
    """A table of distinct rows with counts has the priors of the table written out."""
    response, _ = FAMILIES[family]
    d = data(5).assign(y=lambda d: response(d), w=np.arange(N) % 4 + 1)
    formula = "y ~ f * x + (x + h | g)"
    short = pp.default_priors(formula, d, family=family, weights="w")
    long = pp.default_priors(formula, d.loc[d.index.repeat(d["w"])], family=family)
    assert list(short) == list(long)
    for name, prior in short.items():
        numbers = [astuple(p) for p in (prior, long[name])]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-9, abs=1e-12), name
