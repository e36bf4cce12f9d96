"""A response that the columns give exactly leaves nothing for sigma: there is no posterior."""

import numpy as np
import pytest

import partialpool as pp
from partialpool.design import build_design
from partialpool.engine.exact import _Columns, left_over
from partialpool.formula import parse_formula
from partialpool.model import pool

FORMULAS = [
    "y ~ x",
    "y ~ 0 + f + x",
    "y ~ x * w",
    "y ~ x + {x**2} + (1 | g)",
    "y ~ x + (x | g)",
    "y ~ w + (0 + x || g)",
    "y ~ x + (1 | g) + (1 | h)",
    "y ~ f + (w | g) + (x | h)",
]
FEW = {"chains": 1, "draws": 20, "warmup": 20, "seed": 1}


def columns(rng, n):
    return {
        "x": rng.normal(rng.choice([0, 50]), 1, n),
        "w": rng.normal(size=n) * 10.0 ** rng.integers(-6, 6),
        "f": rng.choice(["a", "b", "c"], n),
        "g": rng.integers(0, 9, n),
        "h": rng.integers(0, 7, n),
    }


def designed(formula, data, pooling="partial"):
    return pool(build_design(parse_formula(formula), data), pooling)


def combination(formula, data, rng):
    """A random combination of the columns of a formula, those of all levels among them."""
    design = designed(formula, data | {"y": rng.normal(size=len(data["x"]))}).design
    y = design.X @ (rng.normal(size=design.X.shape[1]) / np.abs(design.X).max(axis=0))
    for factor in design.factors:
        own = rng.normal(size=(len(factor.levels), len(factor.terms)))
        y = y + np.sum(own[factor.codes] * factor.Z / np.abs(factor.Z).max(axis=0), axis=1)
    return y * 10.0 ** rng.integers(-3, 4)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("seed", range(3))
def test_what_the_columns_leave(formula, seed):
    """Against least squares with dense columns, for combinations with noise of any size."""
    rng = np.random.default_rng(seed)
    n = int(rng.choice([120, 400, 3000]))
    data = columns(rng, n)
    exact = combination(formula, data, rng)
    size = exact.std()
    noise = rng.normal(size=n) * size
    found = left_over(designed(formula, data | {"y": exact}))
    assert found.exact
    assert found.share < 1e-10
    for share in (1e-1, 1e-3, 1e-5, 1e-7):
        pooled = designed(formula, data | {"y": exact + share * noise})
        design = pooled.design
        own = [design.X]
        for factor in design.factors:
            one = np.eye(len(factor.levels))[factor.codes]
            own += [one * factor.Z[:, [k]] for k in range(factor.Z.shape[1])]
        A = np.hstack(own)
        A = A / np.linalg.norm(A, axis=0).clip(1e-300)
        found = left_over(pooled)
        assert not found.exact
        if n <= 1000:
            left = design.y
            for _ in range(2):
                left = left - A @ np.linalg.lstsq(A, left, rcond=1e-10)[0]
            expected = np.sqrt(np.mean(left**2)) / design.y.std()
            # Some steps of conjugate gradients short of the minimum.
            assert expected * 0.999 < found.share < expected * 1.3 + 1e-9
        else:
            assert 0.3 * share < found.share < 1.5 * share


@pytest.mark.parametrize("method", ["auto", "marginal", "nuts", "metropolis", "reml", "ml"])
@pytest.mark.parametrize("formula", ["y ~ x", "y ~ 0 + f", "y ~ x + (1 | g)", "y ~ x + (x | g)"])
def test_every_engine_stops(formula, method):
    rng = np.random.default_rng(3)
    data = columns(rng, 60)
    data["y"] = combination(formula, data, rng)
    options = {} if method in ("reml", "ml") else {"seed": 1}
    with pytest.raises(pp.InputError, match="fit every row of `y` exactly") as error:
        pp.fit(formula, data, method=method, **options)
    assert str(error.value).count("\n") == 0


def test_other_families_and_poolings():
    rng = np.random.default_rng(4)
    data = columns(rng, 60)
    data["y"] = 2 + rng.normal(size=9)[data["g"]]
    data["p"] = np.exp(data["y"])
    options = {"seed": 1, "draws": 100, "warmup": 300}
    for formula, family in (("y ~ 1 + (1 | g)", "student_t"), ("p ~ 1 + (1 | g)", "lognormal")):
        with pytest.raises(pp.InputError, match=r"exactly \(pooling: partial\)"):
            pp.fit(formula, data, family=family, **options)
    with pytest.raises(pp.InputError, match=r"exactly \(pooling: none\)"):
        pp.fit("y ~ 1 + (1 | g)", data, pooling="none", **options)
    with pytest.raises(pp.InputError, match="exactly"):
        pp.fit("y ~ 1 + (1 | g)", data, sigma="~ x", **options)
    # Other families' parameters, and models with less than that.
    assert pp.fit("y ~ 1 + (1 | g)", data, pooling="complete", **options).run.sigma.mean() > 0.1
    assert pp.fit("p ~ 1 + (1 | g)", data, family="gamma", **FEW)
    data["se"] = np.full(60, 0.5)
    assert pp.fit("y ~ 1 + (1 | g)", data, se="se", **FEW)


