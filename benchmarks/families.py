"""Measure posteriors of families that are not Gaussian beside point estimates of lme4 and glmm.

In one run on one machine; exit 1 if we miss a mark. Peers as in ``factors.py``.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from factor_results import number
from factors import LONG, LONGEST, peers, run_program
from family_cases import FAMILY_CASES, FamilyCase
from marks import PEERS, Mark
from results import US, Check, print_checks, print_table
from run import machine

HERE = Path(__file__).parent

Record = dict[str, Any]
Found = dict[str, list[Record]]  #: by program: a record of each round

#: How far the estimates of programs that maximise the same may lie apart, in posterior sds. Neither
#: of theirs goes on to where a deviance stands still.
APART = 0.05
#: And posterior means of an approximation from those of draws, where it is one to use.
MOVED = 0.25


def measure(case: FamilyCase, commands: dict[str, list[str]], rounds: int, seconds: float) -> Found:
    """Run every program in turn, several times over, so that disturbances meet all alike."""
    case.data.write()
    given = [str(case.data.path), case.formula, ",".join(case.factors), case.family, str(seconds)]
    ours = [sys.executable, str(HERE / "family_ours.py"), case.name, "--seconds", str(seconds)]
    tools = {US: ours} | {
        name: [*commands[name], *given] for name in commands if name in case.peers
    }
    found: Found = {}
    for repeat in range(rounds):
        for name, command in list(tools.items()):
            print(f"{case.name}: {repeat + 1}/{rounds} {name}", file=sys.stderr)
            record = run_program(command, LONGEST if name != US else None)
            if record is None:
                print(f"{name} is left out of {case.name}: over {LONGEST:.0f} s", file=sys.stderr)
                del tools[name]
                continue
            found.setdefault(name, []).append(record)
            if sum(record["seconds"].get("fit", ())) > LONG:
                del tools[name]
    return found


def typical(found: Found, name: str, measure: str) -> float | None:
    """Return the median seconds of a program over all rounds; None where there are none."""
    values = [x for record in found.get(name, ()) for x in record["seconds"].get(measure, ())]
    return median(values) if values else None


# --- Judging ------------------------------------------------------------------------------------


def judge(case: FamilyCase, found: Found) -> Iterator[Check]:
    for mark in case.marks:
        value, limit = typical(found, US, mark.measure), _limit(mark, found)
        if value is None or limit is None:
            continue
        times = "" if mark.of is None else f" ({mark.at_most:g} × {mark.of})"
        what = f"{case.name}: {mark.measure}"
        yield Check(what, f"{value:.3g} s", f"≤ {limit:.3g} s{times}", value <= limit)
    ours = found[US][0]
    good = ours["ess"] >= case.ess and ours["r_hat"] <= 1.01 and ours["divergences"] == 0
    value = f"{ours['ess']:.0f}, {ours['r_hat']:.3f}, {ours['divergences']}"
    wanted = f"≥ {case.ess}, ≤ 1.01, 0"
    yield Check(f"{case.name}: ESS, R-hat, divergences", value, wanted, good)
    for peer in case.peers:
        if peer in found and ours["estimates"]:
            yield _closeness(
                f"{case.name}: our ml, against {peer}",
                ours,
                (ours["estimates"], found[peer][0]["estimates"]),
                APART,
            )
    if ours["laplace"]:
        means = {key: own["mean"] for key, own in ours["laplace"].items()}
        drawn = {key: own["mean"] for key, own in ours["posterior"].items()}
        yield _closeness(f"{case.name}: laplace, against nuts", ours, (means, drawn), MOVED)


def _closeness(
    what: str, ours: Record, pair: tuple[dict[str, float], dict[str, float]], at_most: float
) -> Check:
    one, other = pair
    apart = {
        key: abs(one[key] - other[key]) / ours["posterior"][key]["sd"]
        for key in ours["posterior"]
        if key in one and key in other
    }
    worst = max(apart, key=apart.__getitem__)
    value = f"{apart[worst]:.3f} posterior sds ({worst})"
    return Check(what, value, f"≤ {at_most:g}", apart[worst] <= at_most)


def _limit(mark: Mark, found: Found) -> float | None:
    if mark.of is None:
        return mark.at_most
    theirs = typical(found, mark.of, "fit")
    return None if theirs is None else mark.at_most * theirs


# --- Printing -----------------------------------------------------------------------------------


def print_outcomes(outcomes: dict[str, Found]) -> None:
    print("\nSeconds, medians. Ours: draws until enough are effective; approximations, and then")
    print("coefficients of all levels, which wait to be asked for; points\n")
    rows = [["", "posterior", "min ESS", "ESS/s", "laplace", "+ levels", "ml", *PEERS, "GB"]]
    for name, found in outcomes.items():
        ours, drawn = found[US][0], typical(found, US, "nuts")
        rate = None if drawn is None else ours["ess"] / drawn
        row = [name, *map(number, (drawn, ours["ess"], rate))]
        row += [number(typical(found, US, key)) for key in ("laplace", "levels", "ml")]
        row += [number(typical(found, peer, "fit")) for peer in PEERS]
        rows.append([*row, number(max(r["megabytes"] or 0 for r in found[US]) / 1000)])
    print_table(rows)
    records = [own[0] for found in outcomes.values() for own in found.values()]
    versions = {key: value for record in records for key, value in record["versions"].items()}
    print("\n" + ", ".join(f"{name} {version}" for name, version in versions.items()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-peers", action="store_true", help="measure partialpool alone")
    parser.add_argument("--case", action="append", choices=FAMILY_CASES, help="default: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="fitting of each program in each round"
    )
    options = parser.parse_args()
    commands = {} if options.no_peers else peers(python="glmm_ml.py")
    print(machine())
    loads = [os.getloadavg()[0]]
    outcomes = {
        name: measure(FAMILY_CASES[name], commands, options.rounds, options.seconds)
        for name in options.case or FAMILY_CASES
    }
    loads.append(os.getloadavg()[0])
    print_outcomes(outcomes)
    print("Load average before and after: {:.1f}, {:.1f}".format(*loads))
    checks = [c for name, found in outcomes.items() for c in judge(FAMILY_CASES[name], found)]
    print_checks(checks)
    return 0 if all(check.passed for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
