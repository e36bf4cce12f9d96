"""What the figures of a fit are made from."""

from __future__ import annotations

from msgspec import Struct

from partialpool.draws.posterior import Posterior


class Plots(Struct, frozen=True, eq=False):
    """A fit whose figures are asked for.

    Attributes
    ----------
    fit : Posterior
        What they show.
    """

    fit: Posterior

    def __repr__(self) -> str:
        return drawn_by(type(self))


def drawn_by(plots: type) -> str:
    """Say what figures there are, for those who look at `fit.plot` before they choose.

    Examples
    --------
    >>> class Two:
    ...     def levels(self): ...
    ...     def pairs(self): ...
    >>> drawn_by(Two)
    'Figures, each by a call such as .plot.levels(): levels, pairs'
    """
    names = [name for name, own in vars(plots).items() if callable(own) and name[0] != "_"]
    names = [name for name in names if name != "all"]
    return f"Figures, each by a call such as .plot.{names[0]}(): {', '.join(names)}"
