"""Fit a case of ``factor_cases.py`` with partialpool; print a JSON line of measures."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import partialpool as pp

sys.path.insert(0, str(Path(__file__).parent))
from factor_cases import FACTOR_CASES, FactorCase
from measure import density_seconds, enough, peak_megabytes
from simulated import Table

SEED = 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=FACTOR_CASES)
    parser.add_argument("--seconds", type=float, required=True, help="how long to go on repeating")
    options = parser.parse_args()
    case = FACTOR_CASES[options.case]
    table = read(case)
    warm_up()

    seconds: dict[str, list[float]] = {"fit": [], "full": [], "after_rows": []}
    while not enough(seconds["full"], options.seconds):
        start = time.perf_counter()
        fit = pp.fit(case.formula, table, seed=SEED, progress=False)
        fitted = time.perf_counter()
        fit.coefficients()
        end = time.perf_counter()
        seconds["fit"].append(fitted - start)
        seconds["full"].append(end - start)
        seconds["after_rows"].append(fit.run.seconds_sampling + end - fitted)
    megabytes = peak_megabytes()
    maximum, seconds["reml"] = maximise(case, table, options.seconds)
    print(
        json.dumps(
            {
                "versions": {"partialpool": pp.__version__},
                "seconds": seconds,
                "megabytes": megabytes,
                "seconds_density": density_seconds(fit),
                "engine": f"{fit.method}: {fit.method_reason}",
                "posterior": fit.summary()[["mean", "sd"]].T.to_dict(),
                "estimates": maximum,
            }
        )
    )


def read(case: FactorCase) -> pd.DataFrame:
    if isinstance(case.data, Table) and case.rows_per_level:
        columns = case.data.make(
            np.random.default_rng(case.data.seed), case.data.truth, case.rows_per_level
        )
        return pd.DataFrame(columns)
    return pd.read_csv(case.path)


def warm_up() -> None:
    """Import what is imported on first use."""
    table = {"y": np.arange(12.0) % 5, "g": np.arange(12) % 4, "h": np.arange(12) % 3}
    for formula in ("y ~ 1 + (1 | g)", "y ~ 1 + (1 | g) + (1 | h)"):
        fit = pp.fit(formula, table, seed=SEED, progress=False)
        fit.coefficients()
        fit.summary()


def maximise(
    case: FactorCase, table: pd.DataFrame, budget: float
) -> tuple[dict[str, float], list[float]]:
    """Estimate by ``method="reml"``, as the peers do; nothing where that is not yet possible."""
    seconds: list[float] = []
    estimate: Any = None
    while not enough(seconds, budget):
        start = time.perf_counter()
        try:
            estimate = pp.fit(case.formula, table, method="reml")
        except pp.InputError:
            return {}, []
        seconds.append(time.perf_counter() - start)
    return estimate.summary()["estimate"].to_dict(), seconds


if __name__ == "__main__":
    main()
