"""Measure partialpool beside its peers, in one run on one machine; exit 1 if we miss a mark.

``benchmarks/run.py`` makes the peers' environment on first use; ``--no-peers`` does without.
"""

import argparse
import hashlib
import json
import math
import os
import platform
import subprocess
import sys
import time
import venv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any

from cases import CASES, Case

HERE = Path(__file__).parent
LOCK = HERE / "peers.lock"
PEER_ENV = HERE / ".venv"
PEER_PYTHON = PEER_ENV / "bin" / "python"

US = "partialpool"
NUTPIE = "PyMC + nutpie"

IMPORT_SECONDS = 0.3
# Settings of the caller that would make caches colder or warmer than stated below.
CACHE_SETTINGS = {"PYTHONDONTWRITEBYTECODE", "JAX_COMPILATION_CACHE_DIR"}
MONTE_CARLO_ERRORS = 4.0  # how far apart posterior means may lie


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
    "NumPyro": Peer(HERE / "peers" / "numpyro_nuts.py"),
    "NumPyro, cached": Peer(
        HERE / "peers" / "numpyro_nuts.py",
        {
            "JAX_COMPILATION_CACHE_DIR": str(PEER_ENV / "jax-cache"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        },
    ),
}


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
        """Return the smallest ESS of any parameter per second of sampling."""
        return self.median["ess_all_rate"]


# --- Running ------------------------------------------------------------------------------------


def make_peer_environment() -> None:
    stamp = PEER_ENV / "lock.sha256"
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    print(f"Installing the peers into {PEER_ENV} …", file=sys.stderr)
    venv.create(PEER_ENV, clear=True, with_pip=True)
    install = ["-m", "pip", "install", "--quiet", "--requirement", str(LOCK)]
    subprocess.run([PEER_PYTHON, *install], check=True)
    stamp.write_text(digest)


def programs(case: Case, *, peers: bool) -> dict[str, Program]:
    arguments = [str(case.data), "--case", case.name]
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
            _, record["seconds_process"] = run(tool.whole, tool.environment, seed)
            for ess in ("ess_all", "ess_population"):
                record[f"{ess}_rate"] = record[ess] / record["seconds_sampling"]
            if seed > 0:  # the first round warms the caches
                records[name].append(record)
    return {name: combine(found) for name, found in records.items()}


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
    yield at_least(
        "ESS/s of sampling, against nutpie's",
        ours.ess_rate / peers[NUTPIE].ess_rate,
        case.expected.ess_rate,
    )
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
    "fit, compilation included, s": ("seconds_fit", ".4f"),
    "whole process, s": ("seconds_process", ".2f"),
    "smallest bulk ESS: b, sd, sigma": ("ess_population", ",.0f"),
    "smallest bulk ESS: all": ("ess_all", ",.0f"),
    "ESS per second: b, sd, sigma": ("ess_population_rate", ",.0f"),
    "ESS per second: all": ("ess_all_rate", ",.0f"),
    "density and gradient, ns": ("nanoseconds_density", ",.0f"),
}


def machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    load = f", load {os.getloadavg()[0]:.1f} at the start"
    return f"{os.cpu_count()} cores, {model}, Python {platform.python_version()}{load}"


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
        rows.append([f"mean of {name}", *(f"{r.mean[name]:.3f}" for r in results.values())])
    print_table(rows)
    print()
    for name, result in results.items():
        print(f"{name}: {', '.join(f'{k} {v}' for k, v in result.versions.items())}")


def print_checks(checks: list[Check]) -> None:
    print()
    print_table([[c.what, c.value, c.wanted, "pass" if c.passed else "MISS"] for c in checks])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-peers", action="store_true", help="measure partialpool alone")
    parser.add_argument("--case", action="append", choices=CASES, help="default: all")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    heading = machine()
    if not options.no_peers:
        make_peer_environment()
    passed = True
    print(heading)
    for name in options.case or CASES:
        case = CASES[name]
        results = measure(case, peers=not options.no_peers, repeats=options.repeats)
        checks = list(judge(case, results))
        print_results(case, results, options.repeats)
        print_checks(checks)
        passed &= all(check.passed for check in checks)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
