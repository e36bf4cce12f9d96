"""Interactive figures: specifications of Vega-Lite, a picture of each for paper, and the library.

Controls stand in the page, which sets the parameters of a figure; so they are labelled, and look
and work as others do. Data go into a figure once, by their names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from partialpool.drawing.style import GREY, INK
from partialpool.report.markup import Html, element
from partialpool.report.pictures import address

if TYPE_CHECKING:
    import altair as alt

WIDTH = 640  # of the picture for paper; on a screen figures are as wide as the page
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"
LOOKS: dict[str, Any] = {
    "font": FONT,
    "aria": False,  # the figure has a name, and the table all of its numbers
    "view": {"stroke": None},
    "axis": {
        "gridColor": "#EDEDED",
        "domainColor": GREY,
        "tickColor": GREY,
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
    "legend": {"labelFontSize": 12, "titleFontSize": 12, "labelLimit": 120},
}
Rows = Sequence[Mapping[str, Any]]


class Chart(Struct, frozen=True, eq=False):
    """A figure.

    Attributes
    ----------
    name : str
        Its place in the page.
    spec : dict
        For Vega-Lite.
    picture : str
        Address of a picture of it, for where no script runs.
    about : str
        What it shows, for who does not see it.
    renderer : {"svg", "canvas"}
        How a browser draws it.
    """

    name: str
    spec: dict[str, Any]
    picture: str
    about: str
    renderer: str = "svg"


@cache
def library() -> str:
    """Give the script that draws: Vega, Vega-Lite and what embeds them."""
    import vl_convert

    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def chart(
    name: str,
    whole: alt.LayerChart | alt.FacetChart,
    data: Mapping[str, Rows],
    about: str,
    renderer: str = "svg",
) -> Chart:
    """Give a figure its data and its looks, and paint the picture for paper."""
    import vl_convert

    spec = whole.properties(background="white").to_dict()
    spec |= {"width": "container", "datasets": data, "config": LOOKS}
    fixed = spec | {"width": WIDTH, "config": LOOKS | {"font": "DejaVu Sans"}}
    picture = address(vl_convert.vegalite_to_png(fixed, scale=1.8))
    return Chart(name, spec, picture, about, renderer)


def figure(chart: Chart, controls: str = "", caption: str = "") -> Html:
    """Put a figure into the page: its picture, which scripts replace by what can be explored."""
    picture = element("img", src=chart.picture, alt=chart.about, width=WIDTH)
    drawn = element("div", picture, id=chart.name, class_="chart")
    below = element("figcaption", caption) if caption else ""
    return element("figure", controls, drawn, below)
