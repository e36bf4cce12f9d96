"""Fit ``y ~ x + (x | id)`` with statsmodels' MixedLM by REML; print a JSON line of measures.

``statsmodels_mixed.py TABLE FORMULA FACTOR SECONDS``, as the other programs.
"""

import json
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from statsmodels.regression.mixed_linear_model import MixedLM

sys.path.insert(0, str(Path(__file__).parents[1]))
from measure import enough


def estimates(found: Any) -> dict[str, float]:
    covariance = np.asarray(found.cov_re)
    sd = np.sqrt(np.diag(covariance))
    return {
        "b[Intercept]": float(found.fe_params[0]),
        "b[x]": float(found.fe_params[1]),
        "sd_id[Intercept]": float(sd[0]),
        "sd_id[x]": float(sd[1]),
        "cor_id[Intercept,x]": float(covariance[0, 1] / (sd[0] * sd[1])),
        "sigma": float(np.sqrt(found.scale)),
    }


def main() -> None:
    path, _, factor, budget = sys.argv[1:]
    table = pl.read_parquet(path)
    x, y = (table[name].to_numpy() for name in ("x", "y"))
    columns = np.column_stack([np.ones_like(x), x])
    group = table[factor].to_numpy()
    warnings.simplefilter("ignore")
    seconds: list[float] = []
    while not enough(seconds, float(budget)):
        start = time.perf_counter()
        found = MixedLM(y, columns, groups=group, exog_re=columns).fit(reml=True)
        seconds.append(time.perf_counter() - start)
    record = {
        "versions": {"statsmodels": version("statsmodels")},
        "seconds": {"fit": seconds},
        "estimates": estimates(found),
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
