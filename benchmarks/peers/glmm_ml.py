"""Fit one formula with the package glmm by maximum likelihood, again and again; print a JSON line.

``glmm_ml.py DATA FORMULA FACTOR,FACTOR FAMILY SECONDS``, as ``glmm_reml.py``.
"""

import json
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import glmm

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from glmm_reml import estimates, read
from measure import enough, peak_megabytes

FAMILIES = {"bernoulli": "binomial"}


def main() -> None:
    path, formula, factors, family, budget = sys.argv[1:]
    table = read(path, factors.split(","))
    warnings.simplefilter("ignore")
    seconds: list[float] = []
    while not enough(seconds, float(budget)):
        start = time.perf_counter()
        found = glmm.fit(table, formula, family=FAMILIES.get(family, family))
        seconds.append(time.perf_counter() - start)
    named = estimates(found)
    named.pop("sigma")
    record = {
        "versions": {"glmm": version("glmm")},
        "seconds": {"fit": seconds},
        "megabytes": peak_megabytes(),
        "estimates": named,
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
