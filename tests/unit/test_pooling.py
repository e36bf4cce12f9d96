"""Pooling by factor: which factors stay, and which population columns are left beside them."""

import numpy as np
import pytest
from msgspec.structs import replace

import partialpool as pp
from partialpool.design import build_design
from partialpool.formula import parse_formula
from partialpool.model import default_priors, known_keys, pool, resolve_priors
from partialpool.model.marginal import build_marginal

RNG = np.random.default_rng(17)
N = 48
DATA = {
    "y": RNG.normal(size=N),
    "x": RNG.normal(size=N),
    "z": RNG.normal(size=N),
    "w": np.resize([0.0, 1.0, 0.0, 2.0], N),  # constant within every id
    "id": np.resize(list("pqrs"), N),
    "item": RNG.choice(list("abcdef"), N),
}


def design_of(population, *groups):
    """A design with each of these group terms, for the parser takes one factor only."""
    parts = [build_design(parse_formula(f"{population} + {group}"), DATA) for group in groups]
    return replace(parts[0], factors=tuple(part.factors[0] for part in parts))


CROSSED = design_of("y ~ x + w", "(x | id)", "(1 + z | item)")


def test_one_pooling_is_that_of_every_factor():
    assert pool(CROSSED, "partial").pooling == "partial"
    assert [f.pooled for f in pool(CROSSED, "partial").design.factors] == [True, True]
    complete = pool(CROSSED, "complete")
    assert (complete.pooling, complete.design.factors) == ("complete", ())
    assert complete.vanished == ("z of item",)


@pytest.mark.parametrize("pooling", ["partial", "none", "complete"])
def test_a_mapping_with_the_only_factor_is_that_pooling(pooling):
    design = design_of("y ~ x + w", "(x | id)")
    one, other = pool(design, pooling), pool(design, {"id": pooling})
    for name in ("pooling", "replaced", "dropped", "vanished"):
        assert getattr(one, name) == getattr(other, name)
    assert one.design.columns == other.design.columns
    expected = {"partial": [True], "none": [False], "complete": []}
    assert [factor.pooled for factor in other.design.factors] == expected[pooling]


def test_factors_that_are_not_named_are_partial():
    assert pool(CROSSED, {}).pooling == "partial"
    assert pool(CROSSED, {"item": "partial"}).pooling == "partial"
    assert pool(CROSSED, {"id": "complete", "item": "complete"}).pooling == "complete"
    assert pool(CROSSED, {"item": "none"}).pooling == "partial by id, none by item"


def test_complete_factors_are_dropped_and_the_others_stay():
    pooled = pool(CROSSED, {"item": "complete"})
    (left,) = pooled.design.factors
    assert (left.name, left.pooled) == ("id", True)
    assert np.array_equal(left.T, CROSSED.factors[0].T)
    assert pooled.design.columns == ("Intercept", "x", "w")
    assert pooled.vanished == ("z of item",)
    assert pool(CROSSED, {"id": "complete"}).vanished == ()


def test_the_factor_without_pooling_replaces_its_twins_for_all():
    pooled = pool(CROSSED, {"id": "none", "item": "partial"})
    assert pooled.pooling == "none by id, partial by item"
    # w is constant within every id, so its levels' intercepts take it up.
    assert (pooled.replaced, pooled.dropped) == (("Intercept", "x"), ("w",))
    assert pooled.design.columns == ()
    own, other = pooled.design.factors
    assert (own.pooled, other.pooled) == (False, True)
    assert own.T.shape == other.T.shape == (2, 0)


def test_partial_factors_keep_the_twins_that_are_left():
    design = design_of("y ~ x + z", "(1 | id)", "(1 + x + z | item)")
    pooled = pool(design, {"id": "none"})
    assert pooled.design.columns == ("x", "z")
    assert (pooled.replaced, pooled.dropped) == (("Intercept",), ())
    np.testing.assert_array_equal(pooled.design.X, np.column_stack([DATA["x"], DATA["z"]]))
    # The intercepts of the items have no population intercept left to deviate from.
    np.testing.assert_array_equal(pooled.design.factors[1].T, [[0, 0], [1, 0], [0, 1]])


