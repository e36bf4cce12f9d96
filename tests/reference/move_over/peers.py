"""Run what a page of docs/move-over/ shows of another Python package, and write its numbers.

In an environment that has the package (statsmodels; bambi and nutpie; marginaleffects), from the
root: ``python tests/reference/move_over/peers.py statsmodels``. Blocks of ```py run in order; then
every line in the second column of the tables that stands beside a line of ours. With ``--new`` as a
second argument, only lines that have no numbers yet, where blocks are as they were.
"""

import json
import os
import re
import sys
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[3]
PACKAGES = {
    "statsmodels": ["statsmodels"],
    "bambi": ["bambi", "pymc", "nutpie"],
    "marginaleffects": ["marginaleffects", "statsmodels"],
}
# What variance components of statsmodels are called here.
COMPONENTS = {
    "Days": "sd_Subject[Days]",
    "cask": "sd_batch:cask[Intercept]",
    "plate": "sd_plate[Intercept]",
    "sample": "sd_sample[Intercept]",
}


def cells(line):
    parts = re.split(r"(?<!\\)\|", line.strip())[1:-1]
    return [part.strip().replace(r"\|", "|") for part in parts]


def mixed(found, line):
    """Coefficients and scales of a MixedLM by name."""
    group = re.search(r'groups="(\w+)"', line)
    group = group[1] if group else "Subject"
    numbers = {f"b{k}": value for k, value in enumerate(found.fe_params, 1)}
    covariance = np.asarray(found.cov_re)
    names = ["Intercept", *found.model.exog_names[1:]][: len(covariance)]
    sd = np.sqrt(np.diag(covariance))
    for j, name in enumerate(names):
        numbers[f"sd_{group}[{name}]"] = sd[j]
        for i in range(j):
            cor = covariance[i, j] / sd[i] / sd[j]
            numbers[f"cor_{group}[{names[i]},{name}]"] = cor
    for name, value in zip(found.model.exog_vc.names, found.vcomp, strict=True):
        numbers[COMPONENTS[name]] = np.sqrt(value)
    return numbers | {"sigma": np.sqrt(found.scale)}


def posterior(found):
    """Posterior means of a Bambi fit by name."""
    numbers, population = {}, []
    for name, values in found.posterior.data_vars.items():
        if name.endswith("__"):  # nutpie keeps what it walked in, such as sigma_log__
            continue
        means = np.ravel(values.mean(("chain", "draw")))
        if match := re.fullmatch(r"(.+)\|(.+)_sigma", name):
            term = "Intercept" if match[1] == "1" else match[1]
            numbers[f"sd_{match[2]}[{term}]"] = means[0]
        elif name in ("sigma", "alpha"):
            numbers[{"alpha": "shape"}.get(name, name)] = means[0]
        elif "|" not in name and means.size < 10:
            population += [(name.startswith("sigma_"), name != "Intercept", *means)]
    ordered = sorted(population, key=lambda one: one[:2])
    flat = [value for one in ordered for value in one[2:]]
    return {f"b{k}": value for k, value in enumerate(flat, 1)} | numbers


def numbers(found, line):
    kind = type(found).__name__
    if kind.startswith("MixedLM"):
        return mixed(found, line)
    if hasattr(found, "posterior"):
        return posterior(found)
    if hasattr(found, "get_column"):  # a table of marginaleffects
        return found.get_column("estimate").to_numpy()
    if kind.endswith("ResultsWrapper"):
        named = {f"b{k}": value for k, value in enumerate(found.params, 1)}
        return named | ({"sigma": found.scale**0.5} if "Regression" in kind else {})
    return np.ravel(np.asarray(found, dtype=float), order="F")


def plain(found):
    if isinstance(found, dict):
        return {name: float(f"{value:.10g}") for name, value in found.items()}
    return [float(f"{value:.10g}") for value in found]


def main(page, which=""):
    warnings.simplefilter("ignore")
    text = (ROOT / "docs" / "move-over" / f"{page}.md").read_text(encoding="utf-8")
    folder = Path(tempfile.mkdtemp())
    (folder / "data").symlink_to(ROOT / "tests" / "data")
    os.chdir(folder)
    out = Path(__file__).resolve().with_name(f"{page}.json")
    known = json.loads(out.read_text(encoding="utf-8")) if which == "--new" else {}
    namespace, found = {}, {}
    versions = [f"{name} {version(name)}" for name in PACKAGES[page]]
    found["versions"] = ", ".join(versions)
    for part in re.finditer(r"^```py\n((?:.|\n)*?)^```$|^\|.*$", text, re.MULTILINE):
        if part[1]:
            exec(part[1], namespace)
            continue
        row = cells(part[0])
        if len(row) == 4 and all(re.fullmatch(r"`[^`]+`", cell) for cell in row[1:3]):
            theirs = row[1][1:-1]
            print(theirs, flush=True)
            if theirs not in known:
                value = eval(theirs, namespace)
                known[theirs] = [] if row[3] == "runs" else plain(numbers(value, theirs))
            found[theirs] = known[theirs]
    lines = [f"  {json.dumps(k, ensure_ascii=False)}: {json.dumps(v)}" for k, v in found.items()]
    out.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
