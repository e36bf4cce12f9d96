"""Terms that need contrasts, transforms or expressions: coded by formulaic.

formulaic evaluates factors as Python. It gets no text of the user's, only code that has passed the
check of the formula layer, in which every name and string is an alias (see ``formula/names.py``).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from partialpool.data import Column, label
from partialpool.data.labels import date_labels, distinct, match_labels
from partialpool.data.unclear import as_numbers
from partialpool.errors import InputError, did_you_mean
from partialpool.formula import Term
from partialpool.formula.allowed import MATH
from partialpool.formula.names import (
    BOOLEAN,
    CODED,
    NUMBER,
    TEXT,
    aliases_in,
    quoted,
    readable,
    split_alias,
)
from partialpool.formula.names import alias as to_alias

from .grouping import in_order
from .matrix import Matrix, as_floats
from .state import decode, encode
from .uses import compared_columns, compared_with

# numpy's, some of which formulaic does not bring.
_EXTRA: dict[str, Any] = {name: getattr(np, name) for name in MATH if hasattr(np, name)}


def code_terms(
    terms: Sequence[Term],
    columns: Mapping[str, Column],
    n_rows: int,
    state: dict[str, Any] | None = None,
) -> Matrix:
    """Return the columns of terms, by way of formulaic.

    Examples
    --------
    >>> from partialpool.formula import expand
    >>> x = Column("x", "number", np.array([1.0, 3.0]), np.array([False, False]))
    >>> coded = code_terms(expand("0 + center(x)"), {"x": x}, 2)
    >>> coded.names, coded.values[:, 0].tolist()
    (('center(x)',), [-1.0, 1.0])
    """
    import pandas as pd
    from formulaic import ModelSpec
    from formulaic.errors import DataMismatchWarning
    from formulaic.parser.types import Factor as TheirFactor
    from formulaic.parser.types import Term as TheirTerm

    categories: dict[str, list[Any]] = dict((state or {}).get("categories", {}))
    context, data = dict(_EXTRA), {}
    for factor in (f for term in terms for f in term):
        compared = set(compared_with(factor))
        for pair in compared_columns(factor):  # texts with texts
            if any(columns[name].kind in ("string", "categorical") for name in pair):
                compared |= set(pair)
        for name, use in aliases_in(factor.code):
            key = to_alias(name, use)
            if use == TEXT:
                context[key] = name
            elif key not in data:
                data[key] = (
                    _compared(columns[name])
                    if name in compared
                    else _series(columns[name], use, key, categories, fitted=state is not None)
                )
    formula = [
        TheirTerm(
            [TheirFactor(f.code, eval_method="lookup" if f.bare else "python") for f in term]
            or [TheirFactor("1", eval_method="literal")]
        )
        for term in terms
    ]
    encoder = {
        key: (TheirFactor.Kind(kind), decode(value))
        for key, (kind, value) in (state or {}).get("encoder", {}).items()
    }
    spec = ModelSpec(
        formula=formula,
        materializer="pandas",
        na_action="ignore",
        output="numpy",
        transform_state=decode((state or {}).get("transform", {"dict": []})),
        encoder_state=encoder,
    )
    frame = pd.DataFrame(data, index=pd.RangeIndex(n_rows))
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", DataMismatchWarning)
            matrix = spec.get_model_matrix(frame, context=context)
    except DataMismatchWarning:
        raise _unseen_in_expression(terms, encoder) from None
    except Exception as error:
        raise _uncomputable(error) from None
    done = matrix.model_spec
    names = tuple(readable(name) for name in done.column_names)
    # formulaic keeps the order of the terms; one of a single category may have no column.
    owners = tuple(
        term
        for term, (_, _, made) in zip(terms, done.structure, strict=True)
        for _ in range(len(made))
    )
    new_state = {
        "categories": categories,
        "transform": encode(done.transform_state),
        "encoder": {
            key: [kind.value, encode({k: v for k, v in value.items() if k != "contrasts"})]
            for key, (kind, value) in done.encoder_state.items()
        },
    }
    return Matrix(names, np.array(matrix, dtype=np.float64), owners, new_state)


def _series(
    column: Column, use: str, key: str, categories: dict[str, list[Any]], *, fitted: bool
) -> Any:
    """Return a column as formulaic should see it: floats, or categories in a known order."""
    name, kind = column.name, column.kind
    if use == BOOLEAN:
        if kind != "boolean":
            raise InputError(
                f"the column `{name}` is joined by `&`, `|` or `~` but is not true or false",
                remedy=f"write a condition, such as `({quoted(name)} > 0)`",
            )
        return column.values
    if use == NUMBER:
        return _number(column)
    if use == CODED or key in categories:
        return _coded(column, key, categories, fitted=fitted)
    if kind in ("number", "boolean"):
        return column.values.astype(np.float64)
    if kind == "date":
        raise InputError(
            f"the column `{name}` holds dates",
            remedy=f"write `C({quoted(name)})` for categories, or turn it into numbers",
        )
    if fitted:
        return as_floats(column)
    return _coded(column, key, categories, fitted=fitted)


def _number(column: Column) -> Any:
    """Return a column that an expression computes with; categories can only be compared."""
    import pandas as pd

    column = as_numbers(column, np.arange(len(column)), "column")
    if column.kind in ("number", "boolean"):
        return column.values.astype(np.float64)
    if column.kind == "categorical" and column.categories is not None:
        return pd.Categorical(column.values, categories=column.categories, ordered=column.ordered)
    what = "dates" if column.kind == "date" else f"text (`{label(column.values[0])[:20]}`)"
    name = quoted(column.name)
    raise InputError(
        f"the column `{column.name}` holds {what}, where a number is needed",
        remedy=f'compare it with text, as in `{{{name} == "a"}}`, or write `C({name})`',
    )


def _compared(column: Column) -> Any:
    """Return a column as the labels that texts are compared with."""
    if column.kind == "categorical" and column.ordered and all_texts(column.categories or ()):
        import pandas as pd

        return pd.Categorical(column.values, categories=column.categories, ordered=True)
    return np.array(_labels(column), dtype=object)


def _labels(column: Column) -> list[str]:
    found, codes = distinct(column.labels)
    dates = column.labels.dtype.kind == "M"
    own = date_labels(column.labels) if dates else [label(value) for value in found]
    return own if dates else [own[k] for k in codes.tolist()]


def all_texts(values: Iterable[Any]) -> bool:
    """Whether all values are texts."""
    return all(isinstance(value, str) for value in values)


def _coded(column: Column, key: str, categories: dict[str, list[Any]], *, fitted: bool) -> Any:
    """Return a column as categories: those of the fit, met by their labels."""
    import pandas as pd

    values = column.labels
    if values.dtype.kind == "M":
        values = np.array(date_labels(values), dtype=object)
    found, codes = distinct(values)
    known = categories.get(key)
    if known is None:
        if fitted:
            raise InputError(
                f"the column `{column.name}` is now of kind {column.kind}",
                remedy="give numbers, as in the data that were fitted",
            )
        categories[key] = known = in_order(column, found)
    else:
        places = match_labels(found, known, f"the column `{column.name}`")
        if -1 in places:
            unseen = label(found[places.index(-1)])
            raise InputError(
                f"the column `{column.name}` has a category that the fit did not see, `{unseen}`",
                remedy=did_you_mean(unseen, [label(value) for value in known]),
            )
        found = [known[k] for k in places]
    own = np.empty(len(found), dtype=object)
    own[:] = found
    numeric = not any(isinstance(value, str) for value in known)
    if numeric and column.kind in ("number", "boolean") and to_use(key) == CODED:
        return np.array(found)[codes]
    return pd.Categorical(own[codes], categories=known)


def to_use(key: str) -> str:
    """Return what an alias is used for."""
    found = split_alias(key)
    return found[1] if found else ""


def _unseen_in_expression(terms: Sequence[Term], encoder: Mapping[str, Any]) -> InputError:
    coded = [f for term in terms for f in term if f.code.startswith("C(")]
    label = coded[0].label if len(coded) == 1 else "C(…)"
    known = [v.get("categories") for _, v in encoder.values() if v.get("categories")]
    remedy = f"known are {', '.join(map(str, known[0]))}" if len(known) == 1 else "list them all"
    return InputError(f"`{label}` meets a value outside its categories", remedy=remedy)


def _uncomputable(error: Exception) -> InputError:
    text = readable(str(error)).split("\n")[0]
    text = text.replace("Unable to evaluate factor ", "").rstrip(".")
    if "extrapolation" in text or "outside" in text:
        remedy = 'for values beyond those seen write `extrapolation="extend"` in the spline'
    else:
        remedy = "check the expression and the kinds of its columns"
    return InputError(f"a term cannot be computed ({text})", remedy=remedy)