def test_columns_are_dropped_by_the_factor_without_pooling_alone():
    # w is constant within every id, but not within every item.
    design = design_of("y ~ x + w", "(1 | id)", "(w | item)")
    assert pool(design, {"item": "none"}).dropped == ()
    pooled = pool(design, {"id": "none"})
    assert pooled.dropped == ("w",)
    assert pooled.design.columns == ("x",)
    assert not pooled.design.factors[1].T.any()


def test_complete_and_none_together():
    pooled = pool(CROSSED, {"id": "complete", "item": "none"})
    assert [f.name for f in pooled.design.factors] == ["item"]
    assert (pooled.replaced, pooled.design.columns) == (("Intercept",), ("x", "w"))
    # One factor is left, so it can be computed.
    model = build_marginal(pooled)
    assert (model.pooling, model.groups[0].factor) == ("complete by id, none by item", "item")


def test_priors_follow_the_pooling_of_their_factor():
    design = pool(CROSSED, {"id": "none"}).design
    names = ["coef_id[Intercept]", "coef_id[x]", "sd_item[Intercept]", "sd_item[z]", "cor_item"]
    assert list(default_priors(design)) == [*names, "sigma"]
    assert "cor_item[Intercept,z]" in known_keys(design)
    assert not {key for key in known_keys(design) if key.startswith(("sd_id", "cor_id"))}
    assert resolve_priors({"coef_id": pp.Flat()}, design)["coef_id[x]"] == pp.Flat()
    with pytest.raises(pp.InputError, match="`sd_id`, which is no parameter"):
        resolve_priors({"sd_id": pp.HalfNormal(1)}, design)


BAD = {
    "unknown factor": ({"itm": "none"}, "names `itm`.* did you mean `item`"),
    "unknown pooling": ({"item": "non"}, "unknown pooling `non`: did you mean `none`"),
    "no text": ({"item": None}, "`pooling` is None: choose one of `complete`"),
    "two without": ({"id": "none", "item": "none"}, "`id` and `item` .*at most one factor"),
    "not which": ("none", 'as in pooling={"id": "none", "item": "partial"}'),
    "unknown": ("parttial", "did you mean `partial`"),
    "a list": (["none"], r"`pooling` is \['none'\]: choose one of `complete`"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_poolings(name):
    pooling, message = BAD[name]
    with pytest.raises(pp.InputError, match=message):
        pool(CROSSED, pooling)


def test_a_formula_without_group_terms():
    design = build_design(parse_formula("y ~ x"), DATA)
    assert pool(design, {}).pooling == "partial"
    assert pool(design, "complete").pooling == "complete"
    with pytest.raises(pp.InputError, match="it has no group term"):
        pool(design, {"id": "none"})
    with pytest.raises(pp.InputError, match="the formula has no group term: add one"):
        pool(design, "none")


def test_several_factors_cannot_be_computed_yet():
    with pytest.raises(pp.NotYetError, match=r"`id`, `item`.* not available yet"):
        build_marginal(pool(CROSSED, "partial"))


def test_fit_takes_a_mapping():
    options = {"draws": 20, "warmup": 20, "seed": 1}
    one = pp.fit("y ~ x + (x | id)", DATA, pooling={"id": "none"}, **options)
    other = pp.fit("y ~ x + (x | id)", DATA, pooling="none", **options)
    assert (one.pooling, one.priors) == (other.pooling, other.priors)
    assert np.array_equal(one.run.sigma, other.run.sigma)
    with pytest.raises(pp.InputError, match="did you mean `id`"):
        pp.fit("y ~ x + (x | id)", DATA, pooling={"ids": "none"})
    with pytest.raises(pp.InputError, match="unknown pooling `non`"):
        # Said before any data are read.
        pp.fit("y ~ x + (x | id)", "no such file", pooling={"id": "non"})
