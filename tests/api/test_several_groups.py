"""Models with several groups, a predictor of log sigma and other parameters, made by hand.

What the posterior does with any number of groups, whichever engine drew them.
"""

import h5netcdf
import numpy as np
import pandas as pd
import pytest
from msgspec.structs import replace

import partialpool as pp
from partialpool.design.plan import Plan, PlannedColumns, PlannedPart
from partialpool.draws.posterior import Provenance, population_draws
from partialpool.engine import GroupDraws, Run
from partialpool.families import FAMILIES
from partialpool.findings.run import run_findings
from partialpool.model import Group, Model
from partialpool.posterior.fit import Fit

CHAINS, DRAWS = 2, 50
COLUMNS = PlannedColumns(("Intercept", "x"), ("Intercept", "x"), (), {})
PLAN = Plan((PlannedPart("mu", "y ~ x", COLUMNS, ()),), {})


def group(name, factor, terms, levels, T, pairs=(), **options):
    return Group(
        name=name,
        factor=factor,
        terms=terms,
        levels=np.array(levels, dtype=object),
        counts=np.arange(1, len(levels) + 1),
        T=np.array(T, dtype=float),
        pairs=pairs,
        base=np.zeros(len(terms)),
        back=np.eye(len(terms)),
        estimable=np.ones(len(levels), dtype=bool),
        **options,
    )


GROUPS = (
    group("id", "id", ("Intercept", "x"), ["p", "q", "r"], [[1, 0], [0, 1]], ((0, 1),)),
    group("school:item", "school:item", ("Intercept",), [1, 2], [[1, 0]]),
    group("sigma_id", "id", ("x",), ["p", "q", "r"], [[0, 1]], predictor="sigma"),
)
SCALARS = ("nu", "b_sigma[Intercept]", "b_sigma[x]", "threshold[1]", "threshold[2]", "shape")
LABELS = [
    "b[Intercept]",
    "b[x]",
    "b_sigma[Intercept]",
    "b_sigma[x]",
    "threshold[1]",
    "threshold[2]",
    "sd_id[Intercept]",
    "sd_id[x]",
    "cor_id[Intercept,x]",
    "sd_school:item[Intercept]",
    "sd_sigma_id[x]",
    "nu",
    "shape",
]


def made(method="nuts", pooling="partial"):
    """A fit with draws from nowhere."""
    rng = np.random.default_rng(4)
    shape = (CHAINS, DRAWS)
    model = Model(
        formula="y ~ x + …",
        response="y",
        family=FAMILIES["student_t"],
        link="identity",
        pooling=pooling,
        columns=("Intercept", "x"),
        groups=GROUPS,
        priors={label: pp.HalfNormal(1) for label in LABELS if label.startswith("sd_")},
        coordinates={},
        known_errors=False,
        n_rows=30,
        plan=PLAN,
        reduced=None,
        core=None,
        categories=("low", "middle", "high"),
        sigma_formula="~ x + (x | id)",
    )
    drawn = tuple(
        GroupDraws(
            sd=np.abs(rng.normal(size=(*shape, len(g.terms)))),
            cor=rng.uniform(-1, 1, size=(*shape, len(g.pairs))),
            levels=rng.normal(size=(*shape, len(g.levels), len(g.terms))),
        )
        for g in GROUPS
    )
    run = Run(
        method=method,
        seed=3,
        warmup=10,
        b=rng.normal(size=(*shape, 2)),
        groups=drawn,
        scalars={name: rng.uniform(1, 2, size=shape) for name in SCALARS},
        working=None,
        stats={
            "diverging": np.zeros(shape, dtype=bool),
            "energy": rng.normal(size=shape),
            "lp": rng.normal(size=shape),
        },
        acceptance_rate=(0.3, 0.3) if method == "metropolis" else (),
    )
    facts = Provenance(
        source="the table",
        n_rows=30,
        n_dropped=0,
        method=method,
        method_reason="by hand",
        interval=0.9,
        seconds=1.0,
        versions={"partialpool": "0.1.0"},
        roles={"weights": "w"},
    )
    return Fit(model, run, facts, [])


FIT = made()


