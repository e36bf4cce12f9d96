"""Colours, sizes and words of figures.

Everything is set here and nothing is taken from matplotlib's settings where these could make a
figure unreadable (a dark style, for example).
"""

from __future__ import annotations

from collections.abc import Sequence

# Okabe and Ito's colours, which the colour-blind tell apart. Shapes and dashes say the same again
# for a print in black and white.
BLUE, RED, GREY, PALE, INK = "#0072B2", "#D55E00", "#6E6E6E", "#E8E8E8", "#222222"
FONT = "DejaVu Sans"

# Several lines in one panel: colours that differ in grey too, each with dashes and a mark.
GREEN, PURPLE, ORANGE = "#009E73", "#CC79A7", "#E69F00"
COLOURS = (BLUE, RED, GREEN, PURPLE, INK, ORANGE)
DASHES = ("-", (0, (6, 2)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5)), (0, (3, 1.5)), (0, (9, 3)))
MARKS = ("o", "D", "s", "^", "v", "P")
SMALL, NORMAL, LARGE = 9.0, 10.0, 13.0


def shorten(name: str, longest: int = 16) -> str:
    """Cut a long name.

    Examples
    --------
    >>> shorten("Lac qui Parle"), shorten("Llanfairpwllgwyngyll")
    ('Lac qui Parle', 'Llanfairpwllgwy…')
    """
    name = " ".join(name.split())
    return name if len(name) <= longest else name[: longest - 1] + "…"


def shorten_all(names: Sequence[str], longest: int = 16) -> list[str]:
    """Cut long names so that they stay apart: in the middle, where their beginnings are the same.

    Examples
    --------
    >>> shorten_all(["dose of 10 mg, fasting", "dose of 20 mg, fasting", "none"], 12)
    ['dose of 10 …', 'dose of 20 …', 'none']
    >>> shorten_all(["Behandlung mit A", "Behandlung mit B", "none"], 12)
    ['Behand…mit A', 'Behand…mit B', 'none']
    """
    cut = [shorten(name, longest) for name in names]
    whole: dict[str, set[str]] = {}
    for name, short in zip(names, cut, strict=True):
        whole.setdefault(short, set()).add(name)
    return [
        short if len(whole[short]) == 1 else shorten_within(name, longest)
        for name, short in zip(names, cut, strict=True)
    ]


def shorten_within(name: str, longest: int = 16) -> str:
    """Cut a long name in the middle, for names that differ at their ends.

    Examples
    --------
    >>> shorten_within("[Treatment[T.drug A]]", 16), shorten_within("sigma", 16)
    ('[Treatme…rug A]]', 'sigma')
    """
    name = " ".join(name.split())
    tail = (longest - 1) // 2
    return name if len(name) <= longest else f"{name[: longest - 1 - tail]}…{name[-tail:]}"


def plain(text: str) -> str:
    r"""Keep matplotlib from reading dollar signs as mathematics.

    Examples
    --------
    >>> print(plain("price in $"))
    price in \$
    """
    return text.replace("$", r"\$")
