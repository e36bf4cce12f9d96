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
from cases import CASES
from measure import arguments, report

CORES = 2


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


def bernoulli(table: pd.DataFrame) -> pm.Model:
    """``y ~ x + (x | g)``; non-centred, since centred its ESS is a quarter (in 100 draws)."""
    codes, levels = pd.factorize(table["g"])
    with pm.Model(coords={"g": levels, "term": ["Intercept", "x"]}) as model:
        b = pm.Normal("b", 0, 2.5, dims="term")
        sds = pm.Exponential.dist(1, shape=2)
        chol, cor, sd_g = pm.LKJCholeskyCov("chol", n=2, eta=2, sd_dist=sds)
        pm.Deterministic("sd_g", sd_g, dims="term")
        pm.Deterministic("cor_g", cor[0, 1])
        z = pm.Normal("z", 0, 1, dims=("g", "term"))
        coef = pm.Deterministic("coef_g", b + z @ chol.T, dims=("g", "term"))
        eta = coef[codes, 0] + coef[codes, 1] * table["x"].to_numpy()
        pm.Bernoulli("y", logit_p=eta, observed=table["y"].to_numpy())
    return model


def poisson(table: pd.DataFrame) -> pm.Model:
    """``y ~ x + (1 | a) + (1 | b)``; centred, the intercept as the mean of the first factor's.

    Its ESS is three times that with deviations from the intercept, centred or not, in less time.
    """
    (a, of_a), (b, of_b) = (pd.factorize(table[name]) for name in ("a", "b"))
    coords = {"term": ["Intercept", "x"], "level_a": of_a, "level_b": of_b}
    with pm.Model(coords=coords) as model:
        beta = pm.Normal("b", 0, 2.5, dims="term")
        sd_a = pm.Exponential("sd_a", 1)
        sd_b = pm.Exponential("sd_b", 1)
        coef_a = pm.Normal("coef_a", beta[0], sd_a, dims="level_a")
        r_b = pm.Normal("r_b", 0, sd_b, dims="level_b")
        pm.Deterministic("coef_b", beta[0] + r_b, dims="level_b")
        eta = coef_a[a] + r_b[b] + beta[1] * table["x"].to_numpy()
        pm.Poisson("y", pm.math.exp(eta), observed=table["y"].to_numpy())
    return model


MODELS = {"individuals": individuals, "bernoulli": bernoulli, "poisson": poisson}


def main() -> None:
    options = arguments()
    case = CASES[options.case]
    start, start_busy = time.perf_counter(), time.process_time()
    model = MODELS[case.name](pd.read_csv(options.data))
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
    end, end_busy = time.perf_counter(), time.process_time()

    if options.summary:
        import arviz as az

        print(az.summary(trace, var_names=list(case.population)))
        return
    report(
        seconds={
            "import": seconds_import,
            "compile": compiled_at - start,
            "sampling": end - compiled_at,
            "fit": end - start,
            "busy": end_busy - start_busy,
        },
        population={name: trace.posterior[name].to_numpy() for name in case.population},
        groups={name: trace.posterior[name].to_numpy() for name in case.groups},
        versions={"PyMC": pm.__version__, "nutpie": nutpie.__version__},
    )


if __name__ == "__main__":
    main()
