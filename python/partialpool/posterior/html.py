"""Fits, estimates and comparisons as HTML: what a notebook shows.

Everything that comes from the user is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from partialpool.posterior import estimate_text
from partialpool.words.fit import heading, notes, parameter_rows, percent, section

if TYPE_CHECKING:
    import pandas as pd

    from partialpool.draws.posterior import Posterior
    from partialpool.posterior.comparison import Comparison
    from partialpool.posterior.estimate import Estimate


def fit_html(fit: Posterior) -> str:
    """Write a fit as an HTML fragment."""
    head = ["", "mean", "sd", *percent(fit.provenance.interval), "ess", "r_hat", "prior"]
    parts = [
        "<table><thead><tr>" + "".join(f"<th>{escape(h)}</th>" for h in head) + "</tr></thead>",
        "<tbody>",
    ]
    last = None
    for label, cells, prior in parameter_rows(fit):
        title = section(fit, label)
        if title != last:
            parts.append(f"<tr><th colspan='8' style='text-align:left'>{escape(title)}</th></tr>")
            last = title
        row = [label, *cells, prior]
        parts.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>")
    parts.append("</tbody></table>")
    return _page(heading(fit), "\n".join(parts), " ".join(notes(fit)), fit.findings)


def estimate_html(estimate: Estimate) -> str:
    """Write an estimate as an HTML fragment."""
    lines = estimate_text.heading(estimate)
    said = " ".join(estimate_text.notes(estimate))
    return _page(lines, _table(estimate.summary()), said, estimate.findings)


def comparison_html(comparison: Comparison) -> str:
    """Write a comparison as an HTML fragment."""
    found = [f"{names}: {finding}" for names, finding in comparison.findings]
    return _page(comparison.heading(), _table(comparison.table), comparison.sentence, found)


def _table(frame: pd.DataFrame) -> str:
    return str(frame.to_html(float_format="{:.4g}".format, na_rep="–", escape=True, border=0))


def _page(heading: Sequence[str], table: str, notes: str, findings: Sequence[object]) -> str:
    formula, *facts = map(escape, heading)
    items = "".join(f"<li>{escape(str(finding))}</li>" for finding in findings)
    found = f"<p>Findings</p><ul>{items}</ul>" if items else "<p>Findings: none.</p>"
    return "\n".join(
        [
            "<div class='partialpool'>",
            f"<p><code>{formula}</code><br>{'<br>'.join(facts)}</p>",
            table,
            f"<p><small>{escape(notes)}</small></p>",
            found,
            "</div>",
        ]
    )
