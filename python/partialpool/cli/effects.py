"""`partialpool effects`: what a predictor does on average, from a saved fit."""

from __future__ import annotations

import csv
import re
import sys
from functools import partial
from typing import Annotated, Any, cast

import typer

import partialpool
from partialpool.answers.predict import AverageRoles
from partialpool.checks import check_choice
from partialpool.cli import options
from partialpool.cli.codes import DONE
from partialpool.cli.figures import check_figure, drawn_words, write_figure
from partialpool.cli.files import check_targets, read_table
from partialpool.cli.options import READING, taking
from partialpool.cli.output import own_words, say, say_json
from partialpool.effects.question import PAIRS
from partialpool.errors import InputError
from partialpool.words.table import plain


@taking(*READING, *AverageRoles.__annotations__)
def effects_command(
    fit: options.Saved,
    by: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PREDICTOR",
            help="Columns of the formula, or grouping factors: all combinations of their values.",
        ),
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=VALUE,VALUE",
            help="Values of a predictor, as in a line of CSV, or one of another column; may be "
            "repeated.  [default: "
            "categories, or quartiles]",
        ),
    ] = None,
    groups: Annotated[
        list[str] | None,
        typer.Option(
            metavar="integrate|none|FACTOR=LEVEL,LEVEL",
            help="integrate: over the population of levels; none: a level without deviations; or "
            "chosen levels of a factor, may be repeated.  [default: integrate]",
        ),
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            help="mean: the response; probability: of each category; linear: the predictor."
        ),
    ] = "mean",
    pairwise: Annotated[
        bool,
        typer.Option(
            "--pairwise",
            help="Compare pairs: of several predictors, the values of the first within each "
            "combination of the others.",
        ),
    ] = False,
    pairs: Annotated[
        str | None,
        typer.Option(
            metavar="within|all|interaction",
            help="Which pairs: as --pairwise; all; or differences of differences.",
        ),
    ] = None,
    ratio: Annotated[
        bool,
        typer.Option(
            "--ratio",
            help="Ratios in place of differences; with --kind linear odds or rate ratios.",
        ),
    ] = False,
    reference: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VALUE|PREDICTOR=VALUE",
            help="What others are compared with; may be repeated.  [default: the first values]",
        ),
    ] = None,
    slope: Annotated[
        str | None,
        typer.Option(metavar="PREDICTOR", help="Slopes of this number, in place of predictions."),
    ] = None,
    interval: options.Interval = 0.95,
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Rows to average over.  [default: those fitted]"),
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(metavar="FILE.png", help="Draw predictions with the data behind them."),
    ] = None,
    as_json: options.Json = False,
    **given: Any,
) -> int:
    """Average what a fit predicts: predictions, contrasts, ratios and slopes of predictors."""
    figure = check_targets(fit, {"--plot": plot}, what="fit")["--plot"]
    check_figure(figure)
    saved, names = partialpool.load(fit), by or []
    if data is None:
        said = [name for name in READING if given.pop(name)]
        if said:
            remedy = "name the table, or leave it out"
            raise InputError(f"`--{said[0]}` is given without `--data`", remedy=remedy)
    if pairwise and pairs:
        raise InputError("`--pairs` is given with `--pairwise`", remedy="give one of them")
    if pairs is not None:
        check_choice("pairs", pairs, PAIRS)
    shown: dict[str, Any] = {
        "by": names[0] if len(names) == 1 else names,
        "at": _values(at or [], names),
        "groups": _groups(groups or []),
        "kind": kind,
        "interval": interval,
        "data": None if data is None else read_table(data, given),
        **given,
    }
    frame = saved.effects(
        **shown,
        pairwise=cast(Any, pairs or pairwise),
        ratio=ratio,
        reference=_reference(reference or [], names),
        slope=slope,
    )
    if figure is not None:
        write_figure(partial(saved.plot.effects, **shown), figure)
    if as_json:
        rows = {"rows": frame.to_dict("records")}
        say_json(plain({"formula": saved.formula} | {k: frame.attrs[k] for k in FACTS} | rows))
        return DONE
    say(saved.formula)
    say(f"Average over {frame.attrs['n_rows']} rows; levels {frame.attrs['groups']}.\n")
    say(_text(frame))
    say(f"\nlower to upper: the {100 * frame.attrs['interval']:g}% posterior interval.")
    for line in drawn_words(plot):
        say(f"\n{line}")
    for note in frame.attrs["notes"]:
        say(own_words(f"note: {note}"), sys.stderr)
    return DONE


FACTS = (
    *("by", "kind", "groups", "interval", "n_rows", "notes"),
    *("pairwise", "ratio", "reference", "slope"),
)


def _text(frame: Any) -> str:
    """Give the table as text, where nothing is shown of what a row is not about."""
    mixed = [name for name, own in frame.items() if own.dtype == object and own.isna().any()]
    frame = frame.assign(**{name: frame[name].map(_shown) for name in mixed})
    return str(frame.to_string(index=False, float_format=lambda x: f"{x:.4g}", na_rep=""))


def _shown(value: Any) -> Any:
    return "" if value is None else value


def _values(texts: list[str], by: list[str]) -> dict[str, Any] | None:
    """Read ``x=0,1``: a list for predictors, with quotes as in CSV; one value for other columns.

    Examples
    --------
    >>> _values(["x=0,1.5"], ["x"]), _values(['arm="a,b",c=d', "x=2"], ["arm"])
    ({'x': [0, 1.5]}, {'x': 2, 'arm': ['a,b', 'c=d']})
    """
    pairs: dict[str, str] = {}
    for text in texts:
        options.add_pair(pairs, "--at", text, "column=value", "--at x=0,1")
    found: dict[str, Any] = {n: _value(value) for n, value in pairs.items() if n not in by}
    found |= {name: _listed(value) for name, value in pairs.items() if name in by}
    return found or None


def _listed(text: str) -> list[int | float | str]:
    return [_value(one) for one in next(csv.reader([text]))]


def _groups(texts: list[str]) -> Any:
    """Read one word, or chosen levels of factors.

    Examples
    --------
    >>> _groups(["none"]), _groups(["county=1,70", 'arm="a,b"'])
    ('none', {'county': [1, 70], 'arm': ['a,b']})
    """
    if not texts:
        return "integrate"
    if len(texts) == 1 and "=" not in texts[0]:
        return texts[0]
    pairs: dict[str, str] = {}
    for text in texts:
        options.add_pair(pairs, "--groups", text, "factor=levels", "--groups county=1,70")
    return {name: _listed(text) for name, text in pairs.items()}


def _reference(texts: list[str], by: list[str]) -> Any:
    """Read a value of the one predictor, or values by predictor.

    Examples
    --------
    >>> _reference(["2"], ["x"]), _reference(["arm=a"], ["arm", "x"]), _reference([], ["x"])
    (2, {'arm': 'a'}, None)
    """
    if not texts:
        return None
    if len(by) == 1 and len(texts) == 1 and not texts[0].startswith(f"{by[0]}="):
        return _value(texts[0])
    pairs: dict[str, str] = {}
    for text in texts:
        options.add_pair(pairs, "--reference", text, "predictor=value", "--reference arm=a")
    return {name: _value(text) for name, text in pairs.items()}


def _value(text: str) -> int | float | str:
    """Take a number where a text is one as it stands; ``007`` is a label."""
    text = text.strip()
    if not re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", text):
        return text
    return int(text) if text.lstrip("-").isdigit() else float(text)
