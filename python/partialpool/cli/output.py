"""What commands print: tables on stdout, findings and errors on stderr."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TextIO

from partialpool.posterior.estimate import Estimate
from partialpool.posterior.fit import Fit


class OutputError(Exception):
    """What was to be shown cannot be written."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"the output cannot be written ({error.strerror or error}).")


def report(fit: Fit | Estimate, as_json: bool) -> None:
    """Print a fit, and its findings apart."""
    if as_json:
        record = fit_record(fit) if isinstance(fit, Fit) else estimate_record(fit)
        say(json.dumps(record, indent=2, allow_nan=False))
    else:
        say(_estimates(fit))
    if fit.findings or not as_json:
        blank = "" if as_json else "\n"
        say(own_words(blank + "\n".join(_findings(fit))), sys.stderr)


# What messages call by its name in Python → the option of the command line.
_READ = re.compile(r"`pp\.read\(…,\s(\w+)=(.*?)\)`", re.DOTALL)
_NAMES = "|".join(
    (
        *("family", "link", "method", "pooling", "sigma", "se", "weights", "offset", "exposure"),
        *("trials", "na", "decimal", "text", "encoding", "chains", "draws", "warmup", "seed"),
        *("threads", "progress", "interval", "proposal_sd", "truth", "factor", "kind"),
        "new_levels",
    )
)
_OPTION = re.compile(rf"`({_NAMES})=`")
_VALUE = re.compile(rf'\b({_NAMES})="([\w/=,-]*)"')
# At the start of a message, where options are to be left out, or where it is their value that
# is spoken of: columns may have the same names.
_SUBJECT = re.compile(
    rf"(?:(?<=leave )|(?<=both )|(?<=\A))`({_NAMES})`"
    r"(?= (?:is (?!no |the |both )|(?:out|and|has|holds|names|equals)\b))"
    r"|(?:(?<=\A)|(?<=leave )|(?<=and ))`(na|decimal|text|encoding)`"
)


def own_words(message: str) -> str:
    """Let a message speak of options as the command line calls them.

    Examples
    --------
    >>> own_words('say so: `pp.read(…, na=[…])`, or `pp.read(…, decimal=",")`; give `trials=`')
    'say so: `--na …`, or `--decimal ,`; give `--trials`'
    >>> own_words('`draws` is 0: leave `trials=` out, or use family="binomial"')
    '`--draws` is 0: leave `--trials` out, or use --family binomial'
    """

    def option(match: re.Match[str]) -> str:
        return "--" + (match[1] or match[2]).replace("_", "-")

    def read(match: re.Match[str]) -> str:
        value = match[2].strip("[]").strip('"')
        return f"`--{match[1]} {value}`"

    found = _READ.sub(read, message)
    found = _OPTION.sub(lambda m: f"`--{m[1].replace('_', '-')}`", found)
    found = _VALUE.sub(lambda m: f"--{m[1].replace('_', '-')} {m[2]}", found)
    return _SUBJECT.sub(lambda m: f"`{option(m)}`", found)


def _estimates(fit: Fit | Estimate) -> str:
    from partialpool.posterior.estimate_text import table_text
    from partialpool.words.fit import estimates_text

    return estimates_text(fit) if isinstance(fit, Fit) else table_text(fit)


def _findings(fit: Fit | Estimate) -> list[str]:
    from partialpool.posterior.estimate_text import estimate_findings_text
    from partialpool.words.fit import findings_text

    return findings_text(fit) if isinstance(fit, Fit) else estimate_findings_text(fit)


def fit_record(fit: Fit) -> dict[str, Any]:
    """Give a fit as JSON holds it: model, provenance, parameters, priors, findings."""
    summary, facts = fit.parameter_summary, fit.provenance
    columns = {name: values.tolist() for name, values in summary.values.items()}
    return {
        "formula": fit.formula,
        "sigma": fit.model.sigma_formula or None,
        "family": fit.model.family,
        "link": fit.model.link,
        "pooling": fit.pooling,
        "method": fit.method,
        "method_reason": fit.method_reason,
        "source": facts.source,
        "n_rows": facts.n_rows,
        "n_dropped": facts.n_dropped,
        "roles": facts.roles,
        "chains": fit.run.chains,
        "draws": fit.run.draws,
        "warmup": fit.run.warmup,
        "seed": fit.seed,
        "interval": facts.interval,
        "seconds": facts.seconds,
        "versions": facts.versions,
        "parameters": _rows(summary.labels, columns),
        "priors": {name: str(prior) for name, prior in fit.priors.items()},
        "findings": [asdict(finding) for finding in fit.findings],
    }


def estimate_record(estimate: Estimate) -> dict[str, Any]:
    """Give an estimate as JSON holds it: model, provenance, criteria, parameters, findings."""
    facts, found = estimate.provenance, estimate.maximum
    columns = {name: values.tolist() for name, values in estimate.numbers.items()}
    return {
        "formula": estimate.formula,
        "family": estimate.model.family,
        "pooling": estimate.pooling,
        "method": estimate.method,
        "source": facts.source,
        "n_rows": facts.n_rows,
        "n_dropped": facts.n_dropped,
        "interval": facts.interval,
        "seconds": facts.seconds,
        "versions": facts.versions,
        "log_likelihood": estimate.log_likelihood,
        "deviance": estimate.deviance,
        "n_parameters": estimate.n_parameters,
        "aic": estimate.aic,
        "bic": estimate.bic,
        "converged": found.converged,
        "parameters": _rows(estimate.labels, columns),
        "findings": [asdict(finding) for finding in estimate.findings],
    }


def _rows(labels: Sequence[str], columns: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """One object a parameter; numbers that JSON lacks are null."""
    return [
        {"parameter": label}
        | {name: x[k] if math.isfinite(x[k]) else None for name, x in columns.items()}
        for k, label in enumerate(labels)
    ]


def say(text: str, stream: TextIO | None = None) -> None:
    """Write to stdout or another stream; a reader that has left (`| head`) is no error."""
    stream = stream or sys.stdout
    try:
        print(text, file=stream, flush=True)
    except OSError as error:
        discard(stream)
        if not isinstance(error, BrokenPipeError) and stream is sys.stdout:
            raise OutputError(error) from None


def discard(stream: TextIO) -> None:
    """Send what is left to nowhere, or Python would complain about it on exit."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
