"""The command line: tables on stdout, progress and findings on stderr, errors in one line.

Exit codes: 0 done; 1 the fit should not be used; 2 bad input; 130 interrupted.
"""

from __future__ import annotations

import contextlib
import csv
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

import partialpool
from partialpool.errors import EngineError, InputError
from partialpool.posterior import Fit

DONE, UNUSABLE, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="partialpool",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help spares the import of rich
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the program's name; by default that of this process.

    Examples
    --------
    >>> main(["--version"])
    partialpool 0.1.0
    0
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a character gets its code, not an exception.
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(args=_protected(given), prog_name="partialpool", standalone_mode=False)
        return int(code or DONE)
    except typer.TyperException as error:
        return _usage_error(error)
    except InputError as error:
        return _fail(str(error), BAD_INPUT)
    except EngineError as error:
        return _fail(str(error), UNUSABLE)
    except KeyboardInterrupt:
        return INTERRUPTED


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Bayesian hierarchical regression: exact, fast and in plain words."""
    if version:
        _print(f"partialpool {partialpool.__version__}")
    elif context.invoked_subcommand is None:
        _print(context.get_help())


@app.command("fit")
def fit_command(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="CSV, Parquet, Arrow or Feather file, or file.duckdb::table."
        ),
    ],
    formula: Annotated[
        str, typer.Argument(metavar="FORMULA", help='Such as "y ~ x + (x | county)".')
    ],
    prior: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PRIOR",
            help='Such as "sd_county=uniform(0, 10)", by the name that the table shows; '
            "may be repeated.",
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="FILE.nc", help="Save the fit, for partialpool.load.")
    ] = None,
    coefficients: Annotated[
        str | None,
        typer.Option(metavar="FILE.csv", help="Write the coefficients of every group level."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object instead of a table.")
    ] = False,
    family: Annotated[str, typer.Option(help="Distribution of the response.")] = "gaussian",
    pooling: Annotated[str, typer.Option(help="How group coefficients relate.")] = "partial",
    method: Annotated[str, typer.Option(help="Engine: auto or marginal.")] = "auto",
    se: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Known standard error of every row."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Precision weights of the rows.")
    ] = None,
    offset: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Added to the linear predictor.")
    ] = None,
    chains: Annotated[int, typer.Option(help="Number of chains.")] = 4,
    draws: Annotated[int, typer.Option(help="Draws to keep of each chain.")] = 1000,
    warmup: Annotated[int, typer.Option(help="Warm-up draws of each chain.")] = 1000,
    seed: Annotated[
        int | None, typer.Option(help="Same seed, same draws.  [default: random, and shown]")
    ] = None,
    interval: Annotated[float, typer.Option(help="Mass of the intervals.")] = 0.95,
    threads: Annotated[
        int | None, typer.Option(help="Chains at a time.  [default: one for each core]")
    ] = None,
    progress: Annotated[
        bool | None,
        typer.Option(
            "--progress/--no-progress",
            help="Show progress.  [default: in a terminal, on runs longer than a second]",
        ),
    ] = None,
) -> int:
    """Fit a hierarchical model to a table and print what it says.

    Exit code 0: done; 1: the fit should not be used (a finding of level error); 2: bad input;
    130: interrupted.
    """
    priors = _read_priors(prior or [])
    targets = _check_targets(data, out, coefficients)
    try:
        fit = partialpool.fit(
            formula,
            data,
            family=family,
            pooling=pooling,
            priors=priors,
            method=method,
            se=se,
            weights=weights,
            offset=offset,
            chains=chains,
            draws=draws,
            warmup=warmup,
            seed=seed,
            interval=interval,
            threads=threads,
            progress=progress,
        )
    except KeyboardInterrupt:  # before any draw was kept; later, the fit holds what there was
        _print("interrupted", sys.stderr)
        return INTERRUPTED
    # A file that cannot be written after all must not cost the user the table.
    failed: list[InputError] = []
    for target, write in zip(targets, (Fit.save, write_coefficients), strict=True):
        if target is not None:
            try:
                write(fit, target)
            except InputError as error:
                failed.append(error)
    _report(fit, as_json)
    if failed:
        raise failed[0]
    if any(finding.code == "interrupted" for finding in fit.findings):
        return INTERRUPTED
    return UNUSABLE if any(finding.level == "error" for finding in fit.findings) else DONE


# --- Input --------------------------------------------------------------------------------------


def _protected(arguments: list[str]) -> list[str]:
    """Put a blank before a formula that starts with a minus, so that it is not an option.

    Examples
    --------
    >>> _protected(["fit", "d.csv", "-1 + y ~ x", "--seed", "-1"])
    ['fit', 'd.csv', ' -1 + y ~ x', '--seed', '-1']
    """
    return [
        f" {argument}"
        if "~" in argument and argument.startswith("-") and not argument.startswith("--")
        else argument
        for argument in arguments
    ]


def _read_priors(texts: Sequence[str]) -> dict[str, str]:
    """Split ``name=prior`` at the first ``=`` outside brackets and backticks.

    Examples
    --------
    >>> _read_priors(["b[C(x, base=1)]=normal(0, 1)", "sigma = exponential(2)"])
    {'b[C(x, base=1)]': 'normal(0, 1)', 'sigma': 'exponential(2)'}
    """
    priors: dict[str, str] = {}
    for text in texts:
        position = _equals_sign(text)
        name, prior = text[:position].strip(), text[position + 1 :].strip()
        if position < 0 or not name or not prior:
            raise InputError(
                f"`--prior {text}` is not of the form name=prior",
                remedy='write it like --prior "sigma=exponential(2)"',
            )
        if name in priors:
            raise InputError(f"`--prior` is given twice for `{name}`", remedy="give it once")
        priors[name] = prior
    return priors


def _equals_sign(text: str) -> int:
    depth, quoted = 0, False
    for position, character in enumerate(text):
        if character == "`":
            quoted = not quoted
        elif quoted:
            continue
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "=" and depth == 0:
            return position
    return -1


# --- Files --------------------------------------------------------------------------------------


def _check_targets(
    data: str, out: str | None, coefficients: str | None
) -> tuple[Path | None, Path | None]:
    """Make sure before sampling that results can be written, so that no run is lost."""
    paths: list[Path | None] = []
    for option, text in (("--out", out), ("--coefficients", coefficients)):
        if text is None:
            paths.append(None)
            continue
        path = Path(text).expanduser()
        if path.exists() and not path.is_file():
            remedy = "give the name of a file"
            raise InputError(f"`{option} {text}` is not a file", remedy=remedy)
        path = path.resolve()  # a link keeps its name, its target is written
        if path == Path(data.split("::")[0]).expanduser().resolve():
            remedy = "choose another name"
            raise InputError(f"`{option} {text}` would overwrite the data", remedy=remedy)
        if path in paths:
            remedy = "give each a name of its own"
            raise InputError(f"`--out` and `--coefficients` are both `{text}`", remedy=remedy)
        if not path.parent.is_dir():
            remedy = "make it first, or choose another"
            raise InputError(f"there is no folder for `{option} {text}`", remedy=remedy)
        try:
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise _unwritable(path, error) from None
        paths.append(path)
    return paths[0], paths[1]


def write_coefficients(fit: Fit, path: Path) -> None:
    """Write what `Fit.coefficients` gives as CSV, without the second that pandas takes to import.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    from partialpool.engine.conditional import coefficient_summary

    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(part, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["factor", "level", "term", "n", "mean", "sd", "lower", "upper"])
            group = fit.model.group
            if group is not None:
                summary = coefficient_summary(fit.model, fit.run, fit.provenance.interval)
                for level, n, rows in zip(group.levels, group.counts, summary, strict=True):
                    for term, row in zip(group.terms, rows.tolist(), strict=True):
                        numbers = ["" if math.isnan(x) else repr(x) for x in row]
                        writer.writerow([group.name, str(level), term, int(n), *numbers])
        os.replace(part, path)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        part.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"`{path}` cannot be written ({error.strerror or error})", remedy="choose another folder"
    )


