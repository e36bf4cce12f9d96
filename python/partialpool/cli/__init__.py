"""The command line: tables on stdout, progress and findings on stderr, errors in one line.

Exit codes: 0 done; 1 the fit should not be used, or cannot be shown; 2 bad input; 130 interrupted.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, cast

import typer

import partialpool
from partialpool.cli import options
from partialpool.cli.bundled import listed, write_bundled
from partialpool.cli.files import (
    check_targets,
    make_folder,
    read_table,
    write_coefficients,
    write_frame,
)
from partialpool.cli.output import OutputError, discard, own_words, report, say, say_json
from partialpool.engine import MAXIMISED
from partialpool.errors import EngineError, FindingWarning, InputError
from partialpool.finding import Finding
from partialpool.interrupt import INTERRUPTED
from partialpool.posterior.fit import Fit
from partialpool.words.table import plain

DONE, UNUSABLE, BAD_INPUT = 0, 1, 2

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
    given = list(sys.argv[1:] if arguments is None else arguments)
    with _streams(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FindingWarning)  # findings are printed
        return _run(given)


@contextlib.contextmanager
def _streams() -> Iterator[None]:
    """Make streams that can be written to, whatever this process was started with."""
    redirects = {"stdout": contextlib.redirect_stdout, "stderr": contextlib.redirect_stderr}
    with contextlib.ExitStack() as stack:
        for name, redirect in redirects.items():
            stream = getattr(sys, name)
            if stream is None or getattr(stream, "closed", False):  # as in services
                nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
                stack.enter_context(redirect(nowhere))
                continue
            # A terminal that lacks a character gets its code, not an exception.
            with contextlib.suppress(AttributeError):
                stream.reconfigure(errors="backslashreplace")
        yield


def _run(given: list[str]) -> int:
    try:
        code = app(args=options.protected(given), prog_name="partialpool", standalone_mode=False)
        return int(code or DONE)
    except typer.TyperException as error:
        return _usage_error(error)
    except InputError as error:
        return _fail(str(error), BAD_INPUT)
    except (EngineError, OutputError) as error:
        return _fail(str(error), UNUSABLE)
    except OSError as error:
        if error.filename is not None:
            raise
        discard(sys.stdout)  # help, which is not written by us
        return _fail(str(OutputError(error)), UNUSABLE)
    except KeyboardInterrupt:
        return INTERRUPTED


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Bayesian hierarchical regression: exact, fast and in plain words."""
    if version:
        say(f"partialpool {partialpool.__version__}")
    elif context.invoked_subcommand is None:
        say(context.get_help())


@app.command("fit")
def fit_command(
    data: options.Data,
    formula: options.Formula,
    prior: options.Priors = None,
    na: options.NA = None,
    decimal: options.Decimal = None,
    text: options.AsText = None,
    encoding: options.Encoding = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE.nc", help="Save the fit, for predict, check and pp.load."),
    ] = None,
    rows: Annotated[
        bool | None,
        typer.Option(
            "--rows/--no-rows",
            help="Whether `--out` keeps the rows; `check` needs them.  [default: rows]",
        ),
    ] = None,
    coefficients: Annotated[
        str | None,
        typer.Option(metavar="FILE.csv", help="Write the coefficients of every group level."),
    ] = None,
    as_json: options.Json = False,
    family: options.Family = "gaussian",
    link: options.Link = None,
    pooling: Annotated[
        str,
        typer.Option(
            help="How group coefficients relate: partial, complete or none; where factors differ, "
            "such as id=none,item=partial."
        ),
    ] = "partial",
    method: options.Method = "auto",
    sigma: options.SigmaFormula = None,
    se: options.StandardErrors = None,
    weights: options.Weights = None,
    offset: options.Offset = None,
    exposure: options.Exposure = None,
    trials: options.Trials = None,
    chains: options.Chains = None,
    draws: options.Draws = None,
    warmup: options.Warmup = None,
    seed: options.Seed = None,
    interval: options.Interval = 0.95,
    proposal_sd: options.ProposalSd = None,
    start: options.Start = None,
    threads: options.Threads = None,
    progress: options.ShowProgress = None,
) -> int:
    """Fit a hierarchical model to a table and print what it says.

    Exit code 0: done; 1: the fit should not be used (a finding of level error); 2: bad input;
    130: interrupted.
    """
    priors = options.read_priors(prior or [])
    if out is not None and method in MAXIMISED:
        raise InputError(
            f"`--out` is given with `--method {method}`, and it saves posteriors",
            remedy="leave it out, or use `--json` or `--coefficients`",
        )
    if rows is not None and out is None:
        shown = "--rows" if rows else "--no-rows"
        raise InputError(f"`{shown}` is given without `--out`", remedy="name the file, or leave it")
    targets = check_targets(data, {"--out": out, "--coefficients": coefficients})
    try:
        fit = partialpool.fit(
            formula,
            read_table(data, na, decimal, text, encoding),
            family=cast(Any, family),
            link=cast(Any, link),
            pooling=cast(Any, options.read_pooling(pooling)),
            priors=priors,
            method=cast(Any, method),
            sigma=sigma,
            se=se,
            weights=weights,
            offset=offset,
            exposure=exposure,
            trials=options.read_trials(trials),
            chains=chains,
            draws=draws,
            warmup=warmup,
            seed=seed,
            interval=interval,
            proposal_sd=proposal_sd,
            start=options.read_start(start or []),
            threads=threads,
            progress=progress,
        )
    except KeyboardInterrupt:  # before any draw was kept; later, the fit holds what there was
        say("interrupted", sys.stderr)
        return INTERRUPTED
    # A file that cannot be written after all must not cost the user the table.
    failed: list[InputError] = []
    saver = partial(fit.save, rows=rows is not False) if isinstance(fit, Fit) else None
    writers = (saver, partial(write_coefficients, fit))
    for target, write in zip(targets.values(), writers, strict=True):
        if target is not None and write is not None:
            try:
                write(target)
            except InputError as error:
                failed.append(error)
    report(fit.page, as_json)
    if failed:
        raise failed[0]
    return _judged(fit.findings)


