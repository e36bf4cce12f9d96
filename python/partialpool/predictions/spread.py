"""Rows of a Spark data frame → the same with predictions, which its workers make where they are."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from partialpool.batches.texts import Texts
from partialpool.cluster import SparkReader, at_work
from partialpool.data.reading import USUAL
from partialpool.draws.posterior import Posterior
from partialpool.predictions.meanings import Meanings, check_clear
from partialpool.predictions.notes import Tally
from partialpool.predictions.prepared import Asked, prepare
from partialpool.predictions.stream import arrays, check_roles_in_parts, used_columns
from partialpool.predictions.summaries import COLUMNS, predicted, probability_labels, renamed
from partialpool.version import __version__

TRIED = 100  # rows, at once


def predicted_frame(fit: Posterior, asked: Asked, data: Any) -> Any:
    """Give a Spark data frame its predictions: another one, computed when its rows are asked for.

    Some rows are predicted at once, so that a column that is lacking, or of another kind, is an
    error here and not amid Spark's work.

    Raises
    ------
    InputError
        If the rows cannot be predicted, as far as these tell.
    """
    check_roles_in_parts(asked)
    reader = SparkReader(data)
    made = (*COLUMNS, *probability_labels(fit.model, asked.kind))
    used = used_columns(fit, asked)
    # Without rows and findings, for which workers have no use.
    slim = Posterior(fit.model, fit.run, fit.provenance, [])
    names = tuple(name for name in reader.names if name in used)
    reader.check_usable(names)
    texts = {}
    for name, kind in (
        reader.texts([n for n in names if n not in fit.model.plan.named], ()) or {}
    ).items():
        texts[name] = Texts(kind)
        texts[name].count(*reader.count(name))
        texts[name].settle(name, USUAL)
        check_clear(texts[name].column)
    predict = _Predict(slim, asked, Meanings(reader.source, names, texts=texts))
    for rows in reader.some(names, TRIED):
        predict(rows, 0)
    return reader.widened(predict, renamed(reader.names, made), made)


class _Predict(Struct, frozen=True):
    """What a worker does with some rows.

    Attributes
    ----------
    meanings : Meanings
        How columns are read that predictions may need.
    """

    fit: Posterior
    asked: Asked
    meanings: Meanings
    version: str = __version__

    def __call__(self, table: Any, first: int) -> list[Any]:
        """Return columns of predictions beside rows, of which the first has this place."""
        with at_work(self.version):
            rows = self.meanings.columns(table.select(list(self.meanings.used)))
            prepared = prepare(self.fit, self.asked, rows, first)
            found = predicted(prepared, Tally())
            return arrays(found, prepared.gathered.positions, len(table))
