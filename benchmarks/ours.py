# ruff: noqa: E402 (imports are timed)
"""Fit one case with partialpool in a running process; print a JSON line of measures."""

import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

start = time.perf_counter()
import partialpool as pp

seconds_import = time.perf_counter() - start

import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))
from cases import CASES
from measure import arguments, density_seconds, report

REPEATS = 7
ENOUGH = 20.0  # seconds of fitting after which no further repeat starts


def drawing_seconds(fit: Any) -> float:
    """Return the seconds that draws of all group coefficients take where they wait to be asked for.

    The peers draw them as they sample, so what is effective of them is per second of both.
    """
    start = time.perf_counter()
    for group, drawn in zip(fit.model.groups, fit.run.groups, strict=True):
        if drawn.coef is None:
            fit.group_draws(factor=group.name)
    return time.perf_counter() - start


def main() -> None:
    options = arguments()
    case = CASES[options.case]
    priors = {key: getattr(pp, name)(*values) for key, (name, *values) in case.priors.items()}

    # As the peers: the table is in memory before the clock starts.
    table = pd.read_csv(options.data)

    def fit_once(seed: int) -> Any:
        # Warm-up is left to the engine, some of which have none.
        return pp.fit(
            case.formula,
            table,
            priors=priors,
            chains=options.chains,
            draws=options.draws,
            seed=seed,
            progress=False,
            **case.options,
        )

    drawing_seconds(fit_once(options.seed))  # warm: modules imported on first use, files in cache
    seconds, busy, sampling, drawing = [], [], [], []
    while len(seconds) < REPEATS and sum(seconds) < ENOUGH:
        start, start_busy = time.perf_counter(), time.process_time()
        fit = fit_once(options.seed)
        seconds.append(time.perf_counter() - start)
        busy.append(time.process_time() - start_busy)
        sampling.append(fit.run.seconds_sampling)
        drawing.append(drawing_seconds(fit))
    measured = {
        "import": seconds_import,
        "sampling": median(sampling),
        "drawing": median(drawing),
        "fit": median(seconds),
        "busy": median(busy),
    }
    posterior = fit.draws["posterior"]
    report(
        seconds=measured,
        population={name: posterior[name].to_numpy() for name in case.population},
        groups={name: posterior[name].to_numpy() for name in case.groups},
        versions={"partialpool": pp.__version__},
        density=density_seconds(fit),
    )


if __name__ == "__main__":
    main()
