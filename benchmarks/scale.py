"""Measure full posteriors of large tables beside a bare group-by and programs that estimate points.

Tables are made on first use, in ``.data``. Exit 1 if we miss a mark. Peers are installed on first
use, each into an environment of its own; one that is not there, or does not end in time, is left
out, with a line that says so. ``--save`` writes what was measured for the figure of the site.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results import print_checks
from run import LOCK, install, machine
from scale_cases import DEFAULT, FLOORS, FORMULA, LEAST, PEERS, POLARS, US, Peer, Size
from scale_results import Outcome, combine, judge, judge_sds, print_outcomes, saved

HERE = Path(__file__).parent
LONG = 60.0  # a peer that takes more seconds is run in the first round only
ONCE = "0"  # seconds of fitting in a process: one fit, so that time and memory are that of one

Record = dict[str, Any]


@dataclass(frozen=True)
class Tool:
    command: list[str]
    csv: bool = False  #: reads text


def tools(*, peers: bool) -> dict[str, Tool]:
    """Return the programs that can be run; say which cannot."""
    found = {US: Tool([sys.executable, str(HERE / "scale_ours.py")])}
    python = _environment("floors", ("polars", "duckdb"))
    for name in FLOORS:
        library = "polars" if name == POLARS else "duckdb"
        found[name] = Tool([python, str(HERE / "peers" / "group_by.py"), library])
    for name, peer in PEERS.items() if peers else ():
        script = str(HERE / "peers" / peer.script)
        try:
            found[name] = _r(script) if not peer.packages else _python(name, peer, script)
        except (FileNotFoundError, subprocess.CalledProcessError):
            print(f"{name} is left out: it is not there, and could not be installed")
    return found


def _environment(name: str, packages: tuple[str, ...]) -> str:
    environment = HERE / f".venv-scale-{name}"
    install(environment, ["--constraint", str(LOCK), *packages])
    return str(environment / "bin" / "python")


def _python(name: str, peer: Peer, script: str) -> Tool:
    return Tool([_environment(name.lower(), peer.packages), script])


def _r(script: str) -> Tool:
    rscript = shutil.which("Rscript")
    if rscript is None:
        raise FileNotFoundError("Rscript")
    subprocess.run([rscript, "-e", "library(lme4)"], capture_output=True, check=True)
    return Tool([rscript, script], csv=True)


# --- Running ------------------------------------------------------------------------------------


def table(size: Size, *, csv: bool) -> Path:
    """Make a table, in a process of its own: what this one held would count as its children's."""
    path = size.path.with_suffix(".csv") if csv else size.path
    command = [str(HERE / "scale_data.py"), str(size.rows), str(size.groups), str(size.path)]
    extra = ["--csv", str(path)] if csv else []
    subprocess.run([sys.executable, *command, *extra], check=True)
    return path


def run(command: list[str], limit: float | None) -> Record | str:
    """Return what a program measured, its seconds and its memory; or why there is nothing."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=out, stderr=err)
        timer = threading.Timer(limit, child.kill) if limit else None
        if timer:
            timer.start()
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if timer:
            timer.cancel()
        printed, said = (_text(file) for file in (out, err))
    if limit and seconds >= limit:
        return f"more than {limit:.0f} s"
    if child.returncode != 0:
        return f"exit code {child.returncode}: {said.strip()[-400:]}"
    record: Record = json.loads(printed.splitlines()[-1])
    record["seconds"] = {
        key: value[0] if isinstance(value, list) else value
        for key, value in record["seconds"].items()
    }
    record["seconds"]["process"] = seconds
    unit = 1e9 if sys.platform == "darwin" else 1e6
    return record | {"gigabytes": used.ru_maxrss / unit}


def _text(file: Any) -> str:
    file.seek(0)
    text: str = file.read().decode(errors="replace")
    return text


def arguments(name: str, size: Size) -> list[str]:
    """Return what follows a program's command."""
    path = str(table(size, csv=name == "lme4"))
    if name == US:
        return [path, str(time.time())]
    return [path] if name in FLOORS else [path, FORMULA, "id", ONCE]


@dataclass
class Survey:
    """All sizes by all programs, with what was left out and why."""

    found: dict[str, Tool]
    rounds: int
    limit: float
    gave_up: dict[str, list[Size]]

    def measure(self, size: Size) -> Outcome:
        """Run every program in turn, several times over, so that disturbances meet all alike."""
        records: dict[str, list[Record]] = {}
        left_out: dict[str, str] = {}
        waiting = [name for name in self.found if self._try(name, size, left_out)]
        for repeat in range(self.rounds):
            for name in list(waiting):
                print(f"{size.name}: {repeat + 1}/{self.rounds} {name}", file=sys.stderr)
                given = arguments(name, size)
                limit = self.limit if name in PEERS else None
                record = run([*self.found[name].command, *given], limit)
                if isinstance(record, str):
                    if name not in PEERS:
                        sys.exit(f"{name} failed at {size.name}: {record}")
                    left_out[name] = record
                    self.gave_up[name].append(size)
                    waiting.remove(name)
                    continue
                if name in PEERS and record["seconds"]["process"] > LONG:
                    waiting.remove(name)
                records.setdefault(name, []).append(record)
        return combine(size, records, left_out)

    def _try(self, name: str, size: Size, left_out: dict[str, str]) -> bool:
        """Whether a program may end in time; what gave up on a table needs no larger one."""
        if name not in PEERS:
            return True
        if size.rows > PEERS[name].most_rows:
            left_out[name] = f"not tried with more than {PEERS[name].most_rows:,} rows in memory"
        smaller = next((s for s in self.gave_up[name] if s.within(size)), None)
        if smaller is not None:
            left_out[name] = f"not tried: gave up at {smaller.name}"
        return name not in left_out


def sizes(rows: list[int] | None, groups: list[int] | None) -> list[Size]:
    """Return all pairs that have ten rows a group, or those for a laptop."""
    if rows is None and groups is None:
        return list(DEFAULT)
    rows, groups = rows or [10**5, 10**6, 10**7], groups or [10**3, 10**4, 10**5, 10**6]
    return [Size(n, k) for n in rows for k in groups if n >= LEAST * k]


def count(text: str) -> int:
    """Return a number that may be written as `1e7`."""
    value = float(text)
    if value < 1 or value != int(value):
        raise ValueError(text)
    return int(value)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=count, nargs="+", help="such as 1e6 1e8")
    parser.add_argument("--groups", type=count, nargs="+", help="ten rows each, or more")
    parser.add_argument("--no-peers", action="store_true", help="the bare group-by alone beside us")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=600.0, help="seconds that a peer has")
    parser.add_argument("--save", type=Path, help="add to this file what was measured")
    options = parser.parse_args()
    wanted = sizes(options.rows, options.groups)
    if not wanted:
        parser.error(f"no pair of sizes has {LEAST} rows a group")
    found = tools(peers=not options.no_peers)
    survey = Survey(found, options.rounds, options.limit, {name: [] for name in PEERS})
    print(machine())
    loads = [os.getloadavg()[0]]
    outcomes = [survey.measure(size) for size in sorted(wanted)]
    loads.append(os.getloadavg()[0])
    print_outcomes(outcomes)
    print("Load average before and after: {:.1f}, {:.1f}".format(*loads))
    if options.save:
        options.save.write_text(saved(options.save, outcomes, machine(), loads))
    checks = [*judge(outcomes), *judge_sds(outcomes)]
    print_checks(checks)
    return 0 if all(check.passed for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