@app.command("compare")
def compare_command(
    data: options.Data,
    formula: options.Formula,
    prior: options.Priors = None,
    na: options.NA = None,
    decimal: options.Decimal = None,
    text: options.AsText = None,
    encoding: options.Encoding = None,
    plot: Annotated[
        str | None,
        typer.Option(metavar="FILE.png", help="Draw the estimates under each pooling."),
    ] = None,
    choose: Annotated[
        str | None,
        typer.Option(metavar="TERM,TERM", help="The two terms to draw, where there are more."),
    ] = None,
    as_json: options.Json = False,
    truth: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="True coefficients: the group and a column a term."),
    ] = None,
    factor: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The grouping factor to compare for.  [default: the first]"
        ),
    ] = None,
    family: options.Family = "gaussian",
    link: options.Link = None,
    method: options.Method = "auto",
    sigma: options.SigmaFormula = None,
    se: options.StandardErrors = None,
    weights: options.Weights = None,
    offset: options.Offset = None,
    exposure: options.Exposure = None,
    trials: options.Trials = None,
    chains: options.Chains = None,
    draws: options.Draws = None,
    warmup: options.Warmup = None,
    seed: options.Seed = None,
    interval: options.Interval = 0.95,
    proposal_sd: options.ProposalSd = None,
    threads: options.Threads = None,
    progress: options.ShowProgress = None,
) -> int:
    """Fit a model under complete, no and partial pooling, side by side."""
    priors = options.read_priors(prior or [])
    if choose is not None and plot is None:
        raise InputError("`--choose` is given without `--plot`", remedy="name the figure's file")
    figure = check_targets(data, {"--plot": plot})["--plot"]
    if figure is not None:
        from partialpool.plots import check_path

        check_path(figure)
    comparison = partialpool.compare(
        formula,
        read_table(data, na, decimal, text, encoding),
        truth=truth,
        factor=factor,
        family=cast(Any, family),
        link=cast(Any, link),
        priors=priors,
        method=cast(Any, method),
        sigma=sigma,
        se=se,
        weights=weights,
        offset=offset,
        exposure=exposure,
        trials=options.read_trials(trials),
        chains=chains,
        draws=draws,
        warmup=warmup,
        seed=seed,
        interval=interval,
        proposal_sd=proposal_sd,
        threads=threads,
        progress=progress,
    )
    if figure is not None:
        from partialpool.plots import save

        pair = None if choose is None else tuple(part.strip() for part in choose.split(","))
        save(comparison.plot.shrinkage(pair), figure)  # type: ignore[arg-type]
    report(comparison.page, as_json, *([] if figure is None else [f"Figure: {plot}"]))
    return _judged(finding for _, finding in comparison.findings)


