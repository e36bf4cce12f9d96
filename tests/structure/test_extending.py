"""What ARCHITECTURE.md's "Extending" names is enough to add a family, a prior or an engine.

Each is written into a copy of the package, and used from a process of its own.
"""

import re

import pytest

from scratch import Scratch, extending

# Waiting times as those of Weibull, under other names: the core knows its density as `weibull`.
RECORD = '''

_STEEPNESS = Dispersion("steepness", LogNormal(0.5, 1), 0.0, math.inf, "how steep {y} is")


class Ageing(Positive, frozen=True):
    """Waiting times of what ages."""

    dispersion: tuple[Dispersion, ...] = (_STEEPNESS,)
    scatter: str = "steepness"

    def start(self, y: Array, trials: Array | None) -> dict[str, float]:
        return {"steepness": WEIBULL.start(y, trials)["shape"]}

    def noise(self, rng: np.random.Generator, aux: Aux, size: tuple[int, ...]) -> Array:
        return WEIBULL.noise(rng, {"shape": aux["steepness"]}, size)


AGEING = Ageing(
    "ageing",
    core="weibull",
    words={"log": "exp(b) multiplies the mean age"},
    remedies={"spread": 'Try family="gamma", for no reason.'},
)
'''

DATA = """
import numpy as np
import partialpool as pp

rng = np.random.default_rng(7)
g = np.repeat(np.arange(12), 8)
x = rng.normal(size=96)
mean = np.exp(0.5 + 0.4 * x + rng.normal(0, 0.5, 12)[g])
data = {"y": mean * rng.weibull(1.6, 96), "x": x, "g": [f"g{k}" for k in g]}
few = {"draws": 250, "warmup": 250, "seed": 1}
"""

USE_FAMILY = """
fits = {
    name: pp.fit("y ~ x + (1 | g)", data, family=name, **few) for name in ("ageing", "weibull")
}
own, known = fits.values()
renamed = lambda text: text.replace("steepness", "shape")
assert [renamed(name) for name in own.run.scalars] == list(known.run.scalars)
np.testing.assert_array_equal(own.run.b, known.run.b)
np.testing.assert_array_equal(own.summary()["mean"], known.summary()["mean"])
assert "ageing family (log link)" in repr(own)
assert "multiplies the mean age" in repr(own)
assert "How steep y is" in repr(own)
for kind in ("mean", "observation", "linear"):
    one, other = (fit.predict(kind=kind, seed=3) for fit in fits.values())
    np.testing.assert_array_equal(one["mean"], other["mean"])
new = {"x": [0.0, 1.0], "g": ["g1", "elsewhere"]}
assert own.predict(new, new_levels="sample").shape[0] == 2
np.testing.assert_array_equal(own.check(seed=2).table["p"], known.check(seed=2).table["p"])
scores = [fit.loo() for fit in fits.values()]
assert scores[0].elpd == scores[1].elpd
assert own.kfold(3).elpd == known.kfold(3).elpd
effects = [fit.effects("x") for fit in fits.values()]
assert effects[0].equals(effects[1])
assert "closed form" in effects[0].attrs["groups"]
assert list(pp.compare_fits(fits).weights) == list(fits)
assert set(pp.compare("y ~ x + (1 | g)", data, family="ageing", **few).fits) == {
    "complete", "none", "partial"
}
assert own.sensitivity().table.shape == known.sensitivity().table.shape
prior = pp.prior_predictive("y ~ x + (1 | g)", data, family="ageing", draws=250, seed=1)
assert prior.run.scalars["steepness"].min() > 0
assert str(pp.default_priors("y ~ x", data, family="Ageing")["steepness"]) == "LogNormal(0.5, 1)"
held = pp.fit("y ~ x", data, family="ageing", priors={"steepness": pp.Gamma(2, 1)}, **few)
assert held.run.scalars["steepness"].min() > 0
own.save("own.nc")
again = pp.load("own.nc")
assert again.model.family.name == "ageing" and repr(again) == repr(own)
np.testing.assert_array_equal(again.predict(seed=3)["mean"], own.predict(seed=3)["mean"])
for formula, options, said in (
    ("y ~ x", {"se": 1.0}, "`se` is given, but the family is ageing"),
    ("y ~ x", {"sigma": "~ x"}, "the ageing family has no residual sd"),
    ("x ~ 1", {}, "`ageing` needs numbers above 0, but `x` is"),
    ("y ~ x", {"link": "probit"}, "`ageing` has no link `probit`"),
):
    try:
        pp.fit(formula, data, family="ageing", **options)
    except pp.InputError as error:
        assert said in str(error), error
    else:
        raise AssertionError(said)
"""

