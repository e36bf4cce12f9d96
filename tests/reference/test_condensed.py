"""A model of points that stand for many rows is the model of the rows.

Both densities are right to some 1e-13 times their condition, so 1e-10 leaves room for that of the
columns here.
"""

import warnings

import numpy as np
import pytest
from msgspec.structs import astuple, replace

from condensing import condensed
from partialpool import _core
from partialpool.design import build_design
from partialpool.engine.options import asked
from partialpool.errors import InputError, NeedsRowsError
from partialpool.formula import parse_formula
from partialpool.likelihood import build_likelihood, maximise
from partialpool.model import known_keys, pool
from partialpool.model.blocks import build_blocks
from partialpool.model.marginal import build_marginal
from partialpool.model.points import with_points
from partialpool.pipeline import estimated, sampled
from partialpool.posterior.estimate import Estimate
from partialpool.posterior.fit import Fit
from partialpool.spec import Spec, pose

CLOSE = 1e-10
RANDOM = range(90)
POPULATION = (
    *("1", "x", "x + z", "f", "x * f", "z + I(z**2) + x", "0 + x", "0 + f + x", "a * x", "lev + x"),
    *("0 + f:x", "x + offset(o)", "poly(x, 2) + f", "C(k, Sum) + x"),
)
GROUPS = (
    *("", "(1 | g)", "(x | g)", "(x || g)", "(f | g)", "(0 + f | g)", "(x + z | g)", "(0 + x | g)"),
    *("(x | g) + (0 + z | g)", "(a | g)", "(C(k, Sum) + x | g)"),
    *("(1 | g) + (1 | h)", "(x | g) + (f | h)", "(x | g) + (z || h)", "(1 | g / h)"),
    *("(z + I(z**2) | g)", "(f || g)", "(1 | one)", "(x | row)"),
)
PRIORS = (
    *({}, {}, {}, {"b": "normal(0, 3)"}, {"b": "student_t(3, 0, 10)"}, {"b": "uniform(-99, 99)"}),
    *({"sigma": "exponential(1)"}, {"sd_g": "normal(0, 2)"}, {"cor_g": "lkj(1)"}),
    *({"b[x]": "normal(1, 0.3)"}, {"b[x]": "flat()"}, {"coef_g": "normal(0, 5)"}),
    *({"coef_g": "flat()"}, {"coef_g": "uniform(-99, 99)"}, {"b[Intercept]": "normal(1, 2)"}),
)


def table(rng):
    """Rows of levels and categories of all sizes; `row` has a level of its own for each row."""
    n = int(rng.integers(40, 300))
    levels = int(rng.integers(2, 15))
    # Some levels have many rows, some one.
    g = np.append([0, 1], rng.choice(levels, n - 2, p=rng.dirichlet(np.full(levels, 0.7))))
    x = rng.choice([0.01, 1.0, 30.0]) * rng.normal(rng.choice([0.0, 3.0, -40.0]), 1.0, n)
    h = rng.integers(0, 5, n)
    y = rng.choice([0.0, 1e4]) + rng.normal(size=20)[g] + rng.normal(size=5)[h]
    return {
        "y": rng.choice([0.01, 1.0]) * (y + (x - x.mean()) / x.std() + rng.normal(size=n)),
        "g": g,
        "h": h,
        "one": np.zeros(n, dtype=int),
        "row": np.arange(n),
        "x": x,
        "z": rng.exponential(size=n) if rng.random() < 0.7 else rng.integers(0, 3, n) * 1.0,
        "lev": np.sin(g),
        "f": np.array(["b", "c", "a"])[rng.integers(0, 3, n)],
        "k": rng.integers(1, 5, n),
        "a": rng.integers(0, 2, n).astype(bool),
        "o": rng.normal(5, 2, n),
        "w": rng.uniform(0.2, 3, n),
    }


