"""Effects of several predictors against closed forms, brute-force integration and predictions.

What is expected is computed here from the draws of the parameters: columns of the design are made
from their names, levels are integrated over by the trapezoid rule, row by row and draw by draw,
slopes are those of the same integrals. Both sides use the same draws, so they differ by the error
of quadrature (below 3e-7) and of finite differences alone.
"""

import itertools
import zlib

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.families import FAMILIES, Given

J, N = 6, 72
QUICK = {"chains": 2, "draws": 12, "warmup": 120}
T = np.linspace(-18, 18, 721)  # e to a power of many sds has its mass far out
NORMAL = np.exp(-(T**2) / 2) / np.exp(-(T**2) / 2).sum()  # error far below rounding
NUMBERS = ["mean", "sd", "lower", "upper"]


def rows(seed):
    """Predictors that repeat, two categorical ones, two factors."""
    rng = np.random.default_rng(seed)
    x = rng.choice(np.round(rng.normal(0.5, 1, 9), 2), N)
    data = {"x": x, "z": rng.choice([-1.0, 0.5, 2.0], N), "arm": rng.choice(["a", "b", "c"], N)}
    data |= {"k": rng.choice(["u", "v"], N), "g": np.tile(np.arange(J), N // J)}
    return rng, data | {"h": rng.choice(["p", "q", "r"], N)}


def responses(rng, data):
    """A response of each family."""
    eta = 0.4 * data["x"] - 0.5 * (data["arm"] == "b") + 0.7 * rng.normal(size=J)[data["g"]]
    mu, p = np.exp(eta / 2), 1 / (1 + np.exp(-eta))
    zero = rng.random(N) < 0.3
    counts, wide = rng.poisson(mu), rng.negative_binomial(3, 3 / (3 + mu))
    shares = np.clip(rng.beta(5 * p, 5 * (1 - p)), 0.001, 0.999)
    ordered = np.digitize(eta + rng.logistic(size=N), [-1, 1])
    return {
        "gaussian": eta + rng.normal(size=N),
        "student_t": eta + rng.standard_t(5, N),
        "lognormal": np.exp(eta / 2 + 0.5 * rng.normal(size=N)),
        "bernoulli": rng.random(N) < p,
        "binomial": rng.binomial(7, p),
        "poisson": counts,
        "negbinomial": wide,
        "gamma": rng.gamma(2, mu / 2),
        "exponential": rng.exponential(mu),
        "weibull": mu * rng.weibull(1.5, N),
        "beta": shares,
        "cumulative": pd.Categorical.from_codes(ordered, ["low", "mid", "high"], ordered=True),
        "zero_inflated_poisson": np.where(zero, 0, counts),
        "zero_inflated_negbinomial": np.where(zero, 0, wide),
        "hurdle_poisson": np.where(zero, 0, counts),
        "hurdle_negbinomial": np.where(zero, 0, wide),
    }


def fitted(formula, family, seed=3, **options):
    rng, data = rows(seed)
    data["y"] = responses(rng, data)[family]
    if family == "binomial":
        options["trials"] = 7
    return pp.fit(formula, data, family=family, seed=seed, **QUICK | options), pd.DataFrame(data)


def design(names, data):
    """Columns from what they are called: products of numbers and of categories."""
    out = np.ones((len(data), len(names)))
    for j, name in enumerate(names):
        for part in name.split(":"):
            if "[T." in part:
                column, value = part.rstrip("]").split("[T.")
                out[:, j] *= (data[column] == value).to_numpy()
            elif part != "Intercept":
                out[:, j] *= data[part].to_numpy()
    return out


def flat(draws):
    return draws.reshape(-1, *draws.shape[2:])


def brute(fit, data, chosen=(), kind="mean"):
    """The average expected response: (draw,), or (draw, category)."""
    model, run = fit.model, fit.run
    eta = flat(run.b) @ design(model.columns, data).T
    variance = np.zeros_like(eta)
    for group, drawn in zip(model.groups, run.groups, strict=True):
        Z = design(group.terms, data)
        sd = flat(drawn.sd)
        cor = np.eye(len(group.terms)) * np.ones((len(sd), 1, 1))
        for k, (i, j) in enumerate(group.pairs):
            cor[:, i, j] = cor[:, j, i] = flat(drawn.cor)[:, k]
        if group.factor in chosen:
            names = list(group.levels)
            level = [names.index(v) for v in data[group.factor]]
            r = flat(fit.group_draws(factor=group.name).to_numpy())
            own = np.stack([flat(run.b)[:, model.columns.index(t)] if t in model.columns
                            else np.zeros(len(sd)) for t in group.terms], axis=-1)  # fmt: skip
            eta = eta + np.einsum("rt,drt->dr", Z, r[:, level] - own[:, None])
        else:
            variance += np.einsum("rt,dt,dtu,du,ru->dr", Z, sd, cor, sd, Z)
    if kind == "linear":
        return eta.mean(axis=1)
    at = eta[..., None] + np.sqrt(variance)[..., None] * T
    aux = {n: v.ravel()[:, None, None] for n, v in run.scalars.items() if "[" not in n}
    if kind == "probability":
        cuts = np.stack([flat(run.scalars[f"threshold[{k}]"]) for k in (1, 2)], axis=-1)
        values = model.family.probabilities(at, model.link, cuts[:, None, None])
        return np.einsum("t,drtk->dk", NORMAL, values) / len(data)
    trials = np.array(7.0) if model.family.name == "binomial" else None
    values = model.family.mean(at, Given(model.link, aux, trials))
    return (values @ NORMAL).mean(axis=1)


def derivative(fit, data, name, **options):
    """By the five-point rule, whose error is of the order of 1e-9 here."""
    h = 0.01
    ends = [brute(fit, data.assign(**{name: data[name] + s * h}), **options)
            for s in (-2, -1, 1, 2)]  # fmt: skip
    return (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * h)


def drawn(found):
    """Draws of every row: (row, draw)."""
    return found.draws.stack(all=("chain", "draw")).transpose("row", "all").to_numpy()


def assert_sums_up(found):
    """The numbers of a table follow from its draws."""
    draws, mass = drawn(found), found.attrs["interval"]
    tails = np.quantile(draws, [(1 - mass) / 2, (1 + mass) / 2], axis=1)
    expected = np.column_stack([draws.mean(axis=1), draws.std(axis=1, ddof=1), *tails])
    np.testing.assert_allclose(found[NUMBERS], expected, rtol=1e-12, atol=1e-13)


def assert_compares(found, by, change=np.subtract):
    """Comparisons are of those predictions that their rows name."""
    draws, category = drawn(found), found.get("category", pd.Series("", index=found.index))
    own = found["quantity"].isin(["prediction", "slope"])
    places = {
        (*key, c): k
        for k, (key, c) in enumerate(
            zip(found[by].itertuples(index=False, name=None), category, strict=True)
        )
        if own[k]
    }
    for k, row in enumerate(found.to_dict("records")):
        if own[k]:
            continue
        at = [row[name] for name in by]
        other = [row[f"reference_{name}"] for name in by]
        if "interaction" in row["quantity"] or "ratio of " in row["quantity"]:
            here, there = [at[0], *other[1:2], *at[2:]], [other[0], *at[1:2], *at[2:]]
            cells = [at, there, here, other]
        else:
            cells = [at, other]
        x = [draws[places[*cell, category[k]]] for cell in cells]
        expected = change(x[0], x[1])
        if len(x) == 4:
            expected = change(expected, change(x[2], x[3]))
        np.testing.assert_allclose(draws[k], expected, rtol=1e-12, atol=1e-13)


FORMULAS = (
    "y ~ x + arm + (1 | g)",
    "y ~ x * arm + z + (1 | g)",
    "y ~ arm * k + x + (x | g)",
    "y ~ x * k * arm + (1 | g) + (1 | h)",
    "y ~ arm * z + k",
)
BY = (["arm"], ["arm", "k"], ["x", "arm"], ["k", "arm", "x"], ["z", "k"])


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "cumulative"])
def test_predictions_and_slopes_of_random_designs(family):
    rng = np.random.default_rng(zlib.crc32(family.encode()))
    formula = FORMULAS[rng.integers(len(FORMULAS))]
    fit, data = fitted(formula, family)
    names = [by for by in BY if set(by) <= set(fit.model.plan.predictors)]
    by = names[rng.integers(len(names))]
    at = {"x": [-0.5, 1.0], "z": [0.0, 2.0]}
    values = {name: at.get(name, sorted(data[name].unique())) for name in by}
    fixed = {"x": 0.7} if "x" not in by and rng.random() < 0.5 and "x" in formula else {}
    asked = {name: own for name, own in at.items() if name in by} | fixed
    number = "z" if "z" in formula else "x"
    places = [dict(zip(by, own, strict=True)) for own in itertools.product(*values.values())]
    set_ = [data.assign(**fixed, **place) for place in places]
    for kind in ("mean", "linear"):
        found = fit.effects(by, asked, kind=kind)
        expected = np.stack([brute(fit, own, kind=kind) for own in set_])
        predicted = (found["quantity"] == "prediction").to_numpy()
        np.testing.assert_allclose(drawn(found)[predicted], expected, rtol=1e-6, atol=1e-7)
        assert found.loc[predicted, by].to_dict("records") == places
        assert_compares(found, by)
        assert_sums_up(found)
    found = fit.effects(by, asked, slope=number, pairwise="all")
    expected = np.stack([derivative(fit, own, number) for own in set_])
    # At the ends of the data one-sided, off by 1e-4 of a curvature.
    np.testing.assert_allclose(drawn(found)[: len(places)], expected, rtol=1e-3, atol=3e-4)
    assert_compares(found, by)


