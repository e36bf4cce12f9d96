"""The page: sections, style and scripts in one file that asks nothing of a network."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from partialpool.report.charts import library
from partialpool.report.markup import Html, element, html, joined, json_block
from partialpool.report.sections import Section


def page(title: str, subtitle: str, sections: Sequence[Section], foot: str) -> str:
    """Put a report together."""
    charts = [chart for section in sections for chart in section.charts]
    own = _resource("page.js")
    scripts = [library(), own] if charts else [own]
    data = {chart.name: {"spec": chart.spec, "renderer": chart.renderer} for chart in charts}
    links = [element("a", section.title, href=f"#{section.id}") for section in sections[1:]]
    nav = element("nav", *(joined(link, " ") for link in links), aria_label="Sections")
    first, *rest = map(_section, sections)
    body = joined(
        element("header", element("h1", title), element("p", html(subtitle), class_="small")),
        element("main", first, nav, *rest),
        element("footer", element("p", foot)),
        json_block("charts", data),
        *(Html(f"<script>{script}</script>") for script in scripts),
    )
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',
            element("title", title),
            f"<style>{_resource('page.css')}</style>",
            "</head>",
            f"<body>{body}</body>",
            "</html>",
            "",
        ]
    )


def _section(section: Section) -> Html:
    heading = element("h2", section.title, id=f"{section.id}-title")
    return element(
        "section", heading, section.body, id=section.id, aria_labelledby=f"{section.id}-title"
    )


def _policy(scripts: Sequence[str]) -> str:
    """Allow these scripts, inline styles and images in the page, and no request of any kind."""
    import hashlib

    digests = (hashlib.sha256(script.encode("utf-8")).digest() for script in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(d).decode('ascii')}'" for d in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _resource(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
