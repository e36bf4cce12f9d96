"""A few weighted values of one number that stand for many rows."""

import numpy as np
import pytest

import partialpool as pp
from partialpool.effects import condense
from partialpool.effects.condense import Condensed, gauss

QUICK = {"chains": 1, "draws": 15, "warmup": 100, "seed": 2}


@pytest.mark.parametrize("seed", range(5))
def test_gauss_is_exact_for_polynomials_of_twice_the_degree(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(1e3 * seed, 1 + seed, 400).round(int(rng.integers(1, 4)))
    w, size = rng.uniform(0, 3, 400), int(rng.integers(2, 9))
    nodes, weights = gauss(x, w, size)
    assert len(nodes) == size
    assert (weights > 0).all()
    z, at = ((v - x.mean()) / np.ptp(x) for v in (x, nodes))
    for degree in range(2 * size):
        exact = w @ z**degree
        assert abs(weights @ at**degree - exact) < 1e-12 * (w @ np.abs(z) ** degree + 1)
    past = 2 * size
    assert abs(weights @ at**past - w @ z**past) > 1e-12 * (w @ np.abs(z) ** past)


def test_few_values_stay_as_they_are():
    nodes, weights = gauss(np.array([2.0, 5, 2, 3]), np.array([1.0, 2, 3, 4]), 3)
    np.testing.assert_allclose(nodes, [2, 3, 5], rtol=1e-15)
    np.testing.assert_allclose(weights, [4, 4, 2], rtol=1e-15)


def test_values_that_are_nearly_the_same():
    x = np.concatenate([np.full(5, 1.0), 1 + np.arange(8) * 2.0**-52, [2.0, 3.0]])
    nodes, weights = gauss(x, np.ones(15), 6)
    assert np.isfinite(nodes).all()
    assert ((nodes >= 1) & (nodes <= 3)).all()
    np.testing.assert_allclose(weights @ nodes**3, (x**3).sum(), rtol=1e-12)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    n = 1300
    found = {"x": rng.gamma(3, size=n).round(2), "arm": rng.choice(["a", "b", "c"], n)}
    found |= {"k": rng.choice(["u", "v"], n), "g": rng.integers(0, 6, n)}
    eta = 0.3 * found["x"] - 1 + 0.5 * rng.normal(size=6)[found["g"]]
    found["z"] = rng.normal(size=n)
    found["e"] = rng.choice([1.0, 2.0], n)
    found["c"] = rng.poisson(found["e"] * np.exp(eta / 2))
    return found | {"y": rng.random(n) < 1 / (1 + np.exp(-eta))}


CASES = {
    "slopes of levels": ("y ~ arm * x + k + (x | g)", {"family": "bernoulli"}, True),
    "a curve": ("c ~ arm * x + {x**2} + k + (1 | g)", {"family": "negbinomial"}, True),
    "exposure": ("c ~ arm + log(x + 1)", {"family": "poisson", "exposure": "e"}, True),
    "weights": ("y ~ arm * x", {"family": "bernoulli", "weights": "e"}, True),
    "levels apart": ("y ~ arm + x + (1 | g)", {"family": "bernoulli", "pooling": "none"}, True),
    "alike": ("y ~ arm * k + e + (1 | g)", {"family": "bernoulli"}, True),
    "alike and linear": ("z ~ arm * k + e + (k | g)", {"pooling": "none"}, True),
    "linear": ("z ~ arm * x + {x**2} + k", {}, False),
    "a step": ("y ~ arm + x + {x > 2} + (1 | g)", {"family": "bernoulli"}, False),
    "a spline": ("y ~ arm + bs(x, df=5) + k", {"family": "bernoulli"}, False),
}


@pytest.mark.parametrize("name", CASES)
def test_condensed_rows_have_the_averages_of_all(name, data, monkeypatch):
    formula, options, fits = CASES[name]
    fit = pp.fit(formula, data, **options, **QUICK)
    monkeypatch.setattr(condense, "MANY", 10**9)
    whole = [fit.effects(["arm", "k"] if "k" in formula else "arm", pairwise=True, draws=5)]
    number = "e" if "x" not in formula else "x"
    whole += [fit.effects("arm", slope=number, draws=5), fit.effects(number, draws=5)]
    monkeypatch.setattr(condense, "MANY", 500)
    used = []

    class Watched(Condensed):
        def average(self, rows, compute, least):
            def counted(own, weights):
                used.append(len(weights))
                return compute(own, weights)

            return super().average(rows, counted, least)

    monkeypatch.setattr("partialpool.effects.effects.Condensed", Watched)
    found = [fit.effects(["arm", "k"] if "k" in formula else "arm", pairwise=True, draws=5)]
    assert (max(used) < 650) == fits
    found += [fit.effects("arm", slope=number, draws=5), fit.effects(number, draws=5)]
    for one, other in zip(found, whole, strict=True):
        close = 1e-8 if fits else 1e-12
        slope = other["quantity"].str.startswith("slope").to_numpy()
        gap = np.abs(one.draws - other.draws).to_numpy()
        scale = np.abs(other.draws).to_numpy().max()
        assert gap[..., ~slope].max(initial=0) < close * scale
        # All rows: those at the two ends have one-sided slopes.
        assert gap[..., slope].max(initial=0) < 1e-5 * scale


def test_errors_speak_of_all_rows(data):
    keep = ~((data["arm"] == "c") & (data["k"] == "v"))
    data = {name: values[keep] for name, values in data.items()}
    fit = pp.fit("y ~ arm * k + x", data, family="bernoulli", **QUICK)
    count = int((data["k"] == "v").sum())
    with pytest.raises(pp.InputError, match=f"adds in {count} rows"):
        fit.effects("arm")


def test_two_numbers_are_not_condensed(data):
    fit = pp.fit("y ~ arm + x + z", data, family="bernoulli", **QUICK)
    found = Condensed(fit.model, None, np.ones(10), (), ())
    assert found.rules == []
    expected = fit.posterior_predictive({**data, "arm": np.full(1300, "b")}, kind="mean")
    effects = fit.effects("arm")
    np.testing.assert_allclose(effects.draws[..., 1], expected.mean("row"), rtol=1e-10)
