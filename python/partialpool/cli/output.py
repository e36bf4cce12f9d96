"""What commands print: tables on stdout, findings and errors on stderr."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from dataclasses import asdict
from typing import Any, TextIO

from partialpool.errors import InputError
from partialpool.posterior import Fit


def report(fit: Fit, as_json: bool) -> None:
    """Print a fit, and its findings apart."""
    from partialpool.posterior.text import estimates_text, findings_text

    if as_json:
        say(json.dumps(fit_record(fit), indent=2, allow_nan=False))
    else:
        say(estimates_text(fit))
    if fit.findings or not as_json:
        blank = "" if as_json else "\n"
        say(blank + "\n".join(findings_text(fit)), sys.stderr)


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
        "parameters": [
            {"parameter": label}
            | {name: x[k] if math.isfinite(x[k]) else None for name, x in columns.items()}
            for k, label in enumerate(summary.labels)
        ],
        "priors": {name: str(prior) for name, prior in fit.priors.items()},
        "findings": [asdict(finding) for finding in fit.findings],
    }


def say(text: str, stream: TextIO | None = None) -> None:
    """Write to stdout or another stream; a reader that has left (`| head`) is no error."""
    stream = stream or sys.stdout
    try:
        print(text, file=stream, flush=True)
    except OSError as error:
        _discard(stream)
        if not isinstance(error, BrokenPipeError) and stream is sys.stdout:
            reason = error.strerror or error
            raise InputError(f"the output cannot be written ({reason})") from None


def _discard(stream: TextIO) -> None:
    """Send what is left to nowhere, or Python would complain about it on exit."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