def test_a_prior_that_keeps_sigma_off_zero_decides_and_that_is_said():
    rng = np.random.default_rng(5)
    x = rng.normal(size=50)
    data = {"y": 1 + 2 * x, "x": x}
    fit = pp.fit("y ~ x", data, priors={"sigma": pp.Uniform(0.5, 2)}, seed=1)
    assert fit.run.sigma.min() >= 0.5
    assert fit.run.sigma.mean() < 0.52  # σ⁻⁵⁰ from 0.5 on has mean 0.5 · 48/47
    assert [finding.code for finding in fit.findings if finding.level != "info"] == ["exact-fit"]
    for prior in ("inverse_gamma(2, 0.1)", "log_normal(0, 1)"):
        fit = pp.fit("y ~ x", data, priors={"sigma": prior}, method="nuts", **FEW)
        assert "exact-fit" in [finding.code for finding in fit.findings]
    for prior in ("uniform(0, 2)", "half_normal(1)", "gamma(2, 1)"):
        with pytest.raises(pp.InputError, match="there is no posterior"):
            pp.fit("y ~ x", data, priors={"sigma": prior}, **FEW)
    noisy = data | {"y": data["y"] + rng.normal(size=50)}
    fit = pp.fit("y ~ x", noisy, priors={"sigma": pp.Uniform(0.5, 2)}, seed=1)
    assert not fit.findings


@pytest.mark.parametrize("formula", ["y ~ x", "y ~ x + (1 | g)", "y ~ x + (x | g)"])
@pytest.mark.parametrize("share", [1e-5, 1e-7, 1e-10])
def test_very_little_noise_is_no_exact_fit(formula, share):
    """Sigma against the residual sd of least squares; cross-products would lose the smallest."""
    rng = np.random.default_rng(6)
    data = columns(rng, 90)
    data["y"] = combination(formula, data, rng)
    size = share * data["y"].std()
    data["y"] = data["y"] + size * rng.normal(size=90)
    fit = pp.fit(formula, data, seed=1)
    assert fit.method == ("marginal" if share > 1e-6 else "nuts")
    told = [finding.code for finding in fit.findings if finding.level != "info"]
    # Beside it, NUTS may say that it walks badly where sigma is that small.
    assert told[:1] == (["perfect-fit"] if share < 1e-6 else [])
    assert set(told[1:]) <= {"r-hat", "ess", "low-e-bfmi", "divergences"}
    assert 0.75 < fit.run.sigma.mean() / size < 1.3
    if share < 1e-6:
        assert "unexplained" in fit.method_reason
        for method in ("marginal", "metropolis", "reml", "ml"):
            options = {} if method in ("reml", "ml") else {"seed": 1}
            with pytest.raises(pp.InputError, match="leave `method` out"):
                pp.fit(formula, data, method=method, **options)
    else:
        found = pp.fit(formula, data, method="reml").summary().loc["sigma", "estimate"]
        assert 0.75 < found / size < 1.3


def test_as_many_columns_as_rows_are_no_exact_fit():
    rng = np.random.default_rng(7)
    data = {"y": rng.normal(size=30), "x": rng.normal(size=30), "g": np.arange(30)}
    data["two"] = data["g"] // 2
    assert np.isnan(left_over(designed("y ~ 1 + (1 | g)", data)).share)
    assert np.isnan(left_over(designed("y ~ x + (x | two)", data)).share)
    fit = pp.fit("y ~ 1 + (1 | g)", data, **FEW)
    assert fit.method == "marginal"
    # One row more than that, given exactly by the rest.
    more = {name: np.append(values, values[0]) for name, values in data.items()}
    with pytest.raises(pp.InputError, match="exactly"):
        pp.fit("y ~ 1 + (1 | g)", more, **FEW)


@pytest.mark.parametrize("formula", ["y ~ 1", "y ~ 0 + f", "y ~ x + {x**2}", "y ~ x + (1 | g)"])
def test_what_is_left_is_what_least_squares_leave(formula):
    for seed in range(100):
        rng = np.random.default_rng(seed)
        data = columns(rng, int(rng.integers(12, 70)))
        data["y"] = rng.normal(rng.choice([0, 3]), 10.0 ** rng.integers(-4, 4), len(data["x"]))
        pooled = designed(formula, data)
        A = pooled.design.X
        if pooled.design.factors:
            A = np.column_stack([A, np.eye(9)[data["g"]]])
        y = data["y"]
        A = A / np.linalg.norm(A, axis=0).clip(1e-9)
        rest = y - A @ np.linalg.lstsq(A, y, rcond=None)[0]
        found = left_over(pooled)
        assert not found.exact
        assert found.share == pytest.approx(np.sqrt(np.mean(rest**2)) / y.std(), rel=1e-5)


def test_steps_made_of_rounding_change_nothing():
    """The first step finds all; what follows is noise, which once in a thousand cancels."""
    for seed in range(4000):
        rng = np.random.default_rng(seed)
        n, p = int(rng.integers(8, 61)), int(rng.integers(1, 7))
        cells = np.eye(p)[rng.integers(0, p, n)]
        basis = np.linalg.svd(cells / np.linalg.norm(cells, axis=0).clip(1e-9), False)[0]
        y = np.round(rng.normal(size=n), 2)
        left = _Columns(basis, ()).residual(y, 1e-16)
        np.testing.assert_allclose(left, y - basis @ (basis.T @ y), atol=1e-9)
