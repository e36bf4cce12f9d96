"""What is asked of predictions, and the rows that can be predicted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from partialpool.arrays import Ints
from partialpool.checks import check_choice, check_interval, check_seed
from partialpool.design.gather import Gathered
from partialpool.design.rows import Rows
from partialpool.draws.evaluate import Evaluator, check_new_levels
from partialpool.draws.new_rows import build_rows, check_known, gather_fitted, gather_new
from partialpool.draws.posterior import Posterior

KINDS = ("mean", "observation", "linear")
NEW_LEVELS = ("sample", "population", "error")


class Asked(Struct, frozen=True):
    """What is to be predicted.

    Attributes
    ----------
    seed : int
        Of observations and of new levels that are drawn.
    roles : mapping
        What was given beside the rows; None is as if not given.
    """

    kind: str
    new_levels: str
    seed: int
    interval: float = 0.95
    roles: Mapping[str, Any] = field(default_factory=dict)


def asked(
    fit: Posterior,
    kind: str,
    new_levels: str,
    seed: int | None,
    roles: Mapping[str, Any],
    interval: float = 0.95,
) -> Asked:
    """Check what is asked.

    Raises
    ------
    InputError
        If an option has a value that it cannot have.
    """
    check_interval(interval)
    check_choice("kind", kind, KINDS)
    check_choice("new_levels", new_levels, NEW_LEVELS)
    own = fit.run.seed if seed is None else check_seed(seed)
    return Asked(kind, new_levels, own, float(interval), roles)


class Prepared(Struct, frozen=True, eq=False):
    """Rows that can be predicted.

    Attributes
    ----------
    gathered : Gathered
        Their columns, and where they are in the table.
    first : int
        Where that table starts in the whole, of which it may be a part.
    """

    fit: Posterior
    asked: Asked
    gathered: Gathered
    rows: Rows
    first: int = 0

    def evaluator(self, picked: Ints | None = None) -> Evaluator:
        """What computes draws."""
        return Evaluator(
            self.fit.model,
            self.fit.run,
            self.rows,
            new_levels=self.asked.new_levels,
            seed=self.asked.seed,
            picked=picked,
            places=self.first + self.gathered.positions,
        )


def prepare(fit: Posterior, asked: Asked, new: Any, first: int = 0) -> Prepared:
    """Gather and build the rows of a table, or those that were fitted.

    Raises
    ------
    InputError
        If they lack a column, or hold what the fit cannot say anything of.
    """
    model = fit.model
    if new is None:
        gathered = gather_fitted(
            model,
            fit.design,
            asked.roles,
            kind=asked.kind,
            argument="new",
            lacking=fit.provenance.lacking,
        )
    else:
        gathered = gather_new(
            model,
            new,
            asked.roles,
            kind=asked.kind,
            needed=model.groups,
            optional=asked.new_levels == "population",
        )
    rows = build_rows(model, gathered, model.groups)
    if asked.new_levels == "error":
        check_known(model, rows)
    else:
        check_new_levels(model, rows, asked.new_levels)
    return Prepared(fit, asked, gathered, rows, first)
