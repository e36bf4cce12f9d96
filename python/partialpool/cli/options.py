"""Arguments and options that commands share; which of them there are, Python's functions say."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Annotated, Any

import typer

import partialpool
from partialpool.answers.predict import RoleOptions
from partialpool.cli.values import Reader
from partialpool.engine.options import AUTO, SamplingOptions
from partialpool.errors import InputError
from partialpool.spec import ModelOptions

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="CSV or TSV (also .gz), Parquet (file, folder or pattern), Arrow, Feather or .xlsx "
        "file; file.duckdb::table, file.sqlite::table, file.xlsx::sheet; - for standard input.",
    ),
]
NA = Annotated[
    list[str] | None,
    typer.Option(
        "--na",
        metavar="TEXT",
        help='What stands for missing values, such as "-" or 999; may be repeated. Empty cells '
        "always do.  [default: NA, NULL, NaN …; among numbers also . - ?]",
    ),
]
Decimal = Annotated[
    str | None,
    typer.Option(metavar=".|,", help="Decimal mark.  [default: each column tells its own]"),
]
AsText = Annotated[
    list[str] | None,
    typer.Option(
        "--text", metavar="COLUMN", help="A column of labels, even if digits; may be repeated."
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Of a text file, such as cp1252.  [default: UTF-8]"),
]
Saved = Annotated[
    str, typer.Argument(metavar="FIT", help="File that `partialpool fit --out` wrote.")
]
SavedFits = Annotated[
    list[str],
    typer.Argument(metavar="FIT", help="Files that `partialpool fit --out` wrote."),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help="What the fits are called, in their order.  [default: as their files]",
    ),
]
Formula = Annotated[str, typer.Argument(metavar="FORMULA", help='Such as "y ~ x + (x | county)".')]
Priors = Annotated[
    list[str] | None,
    typer.Option(
        "--prior",
        metavar="NAME=PRIOR",
        help='Such as "sd_county=uniform(0, 10)", by the name that the table shows; '
        "may be repeated.",
    ),
]
CoefficientsFile = Annotated[
    str | None,
    typer.Option(
        "--coefficients",
        metavar="FILE.csv",
        help="Write the coefficients of every group level.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print a JSON object instead of a table.")]
Family = Annotated[str, typer.Option(help="Distribution of the response.")]
Link = Annotated[
    str | None,
    typer.Option(help="Link of the mean, such as probit.  [default: the family's first]"),
]
Method = Annotated[
    str,
    typer.Option(
        help="Engine: auto, marginal, nuts or metropolis; reml or ml: estimates without priors."
    ),
]
Pooling = Annotated[
    str,
    typer.Option(
        help="How group coefficients relate: partial, complete or none; where factors differ, "
        "such as id=none,item=partial."
    ),
]
SigmaFormula = Annotated[
    str | None,
    typer.Option("--sigma", metavar="FORMULA", help='Formula of log sigma: "~ x + (1 | id)".'),
]
StandardErrors = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Known standard error of every row.")
]
Weights = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Precision weights of the rows.")
]
Offset = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Added to the linear predictor.")
]
Exposure = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Time or size that counts were collected over.")
]
Trials = Annotated[
    str | None, typer.Option(metavar="COLUMN|N", help="Trials of every row (binomial).")
]
Chains = Annotated[int | None, typer.Option(help="Number of chains.  [default: 4]")]
Draws = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto",
        help="Draws to keep of each chain; auto: until there are enough.  [default: 1000]",
    ),
]
Ess = Annotated[
    float | None,
    typer.Option(help="Effective draws that are enough for `--draws auto`.  [default: 400]"),
]
Warmup = Annotated[
    int | None,
    typer.Option(help="Warm-up draws of each chain.  [default: as many as it takes, up to 1000]"),
]
Seed = Annotated[
    int | None, typer.Option(help="Same seed, same draws.  [default: random, and shown]")
]
Interval = Annotated[float, typer.Option(help="Mass of the intervals.")]
ProposalSd = Annotated[
    float | None,
    typer.Option("--proposal-sd", help="Sd of the steps of metropolis.  [default: 0.1]"),
]
Start = Annotated[
    list[str] | None,
    typer.Option(
        "--start",
        metavar="NAME=NUMBER",
        help="Where metropolis starts: sigma=2; may be repeated.  [default: at random]",
    ),
]
Threads = Annotated[
    int | None, typer.Option(help="Chains at a time.  [default: one for each core]")
]
ShowProgress = Annotated[
    bool | None,
    typer.Option(
        "--progress/--no-progress",
        help="Show progress.  [default: in a terminal, on runs longer than a second]",
    ),
]
OnePass = Annotated[
    bool | None,
    typer.Option(
        "--one-pass/--no-one-pass",
        help="Read the table in batches and keep sums, not rows.  [default: with 5 million rows]",
    ),
]
Quadrature = Annotated[
    int | None,
    typer.Option(help="Of ml: nodes of adaptive quadrature a level.  [default: 1, Laplace's]"),
]


# By the name that Python gives them.
TYPES: dict[str, Any] = {
    **{"na": NA, "decimal": Decimal, "text": AsText, "encoding": Encoding},
    **{"family": Family, "link": Link, "sigma": SigmaFormula, "method": Method},
    **{"se": StandardErrors, "weights": Weights, "offset": Offset, "exposure": Exposure},
    **{"trials": Trials, "chains": Chains, "draws": Draws, "ess": Ess},
    **{"warmup": Warmup, "seed": Seed},
    **{"interval": Interval, "proposal_sd": ProposalSd, "threads": Threads},
    **{"progress": ShowProgress, "start": Start, "pooling": Pooling, "priors": Priors},
    **{"one_pass": OnePass},
    **{"quadrature": Quadrature},
}
READING = ("na", "decimal", "text", "encoding")
MODEL = tuple(ModelOptions.__annotations__)
SAMPLING = tuple(SamplingOptions.__annotations__)
ROLES = tuple(RoleOptions.__annotations__)
# How the text of an option becomes what Python takes.
READ: dict[str, Callable[[Any], Any]] = {
    "trials": lambda text: read_trials(text),
    "draws": lambda text: read_draws(text),
    "priors": lambda texts: read_priors(texts or []),
    "start": lambda texts: read_start(texts or []),
    "pooling": lambda text: read_pooling(text),
}


def taking(*names: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Let a command that ends in ``**options`` take these, with the defaults of `pp.fit`.

    What it gets was read from the text of the command line.
    """
    known = inspect.signature(partialpool.fit).parameters
    added = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=known[name].default if name in known else None,
            annotation=TYPES[name],
        )
        for name in names
    ]

    def shown(command: Callable[..., int]) -> Callable[..., int]:
        own = inspect.signature(command, eval_str=True)
        *first, _ = own.parameters.values()

        @wraps(command)
        def run(**given: Any) -> int:
            return command(**{k: READ.get(k, _same)(value) for k, value in given.items()})

        whole = own.replace(parameters=[*first, *added])
        run.__signature__ = whole  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in whole.parameters.values()}
        return run

    return shown


