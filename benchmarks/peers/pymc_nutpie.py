# ruff: noqa: E402 (imports are timed)
"""Fit one case with PyMC and nutpie: a JSON line of measures, or with --summary the table."""

import sys
import time
from pathlib import Path

start = time.perf_counter()
import nutpie
import pandas as pd
import pymc as pm

seconds_import = time.perf_counter() - start

sys.path.insert(0, str(Path(__file__).parents[1]))
from measure import arguments, report

CORES = 2
POPULATION = ["b", "sd_id", "sigma"]
GROUPS = ["coef_id"]


def individuals(table: pd.DataFrame) -> pm.Model:
    """``y ~ x + (x || id)``; non-centred, since centred it diverges (ESS below 150)."""
    codes, levels = pd.factorize(table["id"])
    with pm.Model(coords={"id": levels, "term": ["Intercept", "x"]}) as model:
        b = pm.Normal("b", 0, 3, dims="term")
        sd_id = pm.Uniform("sd_id", 0, 10, dims="term")
        sigma = pm.Uniform("sigma", 0, 10)
        z = pm.Normal("z", 0, 1, dims=("id", "term"))
        coef = pm.Deterministic("coef_id", b + sd_id * z, dims=("id", "term"))
        mu = coef[codes, 0] + coef[codes, 1] * table["x"].to_numpy()
        pm.Normal("y", mu, sigma, observed=table["y"].to_numpy())
    return model


MODELS = {"individuals": individuals}


def main() -> None:
    options = arguments()
    start = time.perf_counter()
    model = MODELS[options.case](pd.read_csv(options.data))
    # Of its backends numba samples this fastest; JAX compiles in less and samples 30 times longer.
    compiled = nutpie.compile_pymc_model(model, backend="numba")
    compiled_at = time.perf_counter()
    trace = nutpie.sample(
        compiled,
        chains=options.chains,
        draws=options.draws,
        tune=options.warmup,
        cores=CORES,
        seed=options.seed,
        progress_bar=False,
    )
    end = time.perf_counter()

    if options.summary:
        import arviz as az

        print(az.summary(trace, var_names=POPULATION))
        return
    report(
        seconds={
            "import": seconds_import,
            "compile": compiled_at - start,
            "sampling": end - compiled_at,
            "fit": end - start,
        },
        population={name: trace.posterior[name].to_numpy() for name in POPULATION},
        groups={name: trace.posterior[name].to_numpy() for name in GROUPS},
        versions={"PyMC": pm.__version__, "nutpie": nutpie.__version__},
    )


if __name__ == "__main__":
    main()
