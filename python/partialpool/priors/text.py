"""Text → a prior, as the command line takes it."""

from __future__ import annotations

import difflib
import re

from partialpool.errors import InputError, short

from .distributions import PRIORS
from .prior import Prior

_ALL = f"choose one of {', '.join(f'`{name}`' for name in PRIORS)}"

_CALL = re.compile(
    r"\s*([A-Za-z_]+)\s*(?:\(([^()]*)\))?\s*(at\s+(?:the\s+)?mean(?:\s+of\s+the\s+predictors)?)?\s*"
)


def parse_prior(text: str) -> Prior:
    """Read a prior as the command line takes it, such as ``"uniform(0, 10)"``.

    Raises
    ------
    InputError
        If the name is unknown or the numbers do not fit.

    Examples
    --------
    >>> parse_prior("half_cauchy(5)"), parse_prior("normal(0, 2.5) at the mean")
    (HalfCauchy(scale=5.0), NormalAtMean(mean=0.0, sd=2.5))
    """
    match = _CALL.fullmatch(text)
    if match is None:
        remedy = "write it like `normal(0, 2.5)`"
        raise InputError(f"`{short(text)}` is not a prior", remedy=remedy)
    by_name = {name.lower(): prior for name, prior in PRIORS.items()}
    name = match[1].replace("_", "").lower()
    if match[3] and f"{name}atmean" in by_name:
        name += "atmean"
    elif match[3]:
        raise InputError(
            f"`{match[1]}` cannot be set at the mean of the predictors",
            remedy="normal, exponential and LKJ priors can",
        )
    if name not in by_name:
        close = difflib.get_close_matches(name, by_name, n=1)
        remedy = f"did you mean `{by_name[close[0]].__name__}`?" if close else _ALL
        raise InputError(f"unknown prior `{short(match[1])}`", remedy=remedy)
    try:
        numbers = [float(part) for part in (match[2] or "").split(",") if part.strip()]
        return by_name[name](*numbers)
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        names = ", ".join(by_name[name].__struct_fields__)
        raise InputError(
            f"`{short(text)}` does not fit", remedy=f"{by_name[name].__name__} takes ({names})"
        ) from None
