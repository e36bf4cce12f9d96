"""A fit as HTML: what a notebook shows."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from partialpool.posterior.text import heading, notes, parameter_rows, percent, section

if TYPE_CHECKING:
    from partialpool.posterior.fit import Fit


def fit_html(fit: Fit) -> str:
    """Write a fit as an HTML fragment; everything that comes from the user is escaped."""
    formula, *facts = heading(fit)
    head = ["", "mean", "sd", *percent(fit.provenance.interval), "ess", "r_hat", "prior"]
    parts = [
        "<div class='partialpool'>",
        f"<p><code>{escape(formula)}</code><br>" + "<br>".join(map(escape, facts)) + "</p>",
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
    said = " ".join(map(escape, notes(fit)))
    parts.append(f"</tbody></table><p><small>{said}</small></p>")
    if fit.findings:
        items = "".join(f"<li>{escape(str(finding))}</li>" for finding in fit.findings)
        parts.append(f"<p>Findings</p><ul>{items}</ul>")
    else:
        parts.append("<p>Findings: none.</p>")
    parts.append("</div>")
    return "\n".join(parts)