def question(seed):
    """A random model: its design, pooling and priors."""
    rng = np.random.default_rng(seed)
    groups = str(rng.choice(GROUPS))
    formula = f"y ~ {rng.choice(POPULATION)}" + f" + {groups}" * bool(groups)
    roles = [{}, {}, {"weights": "w"}, {"se": "w"}][rng.integers(4)]
    pooling = str(rng.choice(["partial", "partial", "complete", "none"]))
    if pooling == "none" and groups.count("|") > 1 and "h" in groups and "/" not in groups:
        pooling = {"g": "none"}
    data = table(rng)
    design = build_design(parse_formula(formula), data, **roles)
    try:
        keys = known_keys(pool(design, pooling).design)
    except InputError:
        return question([seed, 1])
    usable = [own for own in PRIORS if keys >= own.keys()]
    return rng, design, pooling, dict(usable[rng.integers(len(usable))])


def built(design, pooling, priors):
    pooled = pool(design, pooling)
    one = len(pooled.design.factors) < 2
    return pooled, (build_marginal if one else build_blocks)(pooled, priors)


def close(one, other, tolerance=CLOSE):
    """Whether numbers agree, beside the largest of them."""
    one, other = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    assert one.shape == other.shape
    same = one == other  # infinite ones
    size = np.max(np.abs(one), initial=0.0, where=np.isfinite(one))
    with np.errstate(invalid="ignore"):
        far = np.where(same, 0.0, np.abs(one - other))
    return bool(np.max(far, initial=0.0) <= tolerance * size)


def numbers(prior):
    return [v for v in astuple(prior) if isinstance(v, (int, float))]


def assert_same(one, other, rng, density=CLOSE):
    """Two models have the same priors, coordinates, groups and density."""
    assert one.n_rows == other.n_rows == other.reduced.data.n_rows
    assert one.priors.keys() == other.priors.keys()
    for name, prior in one.priors.items():
        assert type(prior) is type(other.priors[name]), name
        assert close([1e-12, *numbers(prior)], [1e-12, *numbers(other.priors[name])]), name
    at, also = one.coordinates["mu"], other.coordinates["mu"]
    # The axes of cell means may be mirrored.
    sign = np.sign(np.sum(at.back * also.back, axis=0))
    assert close(at.back, also.back * sign)
    assert close(at.forward, also.forward * sign[:, None])
    assert close(at.unit, also.unit)
    assert close(at.ones, also.ones)
    assert close([at.level, 1e-9], [also.level, 1e-9])
    for group, same in zip(one.groups, other.groups, strict=True):
        assert np.array_equal(group.levels, same.levels)
        assert np.array_equal(group.counts, same.counts)
        assert np.array_equal(group.estimable, same.estimable)
        if one.pooling != "partial":
            continue
        assert close(group.T, same.T)
        assert close(group.back, same.back)
    start = np.array(one.core.start())
    assert close(start, other.core.start(), 1e-8)  # where chains begin needs no more
    for _ in range(3):
        u = start + rng.normal(size=one.core.dim)
        (value, slope), (found, steep) = (m.core.logp_and_grad(u) for m in (one, other))
        assert value == found or abs(value - found) <= density * max(abs(value), one.n_rows)
        assert close([one.n_rows, *slope], [one.n_rows, *steep], density)


@pytest.mark.parametrize("seed", RANDOM)
def test_random_models(seed):
    """Priors with their numbers, coordinates, levels, density and slope."""
    rng, design, pooling, priors = question([14, seed])
    (_, expected), (_, found) = (built(d, pooling, priors) for d in (design, condensed(design)))
    assert_same(expected, found, rng)


@pytest.mark.parametrize("seed", RANDOM)
def test_corners_stand_for_points(seed):
    """What is done to the corners of cells is done to all their points."""
    _, design, pooling, priors = question([41, seed])
    pooled, found = built(condensed(design), pooling, priors)
    if len(pooled.design.factors) > 1:
        return  # whose points are made anyway
    assert len(pooled.design.y) == len(pooled.design.condensed.whole.fixed) + 1
    points = replace(pooled, design=with_points(pooled.design))
    wanted = build_marginal(points, priors)
    for own, same in zip(wanted.reduced.data.parts(), found.reduced.data.parts(), strict=True):
        assert close(own, same, 1e-12 if "poly" not in design.terms.formula else CLOSE)
    assert close([1e-9, *wanted.core.start()], [1e-9, *found.core.start()], 1e-8)