BEFORE = "class HalfCauchy"
# Half of Student's t with 4 degrees of freedom: the core has its density.
CLASS = '''class HalfFour(_Half, frozen=True):
    """Student's t with 4 degrees of freedom, above 0."""

    scale: float = 1.0

    def kernel(self) -> Kernel:
        return ("student_t", [4.0, 0.0, self.scale])

    def _draw(self, rng: np.random.Generator, size: int) -> Array:
        return np.abs(self.scale * rng.standard_t(4.0, size))

    @property
    def typical(self) -> tuple[float, float]:
        return (self.scale, self.scale)


'''

USE_PRIOR = """
priors = [
    {"sigma": one, "sd_g": one, "b[x]": pp.Normal(0, 3)}
    for one in (pp.HalfFour(2), "half_four(2)", pp.HalfStudentT(4, 2))
]
fits = [pp.fit("y ~ x + (1 | g)", data, priors=one, **few) for one in priors]
for fit in fits[:2]:
    assert "HalfFour(2)" in repr(fit)
    np.testing.assert_array_equal(fit.run.b, fits[2].run.b)
    np.testing.assert_array_equal(fit.sensitivity().table, fits[2].sensitivity().table)
nuts = [pp.fit("y ~ x + (1 | g)", data, priors=p, method="nuts", **few) for p in priors[1:]]
np.testing.assert_array_equal(nuts[0].run.sigma, nuts[1].run.sigma)
drawn = pp.prior_predictive("y ~ x + (1 | g)", data, priors=priors[0], draws=400, seed=1)
same = pp.prior_predictive("y ~ x + (1 | g)", data, priors=priors[2], draws=400, seed=1)
np.testing.assert_array_equal(drawn.run.sigma, same.run.sigma)
assert set(pp.compare("y ~ x + (1 | g)", data, priors={"sigma": pp.HalfFour(2)}, **few).fits)
fits[0].save("own.nc")
assert pp.load("own.nc").priors["sigma"] == pp.HalfFour(2)
for text, said in (("half_fore(2)", "did you mean `HalfFour`?"), ("half_four(0)", "above 0")):
    try:
        pp.fit("y ~ x", data, priors={"sigma": text}, **few)
    except pp.InputError as error:
        assert said in str(error), error
    else:
        raise AssertionError(said)
"""


ENGINE = '''"""An engine that says nothing of how it walks."""

from msgspec.structs import replace

from partialpool.engine.engine import Engine
from partialpool.engine.marginal import run_marginal
from partialpool.engine.run import Run
from partialpool.engine.sampling import Sampling
from partialpool.model import Model, Pooled
from partialpool.model.marginal import build_marginal


def obstacle(pooled: Pooled, priors: object, left: float) -> str | None:
    if not pooled.family.conjugate or len(pooled.design.factors) != 1:
        return "it has not exactly one factor"
    return None


def run_silent(model: Model, sampling: Sampling) -> Run:
    run = run_marginal(model, sampling)
    stats = {"steps": run.stats["lp"] * 0 + 7}
    return replace(run, method="silent", stats=stats, step_size=())


SILENT = Engine("silent", obstacle, build_marginal, run_silent, why="it is the first that can")
'''

