"""What ``scale.py`` makes of its measures: medians, checks against the marks, tables, a file."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from results import Check, print_table
from scale_cases import FLOORS, MARKS, PEERS, TRUTH, US, Mark, Size

MEASURES = {
    "process": "whole process",
    "full": "posterior with coefficients",
    "gigabytes": "memory",
}
PARTS = ("start", "scan", "explore", "coefficients")

# In posterior sds: how far posterior means may lie from REML estimates, where groups are a thousand
# or more (Monte Carlo error is 0.02, skewness less than 0.1), and from what the data were made of.
APART = 0.3
APART_TRUTH = 4.5


@dataclass(frozen=True)
class Program:
    """Medians over the rounds; the most memory of any."""

    seconds: dict[str, float]
    gigabytes: float
    estimates: dict[str, float]
    versions: dict[str, str]

    def measure(self, name: str) -> float:
        return self.gigabytes if name == "gigabytes" else self.seconds[name]


@dataclass(frozen=True)
class Outcome:
    size: Size
    programs: dict[str, Program]
    posterior: dict[str, dict[str, float]]  #: parameter → mean, sd
    left_out: dict[str, str]  #: program → why

    @property
    def ours(self) -> Program:
        return self.programs[US]


def combine(
    size: Size, records: dict[str, list[dict[str, Any]]], left_out: dict[str, str]
) -> Outcome:
    levels = {name: found[0]["levels"] for name, found in records.items() if "levels" in found[0]}
    if set(levels.values()) != {size.groups}:
        raise ValueError(f"not all groups were seen at {size.name}: {levels}")
    programs = {
        name: Program(
            seconds={key: median(r["seconds"][key] for r in found) for key in found[0]["seconds"]},
            gigabytes=max(r["gigabytes"] for r in found),
            estimates=found[0].get("estimates", {}),
            versions=found[0]["versions"],
        )
        for name, found in records.items()
    }
    return Outcome(size, programs, records[US][0]["posterior"], left_out)


# --- Judging ------------------------------------------------------------------------------------


def judge(outcomes: Sequence[Outcome]) -> Iterator[Check]:
    by_size = {outcome.size: outcome for outcome in outcomes}
    for outcome in outcomes:
        for mark in MARKS.get(outcome.size, ()):
            limit = _limit(mark, outcome, by_size)
            if limit is None:  # what it is measured by is not there
                continue
            value = outcome.ours.measure(mark.measure)
            unit = "GB" if mark.measure == "gigabytes" else "s"
            of = mark.of.name if isinstance(mark.of, Size) else mark.of
            times = "" if of is None else f" ({mark.at_most:g} × {of})"
            yield Check(
                f"{outcome.size.name}: {MEASURES[mark.measure]}",
                f"{value:.3g} {unit}",
                f"≤ {limit:.3g} {unit}{times}",
                value <= limit,
            )


def _limit(mark: Mark, outcome: Outcome, by_size: dict[Size, Outcome]) -> float | None:
    if mark.of is None:
        return mark.at_most
    if isinstance(mark.of, Size):
        other = by_size.get(mark.of)
        return None if other is None else mark.at_most * other.ours.measure(mark.measure)
    program = outcome.programs.get(mark.of)
    return None if program is None else mark.at_most * program.seconds[mark.theirs]


def judge_sds(outcomes: Sequence[Outcome]) -> Iterator[Check]:
    """Yield how far posterior means lie from estimates of the same model, and from the truth."""
    for outcome in outcomes:
        others = {"the truth": (TRUTH, APART_TRUTH)}
        for name in ("glmm", "lme4", "statsmodels"):
            if name in outcome.programs:
                others[name] = (outcome.programs[name].estimates, APART)
        for name, (estimates, at_most) in others.items():
            apart = {
                key: abs(estimates[key] - known["mean"]) / known["sd"]
                for key, known in outcome.posterior.items()
            }
            worst = max(apart, key=apart.__getitem__)
            yield Check(
                f"{outcome.size.name}: posterior, against {name}",
                f"{apart[worst]:.3f} posterior sds ({worst})",
                f"≤ {at_most:g}",
                apart[worst] <= at_most,
            )


# --- Printing -----------------------------------------------------------------------------------


def print_outcomes(outcomes: Sequence[Outcome]) -> None:
    print("\nSeconds of ours, medians\n")
    rows = [["", *PARTS, "whole process", "GB"]]
    for outcome in outcomes:
        ours = outcome.ours
        cells = [ours.seconds[part] for part in (*PARTS, "process")]
        rows.append([outcome.size.name, *map(_number, (*cells, ours.gigabytes))])
    print_table(rows)
    print("\nSeconds and GB beside them: whole processes, and fits from a table in memory\n")
    rows = [["", US, *(f"{name}" for name in FLOORS), *(f"{name}, fit" for name in PEERS)]]
    for outcome in outcomes:
        row = [outcome.size.name]
        for name in (US, *FLOORS, *PEERS):
            there = outcome.programs.get(name)
            key = "fit" if name in PEERS else "process"
            cell = f"{_number(there.seconds[key])} s, {there.gigabytes:.2f} GB" if there else "–"
            row.append(cell)
        rows.append(row)
    print_table(rows)
    notes = [f"{name} fits {peer.note}" for name, peer in PEERS.items() if peer.note]
    gone = [
        f"{name} is left out of {outcome.size.name}: {why}"
        for outcome in outcomes
        for name, why in outcome.left_out.items()
    ]
    versions = {k: v for o in outcomes for p in o.programs.values() for k, v in p.versions.items()}
    print("\n" + "\n".join([*notes, *gone]))
    print("\n" + ", ".join(f"{name} {version}" for name, version in versions.items()))


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


# --- A file for the figure ----------------------------------------------------------------------


def saved(path: Path, outcomes: Sequence[Outcome], machine: str, loads: Sequence[float]) -> str:
    """Return the text of a file of results: those that are there, and in their place new ones.

    Results of different machines do not go into one file.
    """
    record: dict[str, Any] = {"machine": machine, "sizes": []}
    if path.exists():
        record = json.loads(path.read_text())
        if record["machine"] != machine:
            raise SystemExit(f"{path} was measured on another machine: {record['machine']}")
    new = {(outcome.size.rows, outcome.size.groups) for outcome in outcomes}
    kept = [s for s in record["sizes"] if (s["rows"], s["groups"]) not in new]
    added = [
        {
            "rows": outcome.size.rows,
            "groups": outcome.size.groups,
            "load": [round(load, 1) for load in loads],
            "programs": {
                name: asdict(program) | {"estimates": None}
                for name, program in outcome.programs.items()
            },
            "left_out": outcome.left_out,
        }
        for outcome in outcomes
    ]
    record["sizes"] = sorted([*kept, *added], key=lambda s: (s["rows"], s["groups"]))
    return json.dumps(_rounded(record), indent=1, ensure_ascii=False) + "\n"


def _rounded(value: Any) -> Any:
    """Keep what was measured, and not the noise behind it."""
    if isinstance(value, dict):
        return {key: _rounded(v) for key, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
