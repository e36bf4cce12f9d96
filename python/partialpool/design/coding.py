"""Terms that need contrasts, transforms or expressions: coded by formulaic.

formulaic evaluates factors as Python. It gets no text of the user's, only code that has passed the
check of the formula layer, in which every name and string is an alias (see ``formula/names.py``).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from partialpool.data import Column
from partialpool.errors import InputError, did_you_mean
from partialpool.formula import Term
from partialpool.formula.allowed import MATH
from partialpool.formula.names import BARE, BOOLEAN, CODED, TEXT, aliases_in, quoted, readable
from partialpool.formula.names import alias as to_alias

from .matrix import Matrix
from .state import decode, encode

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
        for name, use in aliases_in(factor.code):
            key = to_alias(name, use)
            if use == TEXT:
                context[key] = name
            elif key not in data:
                data[key] = _series(columns[name], use, key, categories, fitted=state is not None)
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
    import pandas as pd

    name, kind, values = column.name, column.kind, column.values
    if use == BOOLEAN and kind != "boolean":
        raise InputError(
            f"the column `{name}` is joined by `&`, `|` or `~` but is not true or false",
            remedy=f"write a condition, such as `({quoted(name)} > 0)`",
        )
    if use == BOOLEAN or (use != CODED and kind == "boolean" and key not in categories):
        return values if use == BOOLEAN else values.astype(np.float64)
    if use != CODED and kind == "number" and key not in categories:
        return values.astype(np.float64)
    if kind == "date":
        if use != CODED:
            raise InputError(
                f"the column `{name}` holds dates",
                remedy=f"write `C({quoted(name)})` for categories, or turn it into numbers",
            )
        values = np.datetime_as_string(values).astype(object)
    known = categories.get(key)
    if known is None:
        if fitted:
            raise InputError(
                f"the column `{name}` is now of kind {kind}",
                remedy="give numbers, as in the data that were fitted",
            )
        categories[key] = known = _occurring(column, values)
    elif use in (BARE, CODED):
        unseen = sorted(map(str, set(values.tolist()) - set(known)))
        if unseen:
            raise InputError(
                f"the column `{name}` has a category that the fit did not see, `{unseen[0]}`",
                remedy=did_you_mean(unseen[0], map(str, known)),
            )
    if kind in ("number", "boolean"):
        return values
    return pd.Categorical(values, categories=known)


def _occurring(column: Column, values: Any) -> list[Any]:
    present = dict.fromkeys(values.tolist())
    if column.categories is not None:
        return [c for c in column.categories if c in present]
    return sorted(present)


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
