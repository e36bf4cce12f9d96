"""Random inputs: each is fine and sane, or refused in one sentence (see `fuzz/run.py`)."""

import collections
import json
import subprocess
import sys
from pathlib import Path

from robustness.fuzz.cases import KINDS
from robustness.fuzz.judge import Insane, judge, sentence

SEED, COUNT, PARTS = 1, 2100, 2


def run():
    """Outcomes and failures of all inputs, in as many processes as a small machine has cores."""
    size = COUNT // PARTS
    command = [sys.executable, "-m", "robustness.fuzz.run", "--json", "--seed", str(SEED)]
    parts = [
        subprocess.Popen(
            [*command, "--first", str(part * size), "--count", str(size)],
            cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE,
            text=True,
        )
        for part in range(PARTS)
    ]
    found = [part.communicate(timeout=1200)[0] for part in parts]
    assert [part.returncode for part in parts] == [0] * PARTS, "a process died"
    found = [json.loads(text.splitlines()[-1]) for text in found]
    return [[item for one in found for item in one[key]] for key in ("outcomes", "failures")]


def test_no_input_fails():
    outcomes, failed = run()
    failures = [
        f"{name}: make fuzz SEED={SEED} CASE={number}\n{why}" for name, number, why in failed
    ]
    assert not failures, "\n\n".join(failures)
    # Enough of each kind ran through, so that the judge had something to judge.
    assert sum(count for _, _, count in outcomes) >= 2000
    fine = collections.Counter()
    for name, outcome, count in outcomes:
        fine[name] += count * (outcome == "fine")
    assert set(fine) == {kind.__name__ for kind in KINDS}
    assert all(fine[kind.__name__] >= 5 for kind in KINDS), fine


def test_the_judge_sees_failures():
    def divided():
        import numpy as np

        np.array([1.0]) / 0

    def insane():
        raise Insane("a number")

    for case in (divided, insane, lambda: {}["x"]):
        assert judge(case).outcome == "failure"
    assert judge(lambda: 1).outcome == "fine"
    for text in ("two\nlines.", "x" * 800 + ".", "no end", "<object at 0x7f>."):
        assert sentence(text).outcome == "failure"
    assert sentence("`draws` is 0: give at least 1.").outcome == "refused"
