"""Run random inputs by number: the same number gives the same input.

`python -m robustness.fuzz.run --seed 7 --count 20000` in `tests/` runs many (`make fuzz`), and
`… --seed 7 --case 123` one of them again.
"""

import argparse
import collections
import json
import os
import pickle
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from robustness.fuzz.cases import KINDS, RISKY
from robustness.fuzz.judge import Verdict, judge


def kind_of(seed, number):
    """Which kind an input is of, and its generator."""
    rng = np.random.default_rng([seed, number])
    kinds, shares = list(KINDS), np.array(list(KINDS.values()))
    return kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))], rng


def run(seed, number):
    """Run one input and judge it."""
    kind, rng = kind_of(seed, number)
    with tempfile.TemporaryDirectory() as folder:
        case = lambda: kind(rng, Path(folder))  # noqa: E731
        verdict = in_child(case) if kind in RISKY else judge(case)
    return kind.__name__, verdict


def in_child(case):
    """Judge a case in a process of its own, which it may take down."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        signal.alarm(60)
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(judge(case), pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        content = pipe.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return Verdict("failure", f"the process died of {signal.Signals(os.WTERMSIG(status)).name}")
    return pickle.loads(content)


def run_many(seed, numbers, seconds=float("inf"), report=None):
    """Run inputs until time is up; give outcomes by kind, and the failures."""
    began = time.perf_counter()
    outcomes, failures = collections.Counter(), []
    for number in numbers:
        if time.perf_counter() - began > seconds:
            break
        name, verdict = run(seed, number)
        outcomes[name, verdict.outcome] += 1
        if verdict.outcome == "failure":
            failures.append((name, number, verdict.why))
            if report is not None:
                report(name, number, verdict.why)
    return outcomes, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--case", type=int, help="run this one alone")
    parser.add_argument("--json", action="store_true", help="print the outcomes as JSON at the end")
    given = parser.parse_args()
    if given.case is not None:
        name, verdict = run(given.seed, given.case)
        print(f"{name}: {verdict.outcome}\n{verdict.why}")
        return int(verdict.outcome == "failure")

    def report(name, number, why):
        last = why.strip().splitlines()[-1]
        print(
            f"FAILURE {name}: {last[:300]}\n  make fuzz SEED={given.seed} CASE={number}", flush=True
        )

    numbers = range(given.first, given.first + given.count)
    outcomes, failures = run_many(
        given.seed, numbers, given.seconds, None if given.json else report
    )
    if given.json:
        counts = [[*key, count] for key, count in outcomes.items()]
        print(json.dumps({"outcomes": counts, "failures": failures}))
        return 0
    for (name, outcome), count in sorted(outcomes.items()):
        print(f"{name:16} {outcome:8} {count:6}")
    print(f"seed {given.seed}: {sum(outcomes.values())} inputs, {len(failures)} failures")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
