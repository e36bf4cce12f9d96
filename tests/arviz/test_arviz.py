"""ArviZ on our draws, with the ArviZ of Python 3.11 and with ArviZ 1, each in its environment."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import partialpool as pp
from environments import ENVIRONMENTS, ROOT


@pytest.mark.parametrize(
    "environment",
    [one for one in ENVIRONMENTS if one.of == "arviz"],
    ids=lambda one: one.name,
)
def test_arviz_reads_fits(environment):
    if environment.lacks():
        pytest.skip(environment.lacks())
    if not environment.is_whole():
        pytest.skip("`make arviz` makes the environment")
    done = subprocess.run(
        [environment.python, Path(__file__).with_name("in_environment.py")],
        env=os.environ | {"PYTHONPATH": str(ROOT / "python")},
        capture_output=True,
        text=True,
        check=False,
    )
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    failed = [f"{one['case']}\n{one['error']}" for one in found if one["error"]]
    assert not failed, "\n".join(failed)
    assert done.returncode == 0, done.stderr
    # Five fits; of each the groups, and two or three parts for each ArviZ.
    assert len(found) == 5 + 13 * (2 if environment.name == "3.11" else 1)


def counts():
    rng = np.random.default_rng(2)
    data = {"x": rng.normal(size=40), "g": np.resize(range(8), 40), "y": rng.poisson(3, 40)}
    return pp.fit("y ~ x + (1 | g)", data, family="poisson", draws=50, warmup=100, seed=1)


def test_log_likelihood_is_that_of_scipy():
    from scipy import stats

    fit = counts()
    found = fit.to_arviz()["log_likelihood"]["y"].to_numpy()
    eta = fit.posterior_predictive(kind="linear").to_numpy()
    np.testing.assert_allclose(found, stats.poisson(np.exp(eta)).logpmf(fit.design.y), rtol=1e-9)


def test_trees_that_cannot_be_made_are_one_sentence(tmp_path):
    fit = counts()
    fit.save(tmp_path / "fit.nc", rows=False)
    with pytest.raises(pp.InputError, match="saved without the rows"):
        pp.load(tmp_path / "fit.nc").to_arviz()
    for prior in (-1, 1.5, "yes", np.array([1, 2])):
        with pytest.raises(pp.InputError, match="`prior` is"):
            fit.to_arviz(prior=prior)
    flat = pp.fit("y ~ x", {"y": [1.0, 2, 4, 3], "x": range(4)}, priors={"b[x]": pp.Flat()}, seed=1)
    with pytest.raises(pp.InputError, match=r"Flat\(\) of `b\[x\]`"):
        flat.to_arviz(prior=True)


def test_names_with_slashes_stay_apart():
    rng = np.random.default_rng(1)
    data = {"y": rng.normal(size=24), "a/b": np.resize([1, 2, 3], 24), "a_b": np.resize("pqrs", 24)}
    data["a_b"] = np.resize(list("pqrs"), 24)
    fit = pp.fit("y ~ 1 + (1 | `a/b`) + (1 | a_b)", data, draws=20, warmup=50, seed=1)
    posterior = fit.draws["posterior"]
    names = [name for name in posterior.data_vars if name.startswith("coef")]
    assert len(names) == 2
    sizes = {posterior[name].shape[2] for name in names}
    assert sizes == {3, 4}
