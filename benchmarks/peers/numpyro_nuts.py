# ruff: noqa: E402 (imports are timed)
"""Fit one case with NumPyro's NUTS: a JSON line of measures, or with --summary the table."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

start = time.perf_counter()
import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
import pandas as pd
from numpyro.infer import MCMC, NUTS

seconds_import = time.perf_counter() - start

sys.path.insert(0, str(Path(__file__).parents[1]))
from cases import CASES
from measure import arguments, report

# NumPyro compiles within `run`, so its share is what JAX says; tracing counts as sampling.
COMPILING = {
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
    "/jax/core/compile/backend_compile_duration",
}


Model = tuple[Callable[..., None], tuple[Any, ...]]


def individuals(table: pd.DataFrame) -> Model:
    """``y ~ x + (x || id)``; non-centred, since centred its ESS is ten times smaller."""
    codes, levels = pd.factorize(table["id"])

    def model(x: Any, codes: Any, y: Any) -> None:
        b = numpyro.sample("b", dist.Normal(0, 3).expand([2]).to_event(1))
        sd_id = numpyro.sample("sd_id", dist.Uniform(0, 10).expand([2]).to_event(1))
        sigma = numpyro.sample("sigma", dist.Uniform(0, 10))
        with numpyro.plate("id", len(levels)):
            z = numpyro.sample("z", dist.Normal(0, 1).expand([2]).to_event(1))
            coef = numpyro.deterministic("coef_id", b + sd_id * z)
        mu = coef[codes, 0] + coef[codes, 1] * x
        numpyro.sample("y", dist.Normal(mu, sigma), obs=y)

    return model, (table["x"].to_numpy(), codes, table["y"].to_numpy())


def bernoulli(table: pd.DataFrame) -> Model:
    """``y ~ x + (x | g)``; non-centred, since centred its ESS is half as large."""
    codes, levels = pd.factorize(table["g"])

    def model(x: Any, codes: Any, y: Any) -> None:
        b = numpyro.sample("b", dist.Normal(0, 2.5).expand([2]).to_event(1))
        sd_g = numpyro.sample("sd_g", dist.Exponential(1).expand([2]).to_event(1))
        chol = numpyro.sample("chol", dist.LKJCholesky(2, concentration=2))
        numpyro.deterministic("cor_g", chol[1, 0])
        with numpyro.plate("g", len(levels)):
            z = numpyro.sample("z", dist.Normal(0, 1).expand([2]).to_event(1))
            coef = numpyro.deterministic("coef_g", b + z @ (sd_g[:, None] * chol).T)
        eta = coef[codes, 0] + coef[codes, 1] * x
        numpyro.sample("y", dist.Bernoulli(logits=eta), obs=y)

    return model, (table["x"].to_numpy(), codes, table["y"].to_numpy())


def poisson(table: pd.DataFrame) -> Model:
    """``y ~ x + (1 | a) + (1 | b)``; centred, the intercept as the mean of the first factor's.

    Its ESS is five times that with deviations from the intercept, centred or not, in less time.
    """
    (a, of_a), (b, of_b) = (pd.factorize(table[name]) for name in ("a", "b"))

    def model(x: Any, a: Any, b: Any, y: Any) -> None:
        beta = numpyro.sample("b", dist.Normal(0, 2.5).expand([2]).to_event(1))
        sd_a = numpyro.sample("sd_a", dist.Exponential(1))
        sd_b = numpyro.sample("sd_b", dist.Exponential(1))
        with numpyro.plate("levels_a", len(of_a)):
            coef_a = numpyro.sample("coef_a", dist.Normal(beta[0], sd_a))
        with numpyro.plate("levels_b", len(of_b)):
            r_b = numpyro.sample("r_b", dist.Normal(0, sd_b))
            numpyro.deterministic("coef_b", beta[0] + r_b)
        eta = coef_a[a] + r_b[b] + beta[1] * x
        numpyro.sample("y", dist.Poisson(jnp.exp(eta)), obs=y)

    return model, (table["x"].to_numpy(), a, b, table["y"].to_numpy())


MODELS = {"individuals": individuals, "bernoulli": bernoulli, "poisson": poisson}


def main() -> None:
    options = arguments()
    case = CASES[options.case]
    # A device per chain: faster than vectorized chains.
    numpyro.set_host_device_count(options.chains)
    start, start_busy = time.perf_counter(), time.process_time()
    model, args = MODELS[case.name](pd.read_csv(options.data))
    mcmc = MCMC(
        NUTS(model),
        num_warmup=options.warmup,
        num_samples=options.draws,
        num_chains=options.chains,
        chain_method="parallel",
        progress_bar=False,
    )

    compiling = []

    def listen(event: str, seconds: float, **_: Any) -> None:
        if event in COMPILING:
            compiling.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(listen)
    mcmc.run(jax.random.key(options.seed), *args)
    jax.block_until_ready(mcmc.get_samples())
    seconds_fit = time.perf_counter() - start
    seconds_busy = time.process_time() - start_busy

    draws = mcmc.get_samples(group_by_chain=True)
    if options.summary:
        numpyro.diagnostics.print_summary({name: draws[name] for name in case.population})
        return
    report(
        seconds={
            "import": seconds_import,
            "compile": sum(compiling),
            "sampling": seconds_fit - sum(compiling),
            "fit": seconds_fit,
            "busy": seconds_busy,
        },
        population={name: draws[name] for name in case.population},
        groups={name: draws[name] for name in case.groups},
        versions={"NumPyro": numpyro.__version__, "JAX": jax.__version__},
    )


if __name__ == "__main__":
    main()
