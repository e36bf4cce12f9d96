"""What the site must have; `make docs` builds it and looks at it in a browser."""

import re

import pytest

import check
import gallery
import partialpool as pp
from documents import ROOT

REFERENCE = "\n".join(path.read_text() for path in (ROOT / "docs" / "reference").glob("*.md"))
DOCUMENTED = set(re.findall(r"^::: partialpool\.(\S+)", REFERENCE, re.MULTILINE))


def test_every_public_name_has_its_place_in_the_reference():
    assert {*pp.__all__} - {"__version__"} <= DOCUMENTED


def test_every_figure_is_in_the_gallery():
    shown = {picture.method for picture in gallery.PICTURES}
    figures = {
        f"{kind}.plot.{name}"
        for kind, holder in gallery.HOLDERS.items()
        for name in dir(holder)
        if not name.startswith("_") and callable(getattr(holder, name)) and name != "all"
    }
    assert len(figures) >= 5
    assert figures <= shown


def test_names_of_images_differ():
    methods = [picture.method for picture in gallery.PICTURES]
    assert max(methods.count(method) for method in methods) <= 2


@pytest.mark.parametrize(
    ("html", "fetches"),
    [
        ('<script src="assets/bundle.js"></script>', False),
        ('<a href="https://example.org">x</a>', False),
        ('<script src="https://unpkg.com/iframe-worker/shim"></script>', True),
        ('<link rel="stylesheet" href="//fonts.example.org/css">', True),
        ("<style>@import url(https://fonts.example.org/css);</style>", True),
        ('<img alt="x" src=http://example.org/x.png>', True),
        ('<link rel="icon" href="data:image/png;base64,//x">', False),
    ],
)
def test_what_would_be_fetched(html, fetches, tmp_path):
    (tmp_path / "page.html").write_text(html)
    assert bool(list(check.from_source(tmp_path))) == fetches
