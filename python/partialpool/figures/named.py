"""What figures call things: coefficients with their scale, and titles that users give."""

from __future__ import annotations

from partialpool import called
from partialpool.checks import check_text
from partialpool.data.labels import label
from partialpool.model import Group, Model
from partialpool.words.parameters import scale_name


def check_title(title: str | None) -> None:
    """Refuse a title that is no text."""
    check_text("title", title, '"Counties of Minnesota"')


def scale_of(model: Model, predictor: str = called.MEAN) -> str:
    """Name the scale of a predictor's coefficients: that of the link, or else the response."""
    if predictor != called.MEAN:
        return f"log {predictor}"
    scale = scale_name(model)
    return f"{scale} scale" if scale else model.response


def coefficient_label(model: Model, group: Group, term: str) -> str:
    """Name a coefficient of levels on an axis, with what it is measured in."""
    words = term if term == "Intercept" else f"Coefficient of {term}"
    return f"{words} ({scale_of(model, group.predictor)})"


def level_names(group: Group) -> list[str]:
    """Names of the levels, as tables and messages write them."""
    return [label(level) for level in group.levels]
