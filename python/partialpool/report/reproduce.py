"""How to make a report again: in Python and on the command line, and what a fit does not keep."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from msgspec.structs import astuple

from partialpool.families import DEFAULT
from partialpool.priors import AtMean, Prior
from partialpool.report.methods import chosen_priors
from partialpool.report.subject import MOST_ROWS, Subject
from partialpool.request import Kept

# Options as they are if not given, and those that change no draw.
USUAL = {"family": DEFAULT.name, "pooling": "partial", "method": "auto", "interval": 0.95}
WITHOUT_EFFECT = ("progress", "threads", "priors", "seed")
FILES = (".", "::")


def python_code(subject: Subject, path: str) -> str:
    """Give the lines of Python that make the fit, and this report, again."""
    fit, facts = subject.fit, subject.fit.provenance
    named = is_file(facts.source)
    data = _literal(facts.source) if named else "…"
    found, maker = ("cmp", "pp.compare") if subject.compared else ("fit", "pp.fit")
    options = {name: _python(name, value) for name, value in _options(subject).items()}
    priors = ", ".join(f"{_literal(k)}: {_prior(p)}" for k, p in _priors(subject).items())
    options |= {"priors": f"{{{priors}}},"} if priors else {}
    options["seed"] = f"{fit.seed},"
    lines = [
        "import partialpool as pp",
        "",
        f"data = {data}  # {facts.n_rows + facts.n_dropped} rows{': your table' * (not named)}",
        f"{found} = {maker}(",
        f"    {_literal(fit.formula)},",
        "    data,",
        *(f"    {name}={value}" for name, value in options.items()),
        ")",
        f"{found}.report({_literal(path)})",
    ]
    return "\n".join(lines)


def shell_command(subject: Subject, path: str) -> str:
    """Give the command that makes the report again; empty where it could not be typed."""
    fit, options = subject.fit, _options(subject)
    if not is_file(fit.provenance.source) or any(map(_is_lost, options.values())):
        return ""
    words = ["partialpool", "report", fit.provenance.source, fit.formula]
    for name, value in options.items():
        if name == "start":
            return ""
        if isinstance(value, Mapping):
            value = ",".join(f"{factor}={one}" for factor, one in value.items())
        words += [f"--{name.replace('_', '-')}", str(value)]
    for name, prior in _priors(subject).items():
        words += ["--prior", f"{name}={prior if isinstance(prior, str) else _typed(prior)}"]
    words += ["--seed", str(fit.seed)]
    if subject.compared is None and subject.factors and "pooling" not in options:
        words.append("--no-compare")
    if subject.compared is not None and subject.n_rows > MOST_ROWS:
        words.append("--compare")
    return " ".join(map(shlex.quote, [*words, "--out", path]))


def caveats(subject: Subject) -> list[str]:
    """Say what a fit does not keep of how it was asked for."""
    fit, options = subject.fit, _options(subject)
    found = []
    if fit.request is None:
        found.append("An earlier version did not keep which options and priors were given.")
    found += [
        f"`{name}` was given as {value.value}, which is not kept: give it again."
        for name, value in options.items()
        if isinstance(value, Kept)
    ]
    if is_file(fit.provenance.source):
        found.append(
            "Options of reading the file (missing marks, decimal mark, columns of text) are not "
            "kept: if you gave any, give them again."
        )
    return found


def _options(subject: Subject) -> dict[str, Any]:
    """Give what was asked for beside formula, data, priors and seed, as far as it matters."""
    fit, model = subject.fit, subject.fit.model
    if fit.request is None:
        found: dict[str, Any] = {"family": model.family.name, "link": model.link}
        found |= {"sigma": model.sigma_formula} if model.sigma_formula else {}
    else:
        found = dict(fit.request.options)
    if subject.compared is not None:
        del found["pooling"]
        found |= {"factor": subject.compared_factor} if len(subject.factors) > 1 else {}
    return {
        name: value
        for name, value in found.items()
        if name not in WITHOUT_EFFECT and value is not None and USUAL.get(name) != value
    }


def _priors(subject: Subject) -> dict[str, Prior | str]:
    return chosen_priors(subject) or {}


def _is_lost(value: Any) -> bool:
    return isinstance(value, Kept) or callable(value)


def _python(name: str, value: Any) -> str:
    """Write an option, and the comma after it; what is not kept is a name to be filled."""
    if isinstance(value, Kept):
        return f"{name},  # {value.value}"
    if callable(value):
        return f"{name},  # a function"
    return f"{_literal(value)},"


def _prior(prior: Prior | str) -> str:
    return _literal(prior) if isinstance(prior, str) else f"pp.{prior!r}"


def _typed(prior: Prior) -> str:
    """Write a prior as the command line takes it, with all of its digits."""
    numbers = ", ".join(map(repr, astuple(prior)))
    kind = type(prior).__name__.removesuffix("AtMean").lower()
    return f"{kind}({numbers}){' at the mean' * isinstance(prior, AtMean)}"


def _literal(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def is_file(source: str) -> bool:
    """Whether a source is the name of a file, not of a table in memory.

    Examples
    --------
    >>> is_file("radon.csv"), is_file("the table")
    (True, False)
    """
    return any(mark in source for mark in FILES)