USE_ENGINE = """
fit = pp.fit("y ~ x + (1 | g)", data, **few)
assert fit.method == "silent" and "it is the first that can" in repr(fit)
known = pp.fit("y ~ x + (1 | g)", data, method="marginal", **few)
np.testing.assert_array_equal(fit.run.b, known.run.b)
assert fit.coefficients().equals(known.coefficients())
assert fit.loo().elpd == known.loo().elpd
assert fit.loo(by="g").elpd == known.loo(by="g").elpd
assert fit.kfold(3).elpd == known.kfold(3).elpd
assert fit.predict({"x": [0.0], "g": ["new"]}).equals(known.predict({"x": [0.0], "g": ["new"]}))
fit.check(), fit.sensitivity(), fit.effects("x"), fit.draws, fit.to_arviz()
assert {one.code for one in fit.findings} <= {one.code for one in known.findings}
fit.save("fit.nc")
again = pp.load("fit.nc")
assert again.method == "silent"
np.testing.assert_array_equal(again.run.stats["steps"], fit.run.stats["steps"])
assert again.summary().equals(fit.summary())
assert pp.fit("y ~ x", data, **few).method == "marginal"
assert pp.fit("y ~ x + (1 | g)", data, family="gamma", **few).method == "nuts"
try:
    pp.fit("y ~ x", data, method="silent", **few)
except pp.InputError as error:
    assert "cannot sample this model: it has not exactly one factor" in str(error)
else:
    raise AssertionError
assert set(pp.compare("y ~ x + (1 | g)", data, **few).fits) == {"complete", "none", "partial"}
"""


@pytest.fixture
def copy(tmp_path):
    made = Scratch(tmp_path)
    made.run("-c", f"{DATA}import pandas as pd\npd.DataFrame(data).to_csv('data.csv', index=False)")
    return made


def test_a_family(copy):
    copy.change("families/positive.py", ("", RECORD))
    copy.change(
        "families/known.py",
        ("import EXPONENTIAL, GAMMA, WEIBULL", "import AGEING, EXPONENTIAL, GAMMA, WEIBULL"),
        ("        WEIBULL,\n", "        WEIBULL,\n        AGEING,\n"),
        ('    "weibull",\n', '    "weibull",\n    "ageing",\n'),
    )
    assert copy.written == extending("A family")
    copy.run("-c", DATA + USE_FAMILY)
    options = ("--family", "ageing", "--seed", "1", "--draws", "250", "--warmup", "250")
    printed = copy.run("-m", "partialpool", "fit", "data.csv", "y ~ x + (1 | g)", *options)
    assert "ageing family (log link), partial pooling; 96 rows of data.csv" in printed
    assert re.search(r"^ *steepness +\d", printed, re.M)


def test_a_prior(copy):
    copy.change(
        "priors/distributions.py",
        (BEFORE, CLASS + BEFORE),
        ("        HalfCauchy,\n", "        HalfCauchy,\n        HalfFour,\n"),
    )
    copy.change(
        "__init__.py",
        ("    HalfCauchy,\n", "    HalfCauchy,\n    HalfFour,\n"),
        ('    "HalfCauchy",\n', '    "HalfCauchy",\n    "HalfFour",\n'),
    )
    assert copy.written == extending("A prior")
    copy.run("-c", DATA + USE_PRIOR)
    options = ("--prior", "sigma=half_four(2)", "--seed", "1", "--draws", "250", "--warmup", "250")
    printed = copy.run("-m", "partialpool", "fit", "data.csv", "y ~ x + (1 | g)", *options)
    assert re.search(r"^ *sigma .* HalfFour\(2\)$", printed, re.M)


def test_an_engine(copy):
    copy.write("engine/silent.py", ENGINE)
    copy.change(
        "engine/sample.py",
        ("import NUTS\n", "import NUTS\nfrom partialpool.engine.silent import SILENT\n"),
        ("for one in (MARGINAL,", "for one in (SILENT, MARGINAL,"),
        ('Literal["auto", ', 'Literal["auto", "silent", '),
    )
    assert copy.written == extending("An engine", name="silent")
    copy.run("-c", DATA + USE_ENGINE)
    options = ("--method", "silent", "--seed", "1", "--draws", "250", "--warmup", "250")
    printed = copy.run("-m", "partialpool", "fit", "data.csv", "y ~ x + (1 | g)", *options)
    assert "silent engine: you asked for it" in printed
