"""What the benchmark makes of its measures: medians, checks against the marks, tables."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

from cases import Case

US = "partialpool"
NUTPIE = "PyMC + nutpie"
NUMPYRO = "NumPyro"
NUMPYRO_CACHED = "NumPyro, cached"

IMPORT_SECONDS = 0.3
MONTE_CARLO_ERRORS = 4.0  # how far apart posterior means may lie


@dataclass(frozen=True)
class Check:
    what: str
    value: str
    wanted: str
    passed: bool


@dataclass(frozen=True)
class Result:
    """Medians over the repeats, and the posterior means pooled over them."""

    median: dict[str, float]
    mean: dict[str, float]
    mcse: dict[str, float]
    versions: dict[str, str]

    @property
    def ess_rate(self) -> float:
        """Return the smallest ESS of any parameter per second of sampling all of them."""
        return self.median["ess_all_rate"]


def combine(records: list[dict[str, Any]]) -> Result:
    names = records[0]["mean"]
    return Result(
        median={
            key: median(r[key] for r in records)
            for key in records[0]
            if key.startswith(("seconds_", "nanoseconds_", "ess_"))
        },
        mean={name: mean(r["mean"][name] for r in records) for name in names},
        mcse={
            name: math.hypot(*(r["mcse"][name] for r in records)) / len(records) for name in names
        },
        versions=records[0]["versions"],
    )


# --- Judging ------------------------------------------------------------------------------------


def judge(case: Case, results: dict[str, Result]) -> Iterator[Check]:
    ours = results[US]
    seconds = ours.median["seconds_import"]
    yield Check(
        "import partialpool", f"{seconds:.2f} s", f"< {IMPORT_SECONDS} s", seconds < IMPORT_SECONDS
    )
    peers = {name: result for name, result in results.items() if name != US}
    if not peers:
        return

    def at_least(what: str, ratio: float, wanted: float | None) -> Check:
        if wanted is None:
            return Check(what, f"{ratio:.1f} ×", "shown only", True)
        return Check(what, f"{ratio:.1f} ×", f"≥ {wanted:g} ×", ratio >= wanted)

    def fastest(key: str) -> float:
        return min(peer.median[key] for peer in peers.values()) / ours.median[key]

    yield at_least("fit, against the fastest peer's", fastest("seconds_fit"), case.expected.fit)
    rates = {
        "nutpie": peers[NUTPIE].ess_rate,
        "NumPyro": max(peers[name].ess_rate for name in (NUMPYRO, NUMPYRO_CACHED)),
    }
    for name, rate in rates.items():
        ratio = ours.ess_rate / rate
        yield at_least(f"ESS/s of sampling, against {name}'s", ratio, case.expected.ess_rate)
    if case.expected.process is not None:
        yield at_least(
            "whole process, against the fastest peer's",
            fastest("seconds_process"),
            case.expected.process,
        )
    for name, peer in peers.items():
        apart = {
            key: abs(ours.mean[key] - peer.mean[key]) / math.hypot(ours.mcse[key], peer.mcse[key])
            for key in ours.mean
        }
        worst = max(apart, key=apart.__getitem__)
        yield Check(
            f"posterior means, against {name}",
            f"{apart[worst]:.1f} MCSE ({worst})",
            f"≤ {MONTE_CARLO_ERRORS:g} MCSE",
            apart[worst] <= MONTE_CARLO_ERRORS,
        )


# --- Printing -----------------------------------------------------------------------------------

ROWS = {
    "import, s": ("seconds_import", ".2f"),
    "build and compile, s": ("seconds_compile", ".2f"),
    "sampling, s": ("seconds_sampling", ".4f"),
    "draws of group coefficients after it, s": ("seconds_drawing", ".4f"),
    "fit, compilation included, s": ("seconds_fit", ".4f"),
    "the same, of all cores together, s": ("seconds_busy", ".4f"),
    "whole process, s": ("seconds_process", ".2f"),
    "smallest bulk ESS: population": ("ess_population", ",.0f"),
    "smallest bulk ESS: all": ("ess_all", ",.0f"),
    "ESS per second: population": ("ess_population_rate", ",.0f"),
    "ESS per second: all": ("ess_all_rate", ",.0f"),
    "density and gradient, ns": ("nanoseconds_density", ",.0f"),
}


def print_table(rows: list[list[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *cells]))


def print_results(case: Case, results: dict[str, Result], repeats: int) -> None:
    print(f"\n{case.name}: {case.formula}, 4 chains × (1000 + 1000), medians of {repeats}\n")
    rows = [["", *results]]
    for title, (key, form) in ROWS.items():
        cells = [format(r.median[key], form) if key in r.median else "–" for r in results.values()]
        if any(cell != "–" for cell in cells):
            rows.append([title, *cells])
    for name in results[US].mean:
        true = f", truly {case.truth[name]:g}" if name in case.truth else ""
        rows.append([f"mean of {name}{true}", *(f"{r.mean[name]:.3f}" for r in results.values())])
    print_table(rows)
    print()
    for name, result in results.items():
        print(f"{name}: {', '.join(f'{k} {v}' for k, v in result.versions.items())}")


def print_checks(checks: list[Check]) -> None:
    print()
    print_table([[c.what, c.value, c.wanted, "pass" if c.passed else "MISS"] for c in checks])