def test_order_of_the_population_parameters():
    labels, draws = population_draws(FIT.model, FIT.run)
    assert labels == LABELS
    assert draws.shape == (CHAINS, DRAWS, len(LABELS))
    ids, items, sigmas = FIT.run.groups
    by_label = dict(zip(labels, np.moveaxis(draws, 2, 0), strict=True))
    expected = FIT.run.scalars | {
        "b[x]": FIT.run.b[..., 1],
        "sd_id[x]": ids.sd[..., 1],
        "cor_id[Intercept,x]": ids.cor[..., 0],
        "sd_school:item[Intercept]": items.sd[..., 0],
        "sd_sigma_id[x]": sigmas.sd[..., 0],
    }
    for label, values in expected.items():
        assert np.array_equal(by_label[label], values)
    assert list(FIT.summary().index) == LABELS


@pytest.mark.parametrize("method", ["nuts", "metropolis"])
def test_convergence_is_judged_by_what_the_sampler_walked_over(method):
    labels = made(method).judged_summary.labels
    assert labels[: len(LABELS)] == tuple(LABELS)
    assert labels[len(LABELS) :] == (
        *(f"coef_id[{level},{term}]" for level in "pqr" for term in ("Intercept", "x")),
        *(f"coef_school:item[{level},Intercept]" for level in (1, 2)),
        *(f"coef_sigma_id[{level},x]" for level in "pqr"),
    )


def test_convergence_is_judged_by_some_of_many_levels(monkeypatch):
    monkeypatch.setattr("partialpool.draws.posterior.MOST_JUDGED", 2)
    judged = made().judged_summary
    labels = judged.labels[len(LABELS) :]
    assert [label for label in labels if label.startswith("coef_id[")] == [
        f"coef_id[{level},{term}]" for level in "pr" for term in ("Intercept", "x")
    ]
    assert sum("school" in label for label in labels) == 2
    means = dict(zip(judged.labels, judged.values["mean"], strict=True))
    assert means["coef_id[r,x]"] == pytest.approx(FIT.run.groups[0].coef[:, :, 2, 1].mean())


def test_exact_draws_need_no_judging():
    fit = pp.fit("log_radon ~ floor + (1 | county)", pp.datasets.radon(), draws=9, warmup=9, seed=1)
    assert fit.judged_summary.labels == tuple(fit.summary().index)


def test_summaries_of_each_group():
    ids, items, sigmas = FIT.run.groups
    frame = FIT.summary("coef_school:item")
    assert list(frame.index) == ["coef_school:item[1,Intercept]", "coef_school:item[2,Intercept]"]
    np.testing.assert_allclose(frame["mean"], items.coef.mean((0, 1))[:, 0])
    # Deviations of a group are from the coefficients of its own predictor.
    own = FIT.run.scalars["b_sigma[x]"]
    np.testing.assert_allclose(
        FIT.summary("r_sigma_id")["mean"], (sigmas.coef[..., 0] - own[..., None]).mean((0, 1))
    )
    np.testing.assert_allclose(
        FIT.summary("r_id")["mean"], (ids.coef - FIT.run.b[:, :, None]).mean((0, 1)).ravel()
    )
    assert list(FIT.summary("b_sigma").index) == ["b_sigma[Intercept]", "b_sigma[x]"]
    with pytest.raises(pp.InputError, match="did you mean `r_sigma_id`"):
        FIT.summary("r_sigma_i")


def test_coefficients_of_all_groups():
    frame = FIT.coefficients()
    assert frame["factor"].tolist() == ["id"] * 6 + ["school:item"] * 2 + ["sigma_id"] * 3
    assert frame["level"].tolist() == [*"ppqqrr", 1, 2, *"pqr"]
    assert frame["term"].tolist() == [*["Intercept", "x"] * 3, *["Intercept"] * 2, *["x"] * 3]
    assert frame["n"].tolist() == [1, 1, 2, 2, 3, 3, 1, 2, 1, 2, 3]
    means = [drawn.coef.mean((0, 1)).ravel() for drawn in FIT.run.groups]
    np.testing.assert_allclose(frame["mean"], np.concatenate(means))
    assert [summary.shape for summary in FIT.level_summaries] == [(3, 2, 4), (2, 1, 4), (3, 1, 4)]


