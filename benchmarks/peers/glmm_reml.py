"""Fit one formula with the package glmm, again and again; print a JSON line of measures.

``glmm_reml.py DATA FORMULA FACTOR,FACTOR SECONDS``. As elsewhere: the table is in memory before
the clock starts.
"""

import csv
import json
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import glmm
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from measure import enough, peak_megabytes

Table = dict[str, np.ndarray]


def read(path: str, factors: list[str]) -> Table:
    """Return levels as whole numbers, the fastest that glmm takes, and the rest as numbers."""
    if path.endswith(".parquet"):
        import polars as pl

        return {name: values.to_numpy() for name, values in pl.read_parquet(path).to_dict().items()}
    with open(path, newline="") as file:
        names, *rows = csv.reader(file)
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))

    def values(name: str) -> np.ndarray:
        if name in factors:
            return np.unique(columns[name], return_inverse=True)[1]
        return np.array(columns[name], dtype=float)

    return {name: values(name) for name in columns}


def fit(formula: str, table: Table) -> glmm.Fit:
    """Fit without degrees of freedom, which lme4 does not compute either."""
    return glmm.fit(table, formula, satterthwaite=False)


def estimates(found: glmm.Fit) -> dict[str, float]:
    """Return the estimates, named as partialpool names them."""

    def term(name: str) -> str:
        return name.replace("(Intercept)", "Intercept")

    named = {f"b[{term(name)}]": float(b) for name, b in zip(found.names, found.beta, strict=True)}
    for k, (group, terms) in enumerate(found.re_groups):
        sd, cor = found.stddev_corr(k)
        named |= {f"sd_{group}[{term(name)}]": sd[i] for i, name in enumerate(terms)}
        named |= {
            f"cor_{group}[{term(terms[i])},{term(terms[j])}]": cor[i, j]
            for j in range(len(terms))
            for i in range(j)
        }
    return named | {"sigma": float(np.sqrt(found.dispersion))}


def main() -> None:
    path, formula, factors, budget = sys.argv[1:]
    table = read(path, factors.split(","))
    warnings.simplefilter("ignore")
    seconds: list[float] = []
    while not enough(seconds, float(budget)):
        start = time.perf_counter()
        found = fit(formula, table)
        seconds.append(time.perf_counter() - start)
    record = {
        "versions": {"glmm": version("glmm")},
        "seconds": {"fit": seconds},
        "megabytes": peak_megabytes(),
        "estimates": estimates(found),
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