def test_some_cells_have_their_points():
    """Those of some cells are among those of all, with their levels."""
    design = condensed(
        build_design(parse_formula("y ~ x + (1 | g) + (z | h)"), table(np.random.default_rng(2)))
    )
    every, picked = with_points(design), np.array([3, 0, 7])
    some = with_points(design, picked)
    cells = design.condensed.cells
    copies = _core.cell_points(**cells.told, added=cells.added, sets=[[0]], threads=1)[2]
    first = np.cumsum(copies) - copies
    places = np.concatenate([first[k] + np.arange(copies[k]) for k in picked])
    assert np.array_equal(some.X, every.X[places])
    assert np.array_equal(some.y, every.y[places])
    assert np.array_equal(some.condensed.precision, every.condensed.precision[places])
    for one, other in zip(some.factors, every.factors, strict=True):
        assert np.array_equal(one.Z, other.Z[places])
        assert np.array_equal(one.codes, other.codes[places])


@pytest.mark.parametrize("term", ["x * f", "a * f"])
def test_mirrored_axes(term):
    """The sign of an axis within x:f is one of rounding, and only that of correlations hangs on it.

    So densities are compared where nothing correlates.
    """
    rng = np.random.default_rng(5)
    design = build_design(parse_formula(f"y ~ {term} + ({term} | g)"), table(rng))
    (_, one), (_, other) = (built(d, "partial", {}) for d in (design, condensed(design)))
    q, start = len(one.groups[0].terms), np.array(one.core.start())
    for _ in range(3):
        u = start + 0.0
        u[:q] += rng.normal(size=q)
        u[-1] += rng.normal()
        assert u[q:-1].tolist() == [0.0] * (q * (q - 1) // 2)
        value, found = (m.core.logp_and_grad(u)[0] for m in (one, other))
        assert abs(value - found) <= CLOSE * abs(value)
    sign = np.sign(np.sum(one.groups[0].back * other.groups[0].back, axis=0))
    assert close(one.groups[0].back, other.groups[0].back * sign)


@pytest.mark.parametrize("formula", ["y ~ x + (x | g)", "y ~ x + (x || g)", "y ~ x + f + (1 | g)"])
@pytest.mark.parametrize("pooling", ["partial", "complete", "none"])
def test_predictors_far_from_zero(formula, pooling):
    """A column with mean 10⁹ and sd 1 loses nothing: the density is that of the column near 0.

    (That of the rows themselves rounds its mean, by 10⁻⁷ of an sd.)
    """
    rng = np.random.default_rng(3)
    data = table(rng)
    # Multiples of 2⁻²⁰ stand at 10⁹ as they are.
    data["x"] = np.round(rng.normal(size=len(data["y"])) * 2**20) / 2**20
    far = condensed(build_design(parse_formula(formula), data | {"x": data["x"] + 1e9}))
    _, moved = built(far, pooling, {})
    if "||" in formula and pooling == "partial":  # which refers to 0, or here to the mean
        data["x"] = data["x"] - (far.factors[0].facts.mean[1] - 1e9)
    _, near = built(build_design(parse_formula(formula), data), pooling, {})
    start = np.array(near.core.start())
    for _ in range(3):
        u = start + rng.normal(size=near.core.dim)
        (value, slope), (found, steep) = (m.core.logp_and_grad(u) for m in (near, moved))
        assert abs(value - found) <= CLOSE * abs(value)
        assert close([near.n_rows, *slope], [near.n_rows, *steep])
    for group, same in zip(near.groups, moved.groups, strict=True):
        if "x" in moved.columns and pooling == "none":  # which moves the levels' intercepts
            steps = same.T[0, moved.columns.index("x")] - group.T[0, near.columns.index("x")]
            assert abs(steps / -1e9 - 1) < 1e-8
    if pooling != "none":  # the mean of the response, at that of the predictors
        b = moved.coordinates["mu"].from_working(np.zeros(len(moved.columns)))
        assert abs(b[0] + 1e9 * b[1]) < 1e-6 * (1e9 * abs(b[1]) + 1e6)


def test_priors_about_an_origin_too_far_away():
    """Sds of intercepts where a predictor is 0 cannot be computed from 10⁹ sds away."""
    data = table(np.random.default_rng(3))
    data["x"] = 1e9 + data["z"]
    design = build_design(parse_formula("y ~ x + (x | g)"), data)
    said = []
    for own in (design, condensed(design)):
        with pytest.raises(InputError, match="very far from 0") as error:
            built(own, "partial", {"sd_g": "normal(0, 2)"})
        said.append(str(error.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("formula", ["y ~ x + (x | g)", "y ~ 0 + x + (1 | g)", "y ~ 0 + x"])
@pytest.mark.parametrize("pooling", ["partial", "complete"])
def test_responses_far_from_zero(formula, pooling):
    """As in memory, for responses with mean 10⁹ and sd 1, but for the rounding of their mean."""
    rng = np.random.default_rng(4)
    data = table(rng)
    data["y"] = 1e9 + np.round(rng.normal(size=len(data["y"])) * 2**10) / 2**10
    design = build_design(parse_formula(formula), data)
    if pooling == "complete" and not design.factors:
        pytest.skip("no factor")
    (_, one), (_, other) = (built(d, pooling, {}) for d in (design, condensed(design)))
    assert_same(one, other, rng, density=CLOSE + np.spacing(1e9) / design.y.std())


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("groups", ["f + (x | g)", "(x || g)", "(x | g) + (1 | h)"])
@pytest.mark.parametrize("roles", [{}, {"weights": "w"}])
def test_maximum_of_the_likelihood(groups, roles, restricted):
    """REML and ML: the same log likelihood at the same maximum."""
    rng = np.random.default_rng(8)
    data = table(rng)
    data["x"] = np.round(rng.normal(size=len(data["y"])) * 2**20) / 2**20
    far = data | {"x": data["x"] + (0.0 if "||" in groups else 2.0**16)}
    one, other = (
        maximise(build_likelihood(pool(make(design), "partial"), restricted=restricted))
        for make, rows in ((lambda d: d, data), (condensed, far))
        for design in [build_design(parse_formula(f"y ~ x + {groups}"), rows, **roles)]
    )
    assert other.converged
    assert abs(one.deviance - other.deviance) < CLOSE * abs(one.deviance)
    assert close(one.b[1:], other.b[1:], 1e-7)  # a maximum is flat: half of the digits
    assert abs(one.sigma - other.sigma) < 1e-7 * one.sigma


def fitted(formula, data, reduce, *, roles=None, pooling="partial", priors=None, method="auto"):
    """A fit of the rows, or of points that stand for them."""
    posed = pose(Spec(formula, **(roles or {})), data)
    posed = replace(posed, design=condensed(posed.design)) if reduce else posed
    maximised = method in ("reml", "ml")
    how = asked(method=method, **({} if maximised else {"seed": 1, "chains": 2, "draws": 200}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if maximised:
            return estimated(posed, pooling, priors, how, 0.0, Estimate)
        return sampled(posed, pooling, priors, how, 0.0, Fit)


FITS = {
    "correlated": {"formula": "y ~ x + f + (x | g)"},
    "independent": {"formula": "y ~ x + (x || g)", "roles": {"weights": "w"}},
    "far": {"formula": "y ~ far + (far || g)"},
    "apart": {"formula": "y ~ x + (x | g)", "pooling": "none"},
    "no factor": {"formula": "y ~ x + z", "priors": {"b[x]": "normal(30, 0.1)"}},
    "conflict": {"formula": "y ~ x + (1 | g)", "priors": {"b[x]": "normal(30, 0.1)"}},
    "crossed": {"formula": "y ~ x + (x | g) + (1 | h)", "roles": {"weights": "w"}},
    "known errors": {"formula": "y ~ x + (1 | row)", "roles": {"se": "w"}},
    "one row a level": {"formula": "y ~ x + (1 | row)"},
    "same levels": {"formula": "y ~ x + (1 | g) + (1 | also)"},
    "held": {"formula": "y ~ g2 + (1 | g)"},
    "scales": {"formula": "y ~ x + I(100000 * z) + (1 | g)"},
    "walk": {"formula": "y ~ x + (x | g)", "method": "metropolis"},
    "reml": {"formula": "y ~ x + (x | g)", "method": "reml"},
    "reml, far": {"formula": "y ~ further + (further | g)", "method": "reml"},
    "reml, weights": {"formula": "y ~ x + (1 | g)", "method": "reml", "roles": {"weights": "w"}},
    "ml": {"formula": "y ~ x + (1 | g) + (1 | h)", "method": "ml"},
}


# What hangs on single draws, which rounding moves.
OF_DRAWS = ("r-hat", "ess", "sd-near-zero", "prior-decides", "constant-chain", "acceptance-rate")


@pytest.mark.parametrize("case", FITS)
def test_fits(case):
    """From priors to findings: the same words, and draws of the same distribution."""
    rng = np.random.default_rng(6)
    data = table(rng)
    data |= {
        "far": data["z"] + 500,
        "further": data["z"] + 5000,
        "also": data["g"] + 7,
        "g2": data["g"].astype(str),
    }
    one, other = (fitted(data=data, reduce=reduce, **FITS[case]) for reduce in (False, True))
    said = [[f for f in fit.findings if f.code not in OF_DRAWS] for fit in (one, other)]
    assert [f.code for f in said[0]] == [f.code for f in said[1]]
    if case != "no factor":  # where errors of estimates allow for no single rows
        assert [str(f) for f in said[0]] == [str(f) for f in said[1]]
    assert one.provenance.n_rows == other.provenance.n_rows
    own, same = one.coefficients(), other.coefficients()
    assert own["n"].tolist() == same["n"].tolist()
    if isinstance(one, Fit):
        assert other.method_reason.startswith(one.method_reason)
        assert other.design is None
        a, b = one.summary(), other.summary()
        assert np.all(np.abs(a["mean"] - b["mean"]) <= 5 * np.hypot(a["mcse"], b["mcse"]))
        return
    assert close(own["mean"], same["mean"], 1e-6)
    if "weights" in case:
        with pytest.raises(NeedsRowsError):
            other.variance()
    else:
        assert close(one.variance().table["mean"], other.variance().table["mean"], 1e-6)
    with pytest.raises(NeedsRowsError):
        other.lrt(other)


@pytest.mark.parametrize("noise", [0.0, 1e-9, 1e-8])
def test_exact_responses(noise):
    """What columns give exactly is refused in the same words; nearly so, it needs the rows."""
    rng = np.random.default_rng(7)
    data = table(rng)
    data["y"] = 2 * data["x"] + data["g"] + noise * rng.normal(size=len(data["g"]))
    if noise:
        with pytest.raises(NeedsRowsError, match="of the sd of `y` unexplained"):
            fitted("y ~ x + (x | g)", data, True)
        return
    said = []
    for reduce in (False, True):
        with pytest.raises(InputError, match="exactly") as error:
            fitted("y ~ x + (x | g)", data, reduce)
        said.append(str(error.value))
    assert said[0] == said[1]


@pytest.mark.parametrize(
    "more",
    [
        {"method": "nuts"},
        {"pooling": "none", "priors": {"coef_g": "student_t(3, 0, 3)"}},
        {"roles": {"se": "w"}, "constant": True},
    ],
)
def test_models_that_need_rows(more):
    data = table(np.random.default_rng(7))
    if more.pop("constant", False):
        data["y"] = np.ones(len(data["y"]))
    with pytest.raises(NeedsRowsError, match="one_pass=False"):
        fitted("y ~ x + (x | g)", data, True, **more)


def test_points_have_the_moments():
    """Cells of one row, of few rows, of many: as few points as can be, with the same moments."""
    rng = np.random.default_rng(9)
    data = table(rng)
    design = build_design(parse_formula("y ~ x + (1 | g)"), data)
    found = with_points(condensed(design))
    codes, precision = found.factors[0].codes, found.condensed.precision
    for level in range(len(found.factors[0].levels)):
        rows, points = design.factors[0].codes == level, codes == level
        own = np.column_stack([design.X[rows], design.y[rows]])
        few = np.column_stack([found.X[points], found.y[points] + found.origin])
        assert points.sum() == min(rows.sum(), 3)
        assert abs(precision[points].sum() - rows.sum()) < 1e-9
        scaled = few * precision[points, None] / rows.sum()
        assert close(own.mean(axis=0), scaled.sum(axis=0), 1e-12)
        assert close(np.cov(own.T, bias=True), np.cov(few.T, bias=True), 1e-11)
        assert np.all(few[:, 0] == 1.0)