def _same(value: Any) -> Any:
    return value


def protected(arguments: list[str]) -> list[str]:
    """Put a blank before a formula or hypothesis that starts with a minus: it is no option.

    Examples
    --------
    >>> protected(["fit", "d.csv", "-1 + y ~ x", "--seed", "-1"])
    ['fit', 'd.csv', ' -1 + y ~ x', '--seed', '-1']
    >>> protected(["hypothesis", "fit.nc", "-b[x] > 0"])
    ['hypothesis', 'fit.nc', ' -b[x] > 0']
    """
    return [
        f" {argument}" if re.match(r"-(?!-).*[~<>\[]", argument, re.DOTALL) else argument
        for argument in arguments
    ]


def read_trials(text: str | None) -> str | int | None:
    """Take one number for all rows, or the name of a column.

    Examples
    --------
    >>> read_trials("20"), read_trials("n")
    (20, 'n')
    """
    if text is not None and re.fullmatch(r"[-+]?[\d.]+", text):
        if not text.isdecimal() or int(text) == 0:
            raise InputError(
                f"`--trials {text}` is neither a whole number above 0 nor a column",
                remedy="give one of them",
            )
        return int(text)
    return text


def read_draws(text: str | None) -> str | int | None:
    """Take a number, or what `fit` takes in its place.

    Examples
    --------
    >>> read_draws("500"), read_draws("auto")
    (500, 'auto')
    """
    if text is None or text == AUTO:
        return text
    try:
        return int(Reader(int).read(text))
    except ValueError:
        raise InputError(
            "the value of `--draws` is no whole number", remedy=f"give one, or {AUTO}"
        ) from None


def read_priors(texts: Sequence[str]) -> dict[str, str]:
    """Split ``name=prior`` at the first ``=`` outside brackets and backticks.

    Examples
    --------
    >>> read_priors(["b[C(x, base=1)]=normal(0, 1)", "sigma = exponential(2)"])
    {'b[C(x, base=1)]': 'normal(0, 1)', 'sigma': 'exponential(2)'}
    """
    priors: dict[str, str] = {}
    for text in texts:
        add_pair(priors, "--prior", text, "name=prior", '--prior "sigma=exponential(2)"')
    return priors


def read_start(texts: Sequence[str]) -> dict[str, float] | None:
    """Split ``name=number``, as :func:`read_priors` does.

    Examples
    --------
    >>> read_start(["sigma=2", "b[x]=-1.5"]), read_start([])
    ({'sigma': 2.0, 'b[x]': -1.5}, None)
    """
    pairs: dict[str, str] = {}
    for text in texts:
        add_pair(pairs, "--start", text, "name=number", '--start "sigma=2"')
    start = {}
    for name, text in pairs.items():
        try:
            start[name] = float(text)
        except ValueError:
            raise InputError(
                f"`--start {name}={text}` ends in no number", remedy='write it like "sigma=2"'
            ) from None
    return start or None


def read_pooling(text: str) -> str | dict[str, str]:
    """Take one pooling for all factors, or ``factor=pooling`` with commas between.

    Examples
    --------
    >>> read_pooling("none"), read_pooling("id=none, item=partial")
    ('none', {'id': 'none', 'item': 'partial'})
    """
    if not _outside(text, "="):
        return text
    poolings: dict[str, str] = {}
    start = 0
    for end in [*_outside(text, ","), len(text)]:
        pair = text[start:end].strip()
        add_pair(poolings, "--pooling", pair, "factor=pooling", "--pooling id=none,item=partial")
        start = end + 1
    return poolings


def add_pair(pairs: dict[str, str], option: str, text: str, form: str, example: str) -> None:
    """Add ``name=value``, split at the first ``=`` outside brackets and backticks."""
    position = next(iter(_outside(text, "=")), -1)
    name, value = text[:position].strip(), text[position + 1 :].strip()
    if position < 0 or not name or not value:
        raise InputError(
            f"`{option} {text}` is not of the form {form}", remedy=f"write it like {example}"
        )
    if name in pairs:
        raise InputError(f"`{option}` is given twice for `{name}`", remedy="give it once")
    pairs[name] = value


def _outside(text: str, wanted: str) -> list[int]:
    """Positions of a character outside brackets and backticks."""
    found, depth, quoted = [], 0, False
    for position, character in enumerate(text):
        if character == "`":
            quoted = not quoted
        elif quoted:
            continue
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == wanted and depth == 0:
            found.append(position)
    return found