# --- Output -------------------------------------------------------------------------------------


def _report(fit: Fit, as_json: bool) -> None:
    from partialpool.posterior.text import estimates_text, findings_text

    if as_json:
        _print(json.dumps(fit_record(fit), indent=2, allow_nan=False))
    else:
        _print(estimates_text(fit))
    if fit.findings or not as_json:
        blank = "" if as_json else "\n"
        _print(blank + "\n".join(findings_text(fit)), sys.stderr)


def fit_record(fit: Fit) -> dict[str, Any]:
    """Give a fit as JSON holds it: model, provenance, parameters, priors, findings."""
    summary, facts = fit.parameter_summary, fit.provenance
    columns = {name: values.tolist() for name, values in summary.values.items()}
    return {
        "formula": fit.formula,
        "family": fit.model.family,
        "pooling": fit.pooling,
        "method": fit.method,
        "method_reason": fit.method_reason,
        "source": facts.source,
        "n_rows": facts.n_rows,
        "n_dropped": facts.n_dropped,
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


def _print(text: str, stream: TextIO | None = None) -> None:
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


def _fail(message: str, code: int) -> int:
    _print("error: " + " ".join(message.split()), sys.stderr)
    return code


def _usage_error(error: typer.TyperException) -> int:
    format_message: Callable[[], str] = getattr(error, "format_message", lambda: str(error))
    message = format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "partialpool"
    return _fail(f"{message[:1].lower()}{message[1:]} (see `{command} --help`).", BAD_INPUT)