def test_group_draws_need_to_know_which():
    picked = FIT.group_draws([2], factor="school:item")
    assert picked.dims == ("chain", "draw", "school:item", "school:item_term")
    assert np.array_equal(picked, FIT.run.groups[1].coef[:, :, [1]])
    assert FIT.group_draws(factor="sigma_id").dims[2:] == ("id", "sigma_id_term")
    with pytest.raises(pp.InputError, match=r"several .*'id' or 'school:item' or 'sigma_id'"):
        FIT.group_draws(["p"])
    with pytest.raises(pp.InputError, match="no group terms of `ids`: did you mean `id`"):
        FIT.group_draws(["p"], factor="ids")
    with pytest.raises(pp.InputError, match="`z` is no level of `id`"):
        FIT.group_draws(["z"], factor="id")


def test_draws_tree():
    posterior = FIT.draws["posterior"]
    dims = {str(name): values.dims[2:] for name, values in posterior.data_vars.items()}
    assert dims == {
        "b": ("term",),
        "b_sigma": ("sigma_term",),
        "threshold": ("threshold_number",),
        "sd_id": ("id_term",),
        "cor_id": ("id_pair",),
        "r_id": ("id", "id_term"),
        "coef_id": ("id", "id_term"),
        "sd_school:item": ("school:item_term",),
        "r_school:item": ("school:item", "school:item_term"),
        "coef_school:item": ("school:item", "school:item_term"),
        "sd_sigma_id": ("sigma_id_term",),
        "r_sigma_id": ("id", "sigma_id_term"),
        "coef_sigma_id": ("id", "sigma_id_term"),
        "nu": (),
        "shape": (),
    }
    picked = posterior["b_sigma"].sel(sigma_term="x")
    assert np.array_equal(picked, FIT.run.scalars["b_sigma[x]"])
    assert np.array_equal(
        posterior["threshold"].sel(threshold_number=2), FIT.run.scalars["threshold[2]"]
    )
    back = posterior["r_sigma_id"].sel(sigma_id_term="x") + picked
    np.testing.assert_allclose(back, FIT.run.groups[2].coef[..., 0])


def test_group_draws_stay_out_of_the_tree_where_they_are_too_many(monkeypatch):
    # r and coef of `id` fill it, those of `school:item` do not fit beside them.
    size = 2 * CHAINS * DRAWS * 3 * 2
    monkeypatch.setattr("partialpool.draws.tree.GROUP_DRAWS_LIMIT", size)
    names = list(made().draws["posterior"].data_vars)
    assert "coef_id" in names
    assert "sd_school:item" in names
    assert not {"coef_school:item", "coef_sigma_id"} & set(names)


def test_text_and_html():
    text = repr(FIT)
    html = FIT._repr_html_()
    assert "student_t family, partial pooling; 30 rows of the table, id with 3 levels" in text
    assert "id with 3 levels, school:item with 2 levels\n" in text
    titles = [
        "Population-level coefficients",
        "Population-level coefficients of log sigma",
        "Thresholds of y, between low | middle | high",
        "How much the coefficients differ between levels of id (sd)",
        "How these differences go together (correlation over id)",
        "How much the coefficients differ between levels of school:item (sd)",
        "How much the coefficients of log sigma differ between levels of id (sd)",
        "Degrees of freedom of y (few: heavy tails)",
        "Shape of y",  # student_t has none: named as it is
    ]
    lines = text.splitlines()
    assert [line for line in lines if line in titles] == titles
    for title in titles:
        assert f">{title}</th>" in html
    for note in (
        "log sigma ~ x + (x | id)",
        "weights: w",
        "exp(b_sigma) multiplies the residual sd",
    ):
        assert note in text
        assert note in html
    mixed = made(pooling="none by id, partial by school:item")
    assert "pooling none by id, partial by school:item; 30 rows" in repr(mixed)


def test_findings_look_at_the_sds_of_every_group():
    # HalfNormal(1) draws under a HalfNormal(1) prior: the data said nothing.
    found = run_findings(FIT.model, FIT.run, FIT.judged_summary)
    named = [f.message.split("`")[1] for f in found if f.code == "prior-decides"]
    assert named == [label for label in LABELS if label.startswith("sd_")]


