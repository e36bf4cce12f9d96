"""Measure partialpool beside its peers, in one run on one machine; exit 1 if we miss a mark.

``benchmarks/run.py`` makes the peers' environment on first use; ``--no-peers`` does without.
"""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
import venv
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cases import CASES, Case
from results import (
    NUMPYRO,
    NUMPYRO_CACHED,
    NUTPIE,
    US,
    Result,
    combine,
    judge,
    print_checks,
    print_results,
)

HERE = Path(__file__).parent
LOCK = HERE / "peers.lock"
PEER_ENV = HERE / ".venv"
PEER_PYTHON = PEER_ENV / "bin" / "python"

# Settings of the caller that would make caches colder or warmer than stated below.
CACHE_SETTINGS = {"PYTHONDONTWRITEBYTECODE", "JAX_COMPILATION_CACHE_DIR"}


@dataclass(frozen=True)
class Program:
    """How one tool is run: once to be measured from inside, once as a user would."""

    measured: list[str]
    whole: list[str]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Peer:
    path: Path
    environment: dict[str, str] = field(default_factory=dict)


# Caches are warm. PyTensor keeps what it compiled by default; JAX only when told to, so NumPyro
# is run both ways, as installed and at its best.
PEERS = {
    NUTPIE: Peer(HERE / "peers" / "pymc_nutpie.py"),
    NUMPYRO: Peer(HERE / "peers" / "numpyro_nuts.py"),
    NUMPYRO_CACHED: Peer(
        HERE / "peers" / "numpyro_nuts.py",
        {
            "JAX_COMPILATION_CACHE_DIR": str(PEER_ENV / "jax-cache"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        },
    ),
}


def install(environment: Path, wanted: list[str]) -> None:
    """Make a virtual environment from the lock file, unless it is there already."""
    stamp = environment / "lock.sha256"
    digest = hashlib.sha256(LOCK.read_bytes() + " ".join(wanted).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    print(f"Installing the peers into {environment} …", file=sys.stderr)
    venv.create(environment, clear=True, with_pip=True)
    command = [environment / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*command, *wanted], check=True)
    stamp.write_text(digest)


def programs(case: Case, *, peers: bool) -> dict[str, Program]:
    arguments = [str(case.path), "--case", case.name]
    command = str(Path(sys.executable).with_name("partialpool"))
    found = {
        US: Program([sys.executable, str(HERE / "ours.py"), *arguments], [command, *case.command()])
    }
    if peers:
        for name, peer in PEERS.items():
            measured = [str(PEER_PYTHON), str(peer.path), *arguments]
            found[name] = Program(measured, [*measured, "--summary"], peer.environment)
    return found


def run(command: list[str], environment: dict[str, str], seed: int) -> tuple[str, float]:
    """Return what a program printed and its seconds from start to end."""
    inherited = {k: v for k, v in os.environ.items() if k not in CACHE_SETTINGS}
    start = time.perf_counter()
    done = subprocess.run(
        [*command, "--seed", str(seed)],
        capture_output=True,
        text=True,
        env=inherited | environment,
    )
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout, seconds


def measure(case: Case, *, peers: bool, repeats: int) -> dict[str, Result]:
    """Run every tool in turn, several times over, so that disturbances meet all alike."""
    tools = programs(case, peers=peers)
    records: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for seed in range(repeats + 1):
        for name, tool in tools.items():
            print(f"{case.name}: {seed}/{repeats} {name}", file=sys.stderr)
            output, _ = run(tool.measured, tool.environment, seed)
            record = json.loads(output.splitlines()[-1])
            if case.expected.process is not None:
                _, record["seconds_process"] = run(tool.whole, tool.environment, seed)
            sampling = record["seconds_sampling"]
            record["ess_population_rate"] = record["ess_population"] / sampling
            record["ess_all_rate"] = record["ess_all"] / (
                sampling + record.get("seconds_drawing", 0.0)
            )
            if seed > 0:  # the first round warms the caches
                records[name].append(record)
    return {name: combine(found) for name, found in records.items()}


def machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return f"{os.cpu_count()} cores, {model}, Python {platform.python_version()}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-peers", action="store_true", help="measure partialpool alone")
    parser.add_argument("--case", action="append", choices=CASES, help="default: all")
    parser.add_argument("--repeats", type=int, help="default: as the case says")
    options = parser.parse_args()
    if not options.no_peers:
        install(PEER_ENV, ["--requirement", str(LOCK)])
    passed = True
    print(machine())
    for name in options.case or CASES:
        case = CASES[name]
        case.prepare()
        repeats = options.repeats or case.repeats
        loads = [os.getloadavg()[0]]
        results = measure(case, peers=not options.no_peers, repeats=repeats)
        loads.append(os.getloadavg()[0])
        checks = list(judge(case, results))
        print_results(case, results, repeats)
        print("Load average before and after: {:.1f}, {:.1f}".format(*loads))
        print_checks(checks)
        passed &= all(check.passed for check in checks)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
