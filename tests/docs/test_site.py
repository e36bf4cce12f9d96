"""What the site must have; `make docs` builds it and looks at it in a browser."""

import json
import re

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imread

import check
import gallery
import partialpool as pp
import scale
from documents import ROOT
from pictures import TOLERANCE, distance, same_letters

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


RECORD = json.loads(scale.RESULTS.read_text(encoding="utf-8"))


def test_the_figure_of_big_tables_shows_what_was_measured():
    """Every program at every size of the panels, and nothing cut off."""
    figure = scale.draw(RECORD)
    FigureCanvasAgg(figure).draw()
    for panel, by in zip(figure.axes, ("rows", "groups", "rows"), strict=True):
        other, fixed = ("groups", scale.GROUPS) if by == "rows" else ("rows", scale.ROWS)
        sizes = [size for size in RECORD["sizes"] if size[other] == fixed]
        lines = {line.get_label(): line for line in panel.get_lines()}
        for name, label in scale.LABELS.items():
            wanted = sorted(size[by] for size in sizes if name in size["programs"])
            assert [*lines[label].get_xdata()] == wanted if label in lines else not wanted
        assert len(lines[scale.LABELS[scale.US]].get_xdata()) >= 2
    drawn, whole = figure.get_tightbbox(), figure.bbox_inches
    assert whole.x0 <= drawn.x0
    assert drawn.x1 <= whole.x1
    assert whole.y0 <= drawn.y0
    assert drawn.y1 <= whole.y1


@same_letters
def test_the_image_of_big_tables_is_that_of_the_results():
    figure = scale.draw(RECORD)
    figure.set_dpi(scale.DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())[..., :3]
    assert distance(drawn, np.round(255 * imread(scale.IMAGE)[..., :3])) < TOLERANCE


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
