"""What ``factors.py`` makes of its measures: medians, checks against the marks, tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from factor_cases import PEERS, FactorCase, Mark
from results import US, Check, print_table

MEASURES = {
    "fit": "fit",
    "full": "fit with coefficients",
    "after_rows": "after the rows were read",
    "process": "whole process",
    "gigabytes": "memory",
}


@dataclass(frozen=True)
class Program:
    """Medians over all repeats of all rounds; estimates are the same in each."""

    seconds: dict[str, float]
    gigabytes: float | None
    estimates: dict[str, float]
    versions: dict[str, str]


@dataclass(frozen=True)
class Outcome:
    case: FactorCase
    programs: dict[str, Program]
    posterior: dict[str, dict[str, float]]  #: parameter → mean, sd
    engine: str
    seconds_density: float | None

    @property
    def ours(self) -> Program:
        return self.programs[US]

    def measure(self, name: str) -> float:
        """Return what a mark judges of ours."""
        if name == "gigabytes":
            return self.ours.gigabytes or float("nan")
        return self.ours.seconds[name]

    def ratio(self, peer: str) -> float | None:
        """Return our time, coefficients included, in units of a peer's."""
        if peer not in self.programs:
            return None
        return self.ours.seconds["full"] / self.programs[peer].seconds["fit"]


def combine(case: FactorCase, records: dict[str, list[dict[str, Any]]]) -> Outcome:
    programs = {
        name: Program(
            seconds={
                key: median(x for r in found for x in r["seconds"][key])
                for key in found[0]["seconds"]
                if found[0]["seconds"][key]
            },
            gigabytes=max((r["megabytes"] or 0) for r in found) / 1000 or None,
            estimates=found[0]["estimates"],
            versions=found[0]["versions"],
        )
        for name, found in records.items()
    }
    ours = records[US]
    densities = [r["seconds_density"] for r in ours if r["seconds_density"] is not None]
    return Outcome(
        case,
        programs,
        posterior=ours[0]["posterior"],
        engine=ours[0]["engine"],
        seconds_density=min(densities, default=None),
    )


# --- Judging ------------------------------------------------------------------------------------


def judge(outcome: Outcome) -> Iterator[Check]:
    for mark in outcome.case.marks:
        limit = _limit(mark, outcome)
        if limit is None:  # the peer is not there
            continue
        value = outcome.measure(mark.measure)
        unit = "GB" if mark.measure == "gigabytes" else "s"
        times = "" if mark.of is None else f" ({mark.at_most:g} × {mark.of})"
        yield Check(
            f"{outcome.case.name}: {MEASURES[mark.measure]}",
            f"{value:.3g} {unit}",
            f"≤ {limit:.3g} {unit}{times}",
            value <= limit,
        )


def _limit(mark: Mark, outcome: Outcome) -> float | None:
    if mark.of is None:
        return mark.at_most
    if mark.of not in outcome.programs:
        return None
    return mark.at_most * outcome.programs[mark.of].seconds["fit"]


# --- Printing -----------------------------------------------------------------------------------


def print_outcomes(outcomes: list[Outcome]) -> None:
    _print_cases(outcomes)
    _print_seconds(outcomes)
    _print_densities(outcomes)
    _print_agreement(outcomes)
    versions = {k: v for o in outcomes for p in o.programs.values() for k, v in p.versions.items()}
    print("\n" + ", ".join(f"{name} {version}" for name, version in versions.items()))


def _print_cases(outcomes: list[Outcome]) -> None:
    print("\nCases, and the engine that the posterior comes from\n")
    for outcome in outcomes:
        print(f"{outcome.case.name}: {outcome.case.formula}\n    {outcome.engine}")


def _print_seconds(outcomes: list[Outcome]) -> None:
    print("\nSeconds, medians: our full posterior; points by our REML, lme4 and glmm\n")
    rows = [["", "fit", "+ coefficients", "GB", "our REML", "lme4", "÷ lme4", "glmm", "÷ glmm"]]
    for outcome in outcomes:
        seconds, row = outcome.ours.seconds, [outcome.case.name]
        row += [_number(seconds.get(key)) for key in ("fit", "full")]
        row += [_number(outcome.ours.gigabytes), _number(seconds.get("reml"))]
        for peer in PEERS:
            there = outcome.programs.get(peer)
            row += [_number(there and there.seconds["fit"]), _number(outcome.ratio(peer))]
        rows.append(row)
    print_table(rows)
    print("\n÷: our fit with all coefficients' means, sds and intervals, over the point estimate.")


def _print_densities(outcomes: list[Outcome]) -> None:
    print("\nOne evaluation of the density that the engine explores\n")
    rows = [["", "microseconds", "factors", "engine"]]
    for outcome in outcomes:
        seconds = outcome.seconds_density
        micro = None if seconds is None else 1e6 * seconds
        engine = outcome.engine.partition(":")[0]
        rows.append([outcome.case.name, _number(micro), outcome.case.shape, engine])
    print_table(rows)


def _print_agreement(outcomes: list[Outcome]) -> None:
    """Print where estimates of sds lie in the posterior, farthest first."""
    print(
        "\nSds and sigma: the one whose REML estimate lies farthest from the posterior mean, in\n"
        "posterior sds (some tenths are skew where levels are few), and our REML beside theirs\n"
    )
    rows = [["", "parameter", "mean", "sd", *PEERS, "apart", "our REML, relative difference"]]
    for outcome in outcomes:
        there = {name: outcome.programs[name] for name in PEERS if name in outcome.programs}
        sds = [k for k in outcome.posterior if k.startswith("sd_") or k == "sigma"]
        if not there or not sds:
            continue
        apart = {
            key: max(_apart(outcome.posterior[key], p.estimates[key]) for p in there.values())
            for key in sds
        }
        worst = max(apart, key=apart.__getitem__)
        posterior = outcome.posterior[worst]
        points = [there[n].estimates[worst] if n in there else None for n in PEERS]
        row = [outcome.case.name, worst, *map(_number, (posterior["mean"], posterior["sd"]))]
        rows.append([*row, *map(_number, points), f"{apart[worst]:.2f}", _relative(outcome, there)])
    print_table(rows)


def _apart(posterior: dict[str, float], estimate: float) -> float:
    return abs(estimate - posterior["mean"]) / posterior["sd"]


def _relative(outcome: Outcome, there: dict[str, Program]) -> str:
    """Return the largest relative difference of our REML sds from each peer's."""
    ours = {k: v for k, v in outcome.ours.estimates.items() if k.startswith("sd_") or k == "sigma"}
    if not ours:
        return "–"
    largest = {
        name: max(abs(v - peer.estimates[k]) / max(abs(v), 1e-6) for k, v in ours.items())
        for name, peer in there.items()
    }
    return ", ".join(f"{value:.0e} {name}" for name, value in largest.items())


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
