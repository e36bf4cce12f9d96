"""What ``factors.py`` makes of its measures: medians, checks against the marks, tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from factor_cases import FactorCase
from marks import PEERS, Mark
from results import US, Check, print_table

MEASURES = {
    "fit": "fit",
    "full": "fit with coefficients",
    "after_rows": "after the rows were read",
    "process": "whole process",
    "gigabytes": "memory",
}

# In posterior sds: how far point estimates of sds may lie from the posterior mean (the posterior is
# skewed where levels are few: an estimate of 0 is the end of a half-normal, 1.3 from its mean), and
# from our own point estimates, which are of the same thing.
APART = 1.5
APART_POINTS = 0.02


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

    @property
    def peers(self) -> list[str]:
        return [name for name in PEERS if name in self.programs]

    @property
    def sds(self) -> list[str]:
        """Return the names of the sds and of sigma."""
        return [name for name in self.posterior if name.startswith("sd_") or name == "sigma"]

    def apart(self, peer: str) -> dict[str, float]:
        """Return how many posterior sds a peer's estimates lie from the posterior mean."""
        estimates = self.programs[peer].estimates
        return {
            key: abs(estimates[key] - self.posterior[key]["mean"]) / self.posterior[key]["sd"]
            for key in self.sds
        }

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


def judge_sds(outcome: Outcome) -> Iterator[Check]:
    for peer in outcome.peers:
        yield _closeness(
            f"{outcome.case.name}: posterior of sds, against {peer}", outcome.apart(peer), APART
        )
        points = {
            key: abs(value - outcome.programs[peer].estimates[key]) / outcome.posterior[key]["sd"]
            for key, value in outcome.ours.estimates.items()
            if key in outcome.sds
        }
        if points:
            what = f"{outcome.case.name}: REML of sds, against {peer}"
            yield _closeness(what, points, APART_POINTS)


def _closeness(what: str, apart: dict[str, float], at_most: float) -> Check:
    worst = max(apart, key=apart.__getitem__)
    value = f"{apart[worst]:.3f} posterior sds ({worst})"
    return Check(what, value, f"≤ {at_most:g}", apart[worst] <= at_most)


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
        row += [number(seconds.get(key)) for key in ("fit", "full")]
        row += [number(outcome.ours.gigabytes), number(seconds.get("reml"))]
        for peer in PEERS:
            there = outcome.programs.get(peer)
            row += [number(there.seconds["fit"] if there else None), number(outcome.ratio(peer))]
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
        rows.append([outcome.case.name, number(micro), outcome.case.shape, engine])
    print_table(rows)


def _print_agreement(outcomes: list[Outcome]) -> None:
    """Print where estimates of sds lie in the posterior, farthest first."""
    print(
        "\nSds and sigma: the one whose REML estimate lies farthest from the posterior mean, in\n"
        "posterior sds (some tenths are skew where levels are few), and our REML beside theirs\n"
    )
    rows = [["", "parameter", "mean", "sd", *PEERS, "apart", "our REML, relative difference"]]
    for outcome in outcomes:
        if not outcome.peers:
            continue
        apart = {
            key: max(outcome.apart(peer)[key] for peer in outcome.peers) for key in outcome.sds
        }
        worst = max(apart, key=apart.__getitem__)
        posterior = outcome.posterior[worst]
        there = (outcome.programs.get(peer) for peer in PEERS)
        points = [peer.estimates[worst] if peer else None for peer in there]
        row = [outcome.case.name, worst, *map(number, (posterior["mean"], posterior["sd"]))]
        rows.append([*row, *map(number, points), f"{apart[worst]:.2f}", _relative(outcome)])
    print_table(rows)


def _relative(outcome: Outcome) -> str:
    """Return the largest relative difference of our REML sds from each peer's."""
    ours = {key: value for key, value in outcome.ours.estimates.items() if key in outcome.sds}
    if not ours:
        return "–"
    largest = {
        peer: max(
            abs(value - outcome.programs[peer].estimates[key]) / max(value, 1e-6)
            for key, value in ours.items()
        )
        for peer in outcome.peers
    }
    return ", ".join(f"{value:.0e} {name}" for name, value in largest.items())


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