def test_slopes_inside_the_data_are_those_of_the_integral():
    fit, data = fitted("y ~ x * arm + (x | g)", "bernoulli")
    found = fit.effects(["arm", "x"], {"x": [-0.3, 0.2]}, slope="x", pairwise=True)
    for k, (arm, x) in enumerate(itertools.product("abc", (-0.3, 0.2))):
        expected = derivative(fit, data.assign(arm=arm, x=x), "x")
        np.testing.assert_allclose(drawn(found)[k], expected, rtol=1e-5, atol=1e-6)
    assert found["quantity"].tolist() == ["slope"] * 6 + ["slope contrast"] * 6
    assert_compares(found, ["arm", "x"])
    alike = data.assign(x=0.4)
    found = fit.effects("arm", slope="x", data=alike)
    for k, arm in enumerate("abc"):
        expected = derivative(fit, alike.assign(arm=arm), "x")
        np.testing.assert_allclose(drawn(found)[k], expected, rtol=1e-5, atol=1e-6)


def test_slopes_at_one_value_take_steps_as_small_as_the_data_are_spread():
    rng, data = rows(6)
    data["x"] = data["x"] * 1e-5
    data["y"] = rng.random(N) < 0.5
    fit = pp.fit("y ~ x * arm + (1 | g)", data, family="bernoulli", seed=6, **QUICK)
    one = fit.effects("arm", {"x": 4e-6}, slope="x", groups="none")
    axis = fit.effects(["arm", "x"], {"x": [4e-6]}, slope="x", groups="none")
    b = dict(zip(fit.model.columns, flat(fit.run.b).T, strict=True))
    slope = b["x"] + b["x:arm[T.b]"] if "x:arm[T.b]" in b else b["x"] + b["arm[T.b]:x"]
    eta = b["Intercept"] + b["arm[T.b]"] + 4e-6 * slope
    expected = slope * np.exp(-eta) / (1 + np.exp(-eta)) ** 2
    for found in (one, axis):
        np.testing.assert_allclose(drawn(found)[1], expected, rtol=1e-6)


