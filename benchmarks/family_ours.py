"""Fit a case of ``family_cases.py`` with partialpool; print a JSON line of measures."""

import argparse
import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

import partialpool as pp
from partialpool.errors import EngineError

sys.path.insert(0, str(Path(__file__).parent))
from family_cases import FAMILY_CASES, FamilyCase
from measure import enough, peak_megabytes

SEED = 1
REFUSED = (pp.InputError, EngineError)
METHODS: dict[str, dict[str, Any]] = {
    "nuts": {"method": "nuts", "draws": "auto", "seed": SEED, "progress": False},
    "laplace": {"method": "laplace", "seed": SEED, "progress": False},
    "ml": {"method": "ml"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=FAMILY_CASES)
    parser.add_argument("--seconds", type=float, required=True, help="how long to go on repeating")
    options = parser.parse_args()
    case = FAMILY_CASES[options.case]
    table = pd.read_csv(case.data.path)
    seconds: dict[str, list[float]] = {}
    found: dict[str, Any] = {}
    for name, how in METHODS.items():
        how = how | ({"ess": case.ess} if name == "nuts" else {})
        with suppress(*REFUSED):  # warm: a few rows may be too few for it
            fit_once(case, table.iloc[: max(200, len(table) // 50)], how)
        try:
            seconds[name], found[name] = repeat(case, table, how, options.seconds)
        except REFUSED as error:
            print(f"{case.name}: no {name}: {error}", file=sys.stderr)
    if "laplace" in found:  # levels wait to be asked for
        start = time.perf_counter()
        found["laplace"].coefficients()
        seconds["levels"] = [time.perf_counter() - start]
    posterior = found["nuts"].summary()
    drawn = found["nuts"].run
    judged = posterior[["ess_bulk", "ess_tail"]] if "ess_bulk" in posterior else posterior[["ess"]]
    print(
        json.dumps(
            {
                "versions": {"partialpool": pp.__version__},
                "seconds": seconds,
                "megabytes": peak_megabytes(),
                "ess": float(judged.min().min()),
                "r_hat": float(posterior["r_hat"].max()),
                "divergences": int(drawn.stats["diverging"].sum()),
                "posterior": posterior[["mean", "sd"]].T.to_dict(),
                "estimates": found["ml"].summary()["estimate"].to_dict() if "ml" in found else {},
                "laplace": (
                    found["laplace"].summary()[["mean", "sd"]].T.to_dict()
                    if "laplace" in found
                    else {}
                ),
            }
        )
    )


def fit_once(case: FamilyCase, table: pd.DataFrame, how: dict[str, Any]) -> Any:
    return pp.fit(case.formula, table, family=case.family, **how)


def repeat(
    case: FamilyCase, table: pd.DataFrame, how: dict[str, Any], budget: float
) -> tuple[list[float], Any]:
    seconds: list[float] = []
    fit: Any = None
    while not enough(seconds, budget):
        start = time.perf_counter()
        fit = fit_once(case, table, how)
        seconds.append(time.perf_counter() - start)
    return seconds, fit


if __name__ == "__main__":
    main()
