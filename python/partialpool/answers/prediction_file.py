"""`PredictionFile`: what `predict` wrote to a file."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from partialpool.words.page import Answer, Page


class PredictionFile(Answer, Struct, frozen=True):
    """What was written by :meth:`Fit.predict` with ``out=``.

    Attributes
    ----------
    path : Path
        The file.
    rows : int
        Rows in it: as many as there were.
    predicted : int
        Those with a prediction; the others have nothing in its columns.
    columns : tuple of str
        The columns of the rows, and those of the predictions beside them.
    notes : tuple of str
        Which rows have no prediction, what was made of new levels, which columns got another name.
    kind : {"mean", "observation", "linear"}
        What was predicted.
    interval : float
        Mass of the intervals.
    seed : int
        Of what was drawn.
    """

    path: Path
    rows: int
    predicted: int
    columns: tuple[str, ...]
    notes: tuple[str, ...]
    kind: str
    interval: float
    seed: int

    @property
    def page(self) -> Page:
        """What it says."""
        share = f"{100 * self.interval:g}% interval"
        told = f"{self.kind} and {share} of {self.predicted:,} of {self.rows:,} rows: {self.path}"
        facts = {
            "path": str(self.path),
            "rows": self.rows,
            "predicted": self.predicted,
            "columns": list(self.columns),
            "kind": self.kind,
            "interval": self.interval,
            "seed": self.seed,
            "notes": list(self.notes),
        }
        return Page(heading=[told], notes=[f"Note: {note}." for note in self.notes], facts=facts)
