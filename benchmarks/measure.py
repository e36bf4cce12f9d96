"""What the programs of the benchmark share: arguments, how draws are judged, repeats, memory."""

import argparse
import json
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", help="path of the CSV file")
    parser.add_argument("--case", default="individuals")
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--warmup", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--summary", action="store_true", help="print the table, measure nothing")
    return parser.parse_args()


def report(
    seconds: dict[str, float],
    population: dict[str, np.ndarray],
    groups: dict[str, np.ndarray],
    versions: dict[str, str],
    density: float | None = None,
) -> None:
    """Print one JSON line; draws are arrays of (chain, draw) or (chain, draw, ...)."""
    record: dict[str, Any] = {"versions": versions}
    record |= {f"seconds_{what}": value for what, value in seconds.items()}
    if density is not None:
        record["nanoseconds_density"] = 1e9 * density
    scalars = _scalars(population)
    ess = {name: _ess(x, "bulk") for name, x in scalars.items()}
    record["ess_population"] = min(ess.values())
    in_groups = min(_ess(x, "bulk") for x in _scalars(groups).values())
    record["ess_all"] = min(record["ess_population"], in_groups)
    record["mean"] = {name: float(x.mean()) for name, x in scalars.items()}
    record["mcse"] = {
        name: float(x.std() / np.sqrt(_ess(x, "mean"))) for name, x in scalars.items()
    }
    print(json.dumps(record))


def _scalars(draws: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """``{"b": (chain, draw, 2)}`` → ``{"b[0]": (chain, draw), "b[1]": (chain, draw)}``."""
    out = {}
    for name, values in draws.items():
        x = np.asarray(values, dtype=float)
        flat = x.reshape(*x.shape[:2], -1)
        if flat.shape[2] == 1:
            out[name] = flat[:, :, 0]
        else:
            out |= {f"{name}[{k}]": flat[:, :, k] for k in range(flat.shape[2])}
    return out


def _ess(x: np.ndarray, method: str) -> float:
    try:
        from arviz_stats import ess
    except ImportError:  # ArviZ before 1.0, as the peers pin it for Python 3.11
        from arviz import ess
    return float(ess(x, method=method))


# --- What programs do that fit again and again in one process ------------------------------------

MOST_REPEATS = 9


def enough(seconds: list[float], budget: float) -> bool:
    """Whether to stop repeating: after nine, or the first that ends past the budget."""
    return len(seconds) >= MOST_REPEATS or (len(seconds) > 0 and sum(seconds) >= budget)


def peak_megabytes() -> float:
    """Return the largest memory that this process has held so far."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage() would count what its parent held
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return int(line.split()[1]) / 1000
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def density_seconds(fit: Any) -> float | None:
    """Return the seconds of one evaluation of the density that a fit explored, or None.

    The best of many rounds; with its gradient where the engine takes gradients.
    """
    time_evaluation = getattr(fit.model.core, "time_evaluation", None)
    if time_evaluation is None:
        return None
    repeats = int(0.01 / time_evaluation(3)) + 1  # a round takes 10 ms or one evaluation
    return float(min(time_evaluation(repeats) for _ in range(50 if repeats > 1 else 5)))