def test_probabilities_of_categories_by_group():
    fit, data = fitted("y ~ arm * x + (1 | g)", "cumulative")
    found = fit.effects(["arm", "x"], {"x": [0.0, 1.0]}, kind="probability", ratio=True)
    places = list(itertools.product("abc", (0.0, 1.0)))
    for k, (arm, x) in enumerate(places):
        expected = brute(fit, data.assign(arm=arm, x=x), kind="probability")
        np.testing.assert_allclose(drawn(found)[3 * k : 3 * k + 3], expected.T, rtol=1e-6)
    assert found["category"].tolist() == ["low", "mid", "high"] * (len(found) // 3)
    assert_compares(found, ["arm", "x"], np.divide)
    assert_sums_up(found)


@pytest.mark.parametrize("pairwise", [False, "within", "all", "interaction"])
@pytest.mark.parametrize("ratio", [False, True])
def test_what_is_compared(pairwise, ratio):
    fit, _ = fitted("y ~ arm * k * x + (1 | g)", "poisson")
    by, at = ["arm", "k", "x"], {"x": [0.0, 1.0]}
    found = fit.effects(by, at, pairwise=pairwise, ratio=ratio)
    assert_compares(found, by, np.divide if ratio else np.subtract)
    assert_sums_up(found)
    count = {False: 11, "within": 3 * 4, "all": 12 * 11 // 2, "interaction": 3 * 1 * 2}
    rest = found.iloc[12:]
    assert len(rest) == count[pairwise]
    plain, crossed = ("ratio", "ratio of ratios") if ratio else ("contrast", "interaction")
    assert set(rest["quantity"]) == {crossed if pairwise == "interaction" else plain}
    same = rest.apply(lambda row: [row[n] == row[f"reference_{n}"] for n in by], axis=1).tolist()
    if pairwise == "within":
        assert same == [[False, True, True]] * 12
    elif pairwise == "interaction":
        assert same == [[False, False, True]] * 6
    elif not pairwise:
        first = {"reference_arm": "a", "reference_k": "u", "reference_x": 0.0}
        assert rest[list(first)].to_dict("records") == [first] * 11
        assert found.attrs["reference"] == {"arm": "a", "k": "u", "x": 0.0}


def test_exponentiated_differences_are_odds_and_rate_ratios():
    for family, name in (
        ("bernoulli", "odds ratio"),
        ("poisson", "rate ratio"),
        ("gamma", "mean ratio"),
        ("lognormal", "median ratio"),
        ("zero_inflated_poisson", "rate ratio"),
        ("hurdle_poisson", "untruncated rate ratio"),
        ("hurdle_negbinomial", "untruncated rate ratio"),
    ):
        fit, _ = fitted("y ~ arm * k + x + (1 | g)", family)
        b = dict(zip(fit.model.columns, flat(fit.run.b).T, strict=True))
        found = fit.effects(["arm", "k"], kind="linear", ratio=True, pairwise="interaction")
        assert found["quantity"].tolist() == ["prediction"] * 6 + [f"ratio of {name}s"] * 3
        np.testing.assert_allclose(drawn(found)[6], np.exp(b["arm[T.b]:k[T.v]"]), rtol=1e-11)
        found = fit.effects("arm", {"k": "v"}, kind="linear", ratio=True, reference="b")
        assert found["quantity"].tolist()[3:] == [name] * 2
        difference = b["arm[T.c]"] + b["arm[T.c]:k[T.v]"] - b["arm[T.b]"] - b["arm[T.b]:k[T.v]"]
        np.testing.assert_allclose(drawn(found)[4], np.exp(difference), rtol=1e-11)


@pytest.mark.parametrize("name", [n for n, f in FAMILIES.items() if "log" in f.links])
def test_rate_and_mean_ratios_are_those_of_means(name):
    """Of a level without deviations, ratios have these names where they are ratios of means."""
    fit, _ = fitted("y ~ arm + (1 | g)", name)
    options = {"by": "arm", "groups": "none", "ratio": True}
    linear, mean = fit.effects(kind="linear", **options), fit.effects(**options)
    same = np.allclose(drawn(linear)[3:], drawn(mean)[3:], rtol=1e-10)
    assert same == (linear["quantity"].iloc[3] in ("rate ratio", "mean ratio"))


def test_references():
    fit, _ = fitted("y ~ arm * k + (1 | g)", "gaussian")
    by = ["arm", "k"]
    for reference in (["b", "v"], {"k": "v", "arm": "b"}):
        found = fit.effects(by, reference=reference)
        rest = found.iloc[6:]
        assert len(rest) == 5
        assert {*zip(rest["reference_arm"], rest["reference_k"], strict=True)} == {("b", "v")}
        assert_compares(found, by)
    found = fit.effects(by, reference={"arm": "b"})  # within each k
    rest = found.iloc[6:]
    assert len(rest) == 4
    assert (rest["k"] == rest["reference_k"]).all()
    assert set(rest["reference_arm"]) == {"b"}
    assert_compares(found, by)
    assert found.attrs["reference"] == {"arm": "b"}
    one = fit.effects("arm", reference="c")
    assert one.loc[one["quantity"] == "contrast", ["value", "reference"]].to_numpy().tolist() == [
        ["a", "c"],
        ["b", "c"],
    ]
    pairs = fit.effects("arm", pairwise=True)
    assert pairs.loc[3:, ["value", "reference"]].to_numpy().tolist() == [
        ["b", "a"],
        ["c", "a"],
        ["c", "b"],
    ]


# --- Chosen levels --------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["partial", "none"])
@pytest.mark.parametrize("family", FAMILIES)
def test_chosen_levels_are_predicted_as_predictions_are(family, pooling):
    fit, data = fitted("y ~ x + arm + (x | g)", family, pooling=pooling)
    at = {"x": [0.0, 1.0]}
    found = fit.effects("x", at, groups={"g": ["4", 2]})
    named = fit.effects(["x", "g"], at | {"g": [4, 2]})
    np.testing.assert_array_equal(drawn(named)[:4], drawn(found)[:4])
    for k, (x, g) in enumerate(itertools.product(at["x"], (4, 2))):
        rows = data.drop(columns="y").assign(x=x, g=g)
        expected = fit.posterior_predictive(rows, kind="mean").mean("row").to_numpy().ravel()
        np.testing.assert_allclose(drawn(found)[k], expected, rtol=1e-10)
    assert found["g"].tolist() == [4, 2] * 4
    assert found["quantity"].tolist() == ["prediction"] * 4 + ["contrast"] * 2 + ["slope"] * 2
    np.testing.assert_array_equal(drawn(found)[4:6], drawn(found)[2:4] - drawn(found)[:2])
    assert_sums_up(found)
    assert found.attrs["groups"] == "chosen: g"


@pytest.mark.parametrize("family", ["gaussian", "bernoulli", "poisson"])
def test_others_are_integrated_beside_chosen_levels(family):
    fit, data = fitted("y ~ x + arm + (x | g) + (1 | h)", family)
    found = fit.effects(["arm", "h"], {"h": ["q", "p"]}, pairwise=True)
    for k, (arm, h) in enumerate(itertools.product("abc", "qp")):
        expected = brute(fit, data.assign(arm=arm, h=h), chosen=["h"])
        np.testing.assert_allclose(drawn(found)[k], expected, rtol=1e-6, atol=1e-7)
    assert_compares(found, ["arm", "h"])
    assert found.attrs["groups"].startswith("chosen: h; others integrated over the population")
    both = fit.effects("x", {"x": [0.5]}, groups={"h": "q", "g": 3})
    expected = brute(fit, data.assign(x=0.5, h="q", g=3), chosen=["g", "h"])
    np.testing.assert_allclose(drawn(both)[0], expected, rtol=1e-9)
    inner = fit.effects(["arm"], groups={"h": "q", "g": [3, 1]}, slope="x")
    for k, (arm, g) in enumerate(itertools.product("abc", (3, 1))):
        expected = derivative(fit, data.assign(arm=arm, h="q", g=g), "x", chosen=["g", "h"])
        np.testing.assert_allclose(drawn(inner)[k], expected, rtol=3e-4, atol=3e-4)


def test_combinations_of_grouping_columns_and_levels_of_log_sigma():
    rng, data = rows(5)
    data["y"] = np.exp(0.3 * data["x"] + rng.normal(size=N))
    formula = "y ~ x + (1 | g) + (1 | g:h)"
    fit = pp.fit(formula, data, family="lognormal", sigma="~ 1 + (1 | g)", seed=2, **QUICK)
    with pytest.raises(pp.InputError, match="is infinite"):
        fit.effects("x")
    names = [str(level) for level in fit.model.groups[1].levels[:2]]
    found = fit.effects("x", {"x": [0.5]}, groups={"g:h": names})
    for k, name in enumerate(names):
        g, h = name.split(":")
        rows_ = pd.DataFrame({"x": [0.5], "g": [int(g)], "h": [h]})
        expected = fit.posterior_predictive(rows_, kind="mean").to_numpy().ravel()
        np.testing.assert_allclose(drawn(found)[k], expected, rtol=1e-10)
    assert found["g:h"].tolist() == names * 2


def test_new_rows_need_no_column_of_chosen_levels(tmp_path):
    fit, data = fitted("y ~ x * arm + (1 | g)", "bernoulli", pooling="none")
    new = data[["x", "arm"]].iloc[:20]
    found = fit.effects("arm", groups={"g": [1, 5]}, data=new)
    own = fit.posterior_predictive(new.assign(arm="b", g=5), kind="mean").mean("row")
    np.testing.assert_allclose(drawn(found)[3], own.to_numpy().ravel(), rtol=1e-10)
    fit.save(tmp_path / "fit.nc", rows=False)
    back = pp.load(tmp_path / "fit.nc").effects("arm", groups={"g": [1, 5]}, data=new)
    pd.testing.assert_frame_equal(back, found)