def test_findings_allow_for_chance_where_many_levels_are_judged():
    summary = FIT.judged_summary
    coef = np.array([label.startswith("coef_") for label in summary.labels])
    good = summary.values | {
        "ess_bulk": np.full(len(coef), 1e3),
        "ess_tail": np.full(len(coef), 1e3),
    }

    def about(others, levels):
        values = good | {"r_hat": np.where(coef, levels, others)}
        found = run_findings(FIT.model, FIT.run, replace(summary, values=values))
        return [f.message for f in found if f.code == "r-hat"]

    assert about(1.009, 1.04) == []
    assert "`coef_id[p,Intercept]`" in about(1.009, 1.06)[0]
    assert "`b[Intercept]`" in about(1.02, 1.04)[0]
    assert "coef_" not in about(1.02, 1.04)[0]


def test_save_and_load(tmp_path):
    rng = np.random.default_rng(5)
    data = {"y": rng.normal(size=60), "x": rng.normal(size=60)}
    data |= {"id": np.resize(list("pqr"), 60), "item": rng.integers(0, 5, 60)}
    formula, sigma = "y ~ x + (x | id) + (1 | item)", "~ x + (1 | id)"
    options = {"family": "student_t", "sigma": sigma, "draws": 20, "warmup": 60, "seed": 1}
    fit = pp.fit(formula, data, **options)
    fit.save(tmp_path / "fit.nc")
    back = pp.load(tmp_path / "fit.nc")
    assert repr(back) == repr(fit)
    assert back._repr_html_() == fit._repr_html_()
    assert back.draws.identical(fit.draws)
    pd.testing.assert_frame_equal(back.coefficients(), fit.coefficients())
    assert list(back.run.scalars) == list(fit.run.scalars)
    assert (back.run.working, back.model.reduced, back.run.sigma) == (None, None, None)
    assert back.model.categories == fit.model.categories
    assert (back.model.link, back.model.family.name) == ("identity", "student_t")
    for one, other in zip(fit.model.groups, back.model.groups, strict=True):
        assert (one.name, one.factor, one.predictor) == (other.name, other.factor, other.predictor)
        assert (one.terms, one.pairs) == (other.terms, other.pairs)
        assert one.levels.tolist() == other.levels.tolist()
        assert (other.known_sd, other.bounds) == (None, None)
        for name in ("counts", "T", "base", "back", "estimable"):
            assert np.array_equal(getattr(one, name), getattr(other, name))
            assert getattr(one, name).dtype == getattr(other, name).dtype
    for one, other in zip(fit.run.groups, back.run.groups, strict=True):
        for name in ("sd", "cor", "coef"):
            assert np.array_equal(getattr(one, name), getattr(other, name))


def test_files_of_an_older_version(tmp_path):
    FIT.save(tmp_path / "fit.nc")
    with h5netcdf.File(tmp_path / "fit.nc", "a") as file:
        file.attrs["partialpool"] = '{"format": 1, "version": "0.1.0", "digest": ""}'
    with pytest.raises(pp.InputError, match=r"written by an older version .*: fit again"):
        pp.load(tmp_path / "fit.nc")


def test_the_sole_group():
    assert pp.fit("y ~ 1", {"y": [1.0, 2.0, 4.0]}, draws=4, warmup=4).model.sole_group is None
    with pytest.raises(AssertionError):
        _ = FIT.model.sole_group


@pytest.mark.parametrize("factor", ["sigma", "b", "coef_sigma", "chain"])
def test_factors_called_like_something_else(factor):
    rng = np.random.default_rng(1)
    data = {"y": rng.normal(size=12), factor: np.resize(["u", "v", "w"], 12)}
    fit = pp.fit(f"y ~ 1 + (1 | {factor})", data, draws=10, warmup=10, seed=1)
    posterior = fit.draws["posterior"]
    level = factor if factor == "coef_sigma" else f"{factor}_level"
    assert posterior[f"coef_{factor}"].dims == ("chain", "draw", level, f"{factor}_term")
    assert fit.group_draws(["v"]).dims == posterior[f"coef_{factor}"].dims
    assert np.array_equal(posterior["sigma"], fit.run.sigma)
