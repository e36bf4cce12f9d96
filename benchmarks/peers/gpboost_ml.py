"""Fit ``y ~ x + (x || id)`` with GPBoost; print a JSON line of measures.

``gpboost_ml.py TABLE FORMULA FACTOR SECONDS``, as the other programs: the formula is that of the
benchmark, of which GPBoost has the coefficients, but not their correlation.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import gpboost
import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))
from measure import enough


def fit(x: np.ndarray, y: np.ndarray, group: np.ndarray) -> dict[str, float]:
    model = gpboost.GPModel(
        group_data=group,
        group_rand_coef_data=x,
        ind_effect_group_rand_coef=[1],
        likelihood="gaussian",
    )
    model.fit(y=y, X=np.column_stack([np.ones_like(x), x]))
    b = np.asarray(model.get_coef(format_pandas=False)).ravel()
    variance = np.asarray(model.get_cov_pars(format_pandas=False)).ravel()
    names = ("sigma", "sd_id[Intercept]", "sd_id[x]")
    sds = dict(zip(names, map(float, np.sqrt(variance)), strict=True))
    return {"b[Intercept]": float(b[0]), "b[x]": float(b[1])} | sds


def main() -> None:
    path, _, factor, budget = sys.argv[1:]
    table = pl.read_parquet(path)
    x, y = (table[name].to_numpy() for name in ("x", "y"))
    group = table[factor].to_numpy()
    seconds: list[float] = []
    while not enough(seconds, float(budget)):
        start = time.perf_counter()
        found = fit(x, y, group)
        seconds.append(time.perf_counter() - start)
    record = {
        "versions": {"gpboost": version("gpboost")},
        "seconds": {"fit": seconds},
        "estimates": found,
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
