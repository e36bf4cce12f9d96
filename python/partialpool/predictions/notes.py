"""What there is to say of predictions: counted over all parts of a table, and said once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct, field

from partialpool.arrays import Array
from partialpool.design.gather import LeftOut
from partialpool.draws.new_rows import unseen
from partialpool.model import Group
from partialpool.predictions.prepared import Prepared

HOW = {
    "sample": "drawn from the population",
    "population": "given the coefficients of the population",
}
HOW_PRIOR = "without pooling, drawn from the fixed prior"
MOST_LABELS = 1_000_000  # of new levels that are told apart to be counted
SHOWN = 3


class _Unseen(Struct):
    """Levels of a factor that the fit did not see."""

    how: str
    rows: int = 0
    labels: dict[str, None] = field(default_factory=dict)

    def note(self, factor: str) -> str:
        if not self.labels:
            return f"there is no column `{factor}`: {self.how}"
        count = len(self.labels)
        shown = ", ".join(f"`{label}`" for label in list(self.labels)[:SHOWN])
        more = ", …" if count > SHOWN else ""
        levels = f"{count} level{'s' * (count != 1)}"
        if count >= MOST_LABELS:
            levels = f"{count:,} or more levels"
        return (
            f"`{factor}` has {levels} that the fit did not see ({shown}{more}), "
            f"in {_rows(self.rows)}: {self.how}"
        )


class Tally(Struct):
    """What was met so far."""

    left_out: LeftOut = field(default_factory=LeftOut)
    undetermined: int = 0
    infinite: int = 0
    renamed: dict[str, str] = field(default_factory=dict)
    _new: dict[str, _Unseen] = field(default_factory=dict)

    def add_rows(self, prepared: Prepared) -> None:
        """Count rows that were left out, and levels that the fit did not see."""
        self.left_out += prepared.gathered.left_out
        met: dict[str, tuple[Group, Sequence[str], int]] = {}
        for group, labels, rows in unseen(prepared.fit.model, prepared.rows):
            met[group.factor] = group, labels, rows  # once, whatever the predictors that use it
        for factor, (group, labels, rows) in met.items():
            own = self._new.setdefault(factor, _Unseen(_how(group, prepared.asked.new_levels)))
            own.rows += rows
            if len(own.labels) < MOST_LABELS:
                own.labels |= dict.fromkeys(labels[: MOST_LABELS - len(own.labels)])

    def add_numbers(self, out: Array) -> None:
        """Count predictions that are not determined, or too large: (row, 4)."""
        self.undetermined += int(np.isnan(out[:, 0]).sum())
        self.infinite += int(np.isinf(out).any(axis=1).sum())

    @property
    def notes(self) -> list[str]:
        """All of it in words."""
        notes = self.left_out.notes
        notes += [own.note(factor) for factor, own in self._new.items()]
        notes += [
            f"the column `{old}` of the data is called `{new}` here"
            for old, new in self.renamed.items()
        ]
        if self.undetermined:
            notes.append(
                f"no prediction for {_rows(self.undetermined)} in levels whose own rows do not "
                "determine their coefficients"
            )
        if self.infinite:
            notes.append(
                f"the prediction of {_rows(self.infinite)} is larger than can be computed with: "
                "look at the values of the predictors"
            )
        return notes


def _how(group: Group, new_levels: str) -> str:
    return HOW[new_levels] if group.known_sd is None else HOW_PRIOR


def _rows(count: int) -> str:
    return f"{count} row{'s' * (count != 1)}"
