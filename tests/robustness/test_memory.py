"""What does not fit into memory, or is absurd, is refused in one sentence before any work.

The last test runs the engines in processes of their own and compares the memory that they take
with what is counted: more, and a machine would run out of it; much less, and fits that would go
well are refused.
"""

import subprocess
import sys

import numpy as np
import pytest

import partialpool as pp
from partialpool import memory
from partialpool.cli import main

RNG = np.random.default_rng(5)
G = np.repeat(np.arange(20), 5)
X = RNG.normal(size=100)
DATA = {"y": X + RNG.normal(size=20)[G] + RNG.normal(size=100), "x": X, "g": G,
        "k": RNG.poisson(1.0, 100)}  # fmt: skip
ENGINES = {
    "marginal": ("y ~ x + (x | g)", {}),
    "flat": ("y ~ x + (x | g)", {"pooling": "none", "priors": {"coef_g": pp.Uniform(-9, 9)}}),
    "complete": ("y ~ x", {}),
    "nuts": ("k ~ x + (1 | g)", {"family": "poisson"}),
    "metropolis": ("y ~ x + (x | g)", {"method": "metropolis"}),
}
ABSURD = [10**10, 2**31 * 10, 2**63 - 1, 2**63, 2**64, 10**30]


def never(*_, **__):
    raise AssertionError("work has begun")


@pytest.fixture
def idle(monkeypatch):
    """No engine may begin."""
    monkeypatch.setattr("partialpool.engine.chains.Progress", never)


@pytest.mark.parametrize("engine", ENGINES)
def test_absurd_counts(engine, idle):
    formula, options = ENGINES[engine]
    for name in ("draws", "warmup", "chains", "threads"):
        for count in [*ABSURD, np.uint64(2**63)]:
            with pytest.raises(pp.InputError, match=rf"`{name}` is [\w ^]+: give at most [\d,]+\."):
                pp.fit(formula, DATA, seed=1, **options | {name: count})
    for chains, draws in ((10_000, 10**7), (1, 10**9), (4, 10**9)):
        with pytest.raises(pp.InputError, match=r"would be kept, [\d,]+ GB in all, .* has \d+ GB"):
            pp.fit(formula, DATA, seed=1, draws=draws, chains=chains, **options)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_limit_is_sharp(engine, monkeypatch):
    formula, options = ENGINES[engine]
    options = options | {"draws": 50, "warmup": 50, "chains": 2, "seed": 1, "progress": False}
    asked = []

    def check(draws, width, *, copies=1.0, **_):
        asked.append(memory.NUMBER * draws * width * copies / memory.SHARE)

    monkeypatch.setattr("partialpool.engine.chains.check_memory", check)
    pp.fit(formula, DATA, **options)
    monkeypatch.undo()
    monkeypatch.setattr(memory, "machine_memory", lambda: asked[0] * 1.001)
    pp.fit(formula, DATA, **options)
    monkeypatch.setattr(memory, "machine_memory", lambda: asked[0] * 0.999)
    monkeypatch.setattr("partialpool.engine.chains.Progress", never)
    with pytest.raises(pp.InputError, match="ask for fewer draws or chains"):
        pp.fit(formula, DATA, **options)


@pytest.mark.parametrize("name", ["--draws", "--chains", "--warmup", "--threads"])
def test_absurd_counts_on_the_command_line(name, tmp_path, capsys):
    path = tmp_path / "table.csv"
    path.write_text("y,x\n" + "".join(f"{y},{x}\n" for y, x in zip(DATA["y"], X, strict=True)))
    for count in ABSURD:
        assert main(["fit", str(path), "y ~ x", name, str(count)]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "give at most" in error


def test_other_things_that_do_not_fit(monkeypatch):
    formula, options = ENGINES["nuts"]
    fit = pp.fit(formula, DATA, draws=200, warmup=200, chains=2, seed=1, **options)
    exact = pp.fit("y ~ x + (1 | g)", DATA, draws=200, warmup=200, chains=2, seed=1)
    walk = {"draws": 100, "proposal_sd": 1.0, "seed": 1}
    monkeypatch.setattr(memory, "machine_memory", lambda: 1000.0)
    for work, remedy in (
        (fit.posterior_predictive, "`draws=`"),
        (fit.group_draws, "fewer levels"),
        (exact.group_draws, "fewer levels"),
        (lambda: fit.check(seed=1), "`draws=`"),
        (exact.loo, "kfold"),
        (lambda: exact.loo(by="g"), "kfold"),
        (lambda: pp.prior_predictive("y ~ x", DATA, draws=50, seed=1), "fewer draws"),
        (lambda: pp.metropolis(never, {"x": np.zeros(9)}, **walk), "fewer draws"),
    ):
        with pytest.raises(pp.InputError, match=f"would be kept, .*{remedy}"):
            work()
    monkeypatch.undo()
    for draws in ABSURD:
        with pytest.raises(pp.InputError, match="give at most"):
            pp.prior_predictive("y ~ x", DATA, draws=draws, seed=1)
        with pytest.raises(pp.InputError, match="give at most"):
            pp.metropolis(never, {"x": 0.0}, **walk | {"draws": draws})
    with pytest.raises(pp.InputError, match="rows are asked for"):
        pp.simulate(groups=10**6, rows=10**6, seed=1)


MEASURE = """
import gc, sys
import numpy as np
import partialpool as pp
from partialpool.engine import chains

def status(name):
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(name))

rng = np.random.default_rng(1)
levels, draws = {levels}, {draws}
g = np.arange(600) % levels
x = rng.normal(size=600)
y = x + rng.normal(size=levels)[g] + rng.normal(size=600)
data = {{"y": y, "x": x, "g": g}}

def fit(draws):
    return pp.fit({formula!r}, data, chains=4, draws=draws, warmup=60, seed=1, **{options!r})

fit(60).summary()
counted = []
chains.check_memory = lambda rows, width, *, copies, **_: counted.append(8 * rows * width * copies)
gc.collect()
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = status("VmRSS")
kept = fit(draws)
print(status("VmHWM") - before, counted[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("formula", "options", "levels", "draws"),
    [
        ("y ~ x + (x | g)", {}, 20, 150_000),
        ("y ~ x + (1 | g)", {"method": "nuts"}, 300, 6_000),
        ("y ~ x + (x | g)", {"method": "metropolis"}, 300, 12_000),
    ],
)
def test_what_is_counted_is_what_is_taken(formula, options, levels, draws):
    """Within a sixth, and 25 MB that do not grow with the draws."""
    script = MEASURE.format(formula=formula, options=options, levels=levels, draws=draws)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    taken, counted = map(float, done.stdout.split())
    assert 0.75 * counted < taken < 1.17 * counted + 25e6


@pytest.mark.parametrize("method", ["marginal", "nuts", "metropolis"])
def test_models_without_parameters(method):
    """Known errors and no coefficient: there is nothing to draw, and nothing to count."""
    y = np.random.default_rng(1).normal(size=20)
    fit = pp.fit("y ~ 0", {"y": y}, se=np.ones(20), method=method, draws=20, warmup=20, seed=1)
    assert fit.summary().shape[0] == 0
    assert fit.loo().elpd == pytest.approx(-10 * np.log(2 * np.pi) - y @ y / 2)