@app.command("predict")
def predict_command(
    fit: options.Saved,
    data: options.Data,
    na: options.NA = None,
    decimal: options.Decimal = None,
    text: options.AsText = None,
    encoding: options.Encoding = None,
    kind: Annotated[
        str,
        typer.Option(
            help="mean: the expected response; observation: a new one; linear: its predictor."
        ),
    ] = "mean",
    new_levels: Annotated[
        str,
        typer.Option(
            "--new-levels",
            help="Levels never seen: sample from the population, take the population, or error.",
        ),
    ] = "sample",
    interval: options.Interval = 0.95,
    out: Annotated[
        str | None, typer.Option(metavar="FILE.csv", help="Write the rows here, not to stdout.")
    ] = None,
    offset: options.Offset = None,
    exposure: options.Exposure = None,
    trials: options.Trials = None,
    se: options.StandardErrors = None,
    weights: options.Weights = None,
    seed: Annotated[
        int | None, typer.Option(help="Same seed, same numbers.  [default: that of the fit]")
    ] = None,
    as_json: options.Json = False,
) -> int:
    """Predict the rows of a table from a fit that was saved."""
    check_targets(fit, {"--out": out}, what="fit")
    target = check_targets(data, {"--out": out})["--out"]
    frame = partialpool.load(fit).predict(
        read_table(data, na, decimal, text, encoding),
        kind=cast(Any, kind),
        new_levels=cast(Any, new_levels),
        interval=interval,
        seed=seed,
        offset=offset,
        exposure=exposure,
        trials=options.read_trials(trials),
        se=se,
        weights=weights,
    )
    facts = (
        f"{kind} and {100 * interval:g}% interval of {len(frame)} rows, "
        f"seed {frame.attrs['seed']}, partialpool {partialpool.__version__}"
    )
    if target is not None:
        write_frame(frame, target)
    if as_json:
        held = {name: frame.attrs[name] for name in ("kind", "interval", "seed", "notes")}
        say_json(plain(held | {"rows": frame.to_dict("records")} if target is None else held))
    elif target is None:
        say(frame.to_string(index=False, float_format=lambda x: f"{x:.4g}", na_rep=""))
        say("")
        say(facts)
    else:
        say(f"{facts}: {out}")
    for note in () if as_json else frame.attrs["notes"]:
        say(own_words(f"note: {note}"), sys.stderr)
    return DONE


@app.command("check")
def check_command(
    fit: options.Saved,
    plots: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder for the figures of the checks.")
    ] = None,
    draws: Annotated[int, typer.Option(help="Number of data sets that the model makes.")] = 1000,
    seed: Annotated[int, typer.Option(help="Same seed, same data sets.")] = 0,
    as_json: options.Json = False,
) -> int:
    """Compare the data of a saved fit with data that the model makes, and see what priors do."""
    folder = None if plots is None else make_folder(plots)
    saved = partialpool.load(fit)
    found, owed = saved.check(draws=draws, seed=seed), saved.sensitivity()
    if folder is not None:
        from partialpool.plots import save

        for name, draw in found.plot.all().items():
            save(draw(), folder / f"{name}.png")
    facts = {"formula": saved.formula, "seed": seed}
    if as_json:
        say_json(facts | {"check": found.to_dict(), "sensitivity": owed.to_dict()})
        return DONE
    pages = (replace(found.page, formula=saved.formula), replace(owed.page, formula=""))
    say("\n\n".join(page.body for page in pages))
    say(f"\nseed {seed}, partialpool {partialpool.__version__}")
    if folder is not None:
        say(f"Figures: {plots}")
    say(own_words("\n" + "\n".join(page.findings_text for page in pages)), sys.stderr)
    return DONE


@app.command("demo")
def demo_command(
    out: Annotated[
        str, typer.Option(metavar="DIR", help="Folder for the figure.")
    ] = "partialpool-demo",
    seed: Annotated[int, typer.Option(help="Same seed, same draws.")] = 1,
    as_json: options.Json = False,
) -> int:
    """Run the tutorial: two poolings by a textbook sampler and by the default engine."""
    from partialpool.demo import run_demo

    report(run_demo(make_folder(out), seed), as_json)
    # The Metropolis fits fail on purpose, so their findings do not count here.
    return DONE


@app.command("data")
def data_command(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="radon, eight_schools or individuals."),
    ] = None,
    out: Annotated[str, typer.Option(metavar="DIR", help="Folder for the files.")] = ".",
    as_json: options.Json = False,
) -> int:
    """Write a bundled data set as CSV; without a name, list them."""
    if name is None:
        report(listed(), as_json)
        return DONE
    files = [str(path) for path in write_bundled(name, make_folder(out))]
    if as_json:
        say_json({"files": files})
    else:
        say("\n".join(files))
    return DONE


def _judged(findings: Iterable[Finding]) -> int:
    """Give the exit code that findings call for."""
    findings = list(findings)
    if any(finding.code == "interrupted" for finding in findings):
        return INTERRUPTED
    return UNUSABLE if any(finding.level == "error" for finding in findings) else DONE


def _fail(message: str, code: int) -> int:
    say("error: " + " ".join(own_words(message).split()), sys.stderr)
    return code


def _usage_error(error: typer.TyperException) -> int:
    format_message: Callable[[], str] = getattr(error, "format_message", lambda: str(error))
    message = format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "partialpool"
    return _fail(f"{message[:1].lower()}{message[1:]} (see `{command} --help`).", BAD_INPUT)
