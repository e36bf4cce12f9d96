# ruff: noqa: E402 (imports are timed)
"""Fit one case with NumPyro's NUTS: a JSON line of measures, or with --summary the table."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

start = time.perf_counter()
import jax
import numpyro
import numpyro.distributions as dist
import pandas as pd
from numpyro.infer import MCMC, NUTS

seconds_import = time.perf_counter() - start

sys.path.insert(0, str(Path(__file__).parents[1]))
from measure import arguments, report

POPULATION = ["b", "sd_id", "sigma"]
GROUPS = ["coef_id"]
# NumPyro compiles within `run`, so its share is what JAX says; tracing counts as sampling.
COMPILING = {
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
    "/jax/core/compile/backend_compile_duration",
}


def individuals(table: pd.DataFrame) -> tuple[Callable[..., None], tuple[Any, ...]]:
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


MODELS = {"individuals": individuals}


def main() -> None:
    options = arguments()
    # A device per chain: faster than vectorized chains.
    numpyro.set_host_device_count(options.chains)
    start = time.perf_counter()
    model, args = MODELS[options.case](pd.read_csv(options.data))
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

    draws = mcmc.get_samples(group_by_chain=True)
    if options.summary:
        numpyro.diagnostics.print_summary({name: draws[name] for name in POPULATION})
        return
    report(
        seconds={
            "import": seconds_import,
            "compile": sum(compiling),
            "sampling": seconds_fit - sum(compiling),
            "fit": seconds_fit,
        },
        population={name: draws[name] for name in POPULATION},
        groups={name: draws[name] for name in GROUPS},
        versions={"NumPyro": numpyro.__version__, "JAX": jax.__version__},
    )


if __name__ == "__main__":
    main()
