"""Measure full posteriors beside point estimates of lme4 and glmm, in one run on one machine.

Exit 1 if we miss a mark. A peer that is not there is left out, with a line that says so: lme4
needs R (Debian: ``apt-get install r-cran-lme4 libopenblas0-pthread``; with the plain BLAS it takes
three times as long on InstEval); glmm is installed on first use. InstEval is read from where the
environment variable ``INSTEVAL`` says.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from factor_cases import FACTOR_CASES, FactorCase
from factor_results import Outcome, combine, judge, judge_sds, print_outcomes
from results import US, print_checks
from run import LOCK, install, machine
from simulated import Table

HERE = Path(__file__).parent
GLMM_ENV = HERE / ".venv-glmm"
LONG = 60.0  # a program that takes more seconds is run in the first round only
LONGEST = 900.0  # seconds after which a peer is given up

Record = dict[str, Any]


def peers(r: str = "lme4.R", python: str = "glmm_reml.py") -> dict[str, list[str]]:
    """Return the commands of the peers that can be run, of these scripts; say which cannot."""
    found = {}
    rscript = shutil.which("Rscript")
    if rscript and _succeeds([rscript, "-e", "library(lme4)"]):
        found["lme4"] = [rscript, str(HERE / "peers" / r)]
    else:
        print("lme4 is left out: no R with lme4 (Debian: r-cran-lme4 libopenblas0-pthread)")
    try:
        install(GLMM_ENV, ["--constraint", str(LOCK), "glmm"])
        found["glmm"] = [str(GLMM_ENV / "bin" / "python"), str(HERE / "peers" / python)]
    except subprocess.CalledProcessError:
        print("glmm is left out: it could not be installed")
    return found


def programs(case: FactorCase, found: dict[str, list[str]], seconds: float) -> dict[str, list[str]]:
    """Return the commands that fit this case."""
    ours = [sys.executable, str(HERE / "factor_ours.py"), case.name, "--seconds", str(seconds)]
    arguments = [str(case.path), case.formula, ",".join(case.factors), str(seconds)]
    return {US: ours} | {
        name: [*command, *arguments] for name, command in found.items() if name in case.peers
    }


def measure(case: FactorCase, found: dict[str, list[str]], rounds: int, seconds: float) -> Outcome:
    """Run every program in turn, several times over, so that disturbances meet all alike."""
    records: dict[str, list[Record]] = {}
    tools = programs(case, found, seconds)
    for repeat in range(rounds):
        for name, command in list(tools.items()):
            print(f"{case.name}: {repeat + 1}/{rounds} {name}", file=sys.stderr)
            start = time.perf_counter()
            record = run_program(command, LONGEST if name != US else None)
            if record is None:
                print(f"{name} is left out of {case.name}: over {LONGEST:.0f} s", file=sys.stderr)
                del tools[name]
                continue
            if time.perf_counter() - start > LONG:
                del tools[name]
            if name == US and any(mark.measure == "process" for mark in case.marks):
                record["seconds"]["process"] = [_seconds_process(case)]
            records.setdefault(name, []).append(record)
    return combine(case, records)


def run_program(command: list[str], timeout: float | None) -> Record | None:
    """Return what a program measured; None where it took too long."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    record: Record = json.loads(done.stdout.splitlines()[-1])
    return record


def _seconds_process(case: FactorCase) -> float:
    """Return the seconds from start to printed summary on the command line."""
    command = str(Path(sys.executable).with_name("partialpool"))
    start = time.perf_counter()
    subprocess.run(
        [command, "fit", str(case.path), case.formula, "--seed", "1"],
        capture_output=True,
        check=True,
    )
    return time.perf_counter() - start


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def present(names: list[str]) -> Iterator[FactorCase]:
    """Yield the cases whose data are there, writing those that are simulated."""
    for name in names:
        case = FACTOR_CASES[name]
        if isinstance(case.data, Table) and not case.rows_per_level:
            case.data.write()
        if case.path.exists() or case.rows_per_level:
            yield case
        else:
            print(f"{name} is left out: there is no {case.path} (set INSTEVAL=path)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-peers", action="store_true", help="measure partialpool alone")
    parser.add_argument("--case", action="append", choices=FACTOR_CASES, help="default: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="fitting of each program in each round"
    )
    options = parser.parse_args()
    found = {} if options.no_peers else peers()
    print(machine())
    loads = [os.getloadavg()[0]]
    fitted = partial(measure, found=found, rounds=options.rounds, seconds=options.seconds)
    outcomes = [fitted(case) for case in present(options.case or list(FACTOR_CASES))]
    loads.append(os.getloadavg()[0])
    print_outcomes(outcomes)
    print("Load average before and after: {:.1f}, {:.1f}".format(*loads))
    checks = [c for outcome in outcomes for c in (*judge(outcome), *judge_sds(outcome))]
    print_checks(checks)
    return 0 if all(check.passed for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
