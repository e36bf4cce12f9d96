"""Write a report: a fit, or a comparison of poolings, as one page of HTML."""

from __future__ import annotations

import os
from pathlib import Path

from partialpool.checks import check_text
from partialpool.draws.posterior import Posterior
from partialpool.errors import InputError
from partialpool.paths import as_path
from partialpool.report.page import page
from partialpool.report.sections import Sections
from partialpool.report.subject import Compared, Subject
from partialpool.words.fit import rows_words
from partialpool.writing import replacing

SUFFIXES = (".html", ".htm")


def report(fit: Posterior, path: str | os.PathLike[str], title: str | None = None) -> Path:
    """Write a report of the fit: one page of HTML that works offline, on paper and on a phone.

    It holds the answer in three sentences, findings, the data and the model in mathematical
    notation with its priors, estimates, levels and effects in figures that can be explored, shares
    of the variance, checks, a methods paragraph to paste, and how to make it again. Nothing is
    asked of a network. What takes long (scores of more than 5000 rows) or needs rows that the fit
    was saved without is left out, and the page says so.

    Parameters
    ----------
    path : path
        Where to, a name that ends in ``.html``; an existing file is replaced.
    title : str, optional
        Its title; by default response, predictors and groups.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the name ends otherwise, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import partialpool as pp
    >>> fit = pp.fit("effect ~ 1 + (1 | school)", pp.datasets.eight_schools(), se="se", seed=1)
    >>> path = fit.report(f"{tempfile.mkdtemp()}/schools.html")
    >>> "Posterior means" in path.read_text(encoding="utf-8")
    True
    """
    return _write(Subject(fit), path, title)


def report_comparison(
    comparison: Compared, path: str | os.PathLike[str], title: str | None = None
) -> Path:
    """Write a report of the comparison: that of the partial fit, with the other poolings beside.

    Its figure of the levels shows the estimates under each pooling in turn, and how far partial
    pooling moved every level.

    Parameters
    ----------
    path, title
        As in :meth:`Fit.report`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        As :meth:`Fit.report`.
    """
    return _write(Subject(comparison.fits["partial"], comparison), path, title)


def check_report(path: str | os.PathLike[str]) -> Path:
    """Check that a report can get this name, before any work is done for it.

    Raises
    ------
    InputError
        If it does not end in ``.html``.
    """
    checked = as_path(path)
    if checked.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"`{checked}` does not end in .html, as the name of a report does",
            remedy="call it `report.html`",
        )
    return checked


def _write(subject: Subject, path: str | os.PathLike[str], title: str | None) -> Path:
    target = check_report(path)
    check_text("title", title, '"Radon in Minnesota"')
    fit = subject.fit
    subtitle = "; ".join(rows_words(fit.model, fit.provenance))
    foot = f"partialpool {fit.provenance.versions.get('partialpool', '')}, seed {fit.seed}."
    with replacing(target) as temporary:  # a path that cannot be written is told at once
        sections = Sections(subject, target.name).all()
        text = page(_title(subject) if title is None else title, subtitle, sections, foot)
        temporary.write_bytes(text.encode("utf-8", "replace"))
    return target


def _title(subject: Subject) -> str:
    """Name response, predictors and groups."""
    plan, factors = subject.fit.model.plan, list(subject.factors)
    predictors = [name for name in plan.predictors if name not in plan.levels][:4]
    by = f" by {_listed(predictors)}" if predictors else ""
    return f"{subject.response}{by}{f', grouped by {_listed(factors)}' if factors else ''}"


def _listed(names: list[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
