"""What an engine is: which models it takes, how it builds them, and how it draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from partialpool.engine.run import Run
from partialpool.engine.sampling import Sampling
from partialpool.errors import EngineError
from partialpool.model import Model, Pooled
from partialpool.priors import Prior

Priors = Mapping[str, Prior | str]


class BoundsError(EngineError):
    """An engine finds only at work that it cannot sample a model; one of all parameters can.

    It cannot honour uniform priors by rejection, or its matrices would be too large.
    """

    def __init__(self, what: str, remedy: str) -> None:
        self.what, self.remedy = what, remedy
        super().__init__(f"{what}: {remedy}.")

    def __reduce__(self) -> tuple[type[BoundsError], tuple[str, str]]:
        return type(self), (self.what, self.remedy)  # to be raised in another process


class Engine(Struct, frozen=True):
    """One way to draw from a posterior.

    Attributes
    ----------
    name : str
        What `method` calls it.
    obstacle : callable
        From a design as its pooling sees it, the user's priors, and the residual sd over that of
        the response (NaN where it is not known), to why this engine cannot sample the model; None
        where it can.
    build : callable
        From the same design and priors to the model, with the density that it samples.
    run : callable
        From the model and what was asked of the sampling to draws.
    asked : str
        Why it was taken where the user asked for it.
    why : str
        Why it was taken otherwise, with ``{obstacle}`` for what keeps the engines before it from
        it; empty for an engine that is only taken if asked for.
    refit : str
        The method by which a model is fitted again to some of its rows, where that is not the
        engine itself: "auto" lets another take over what this one might refuse.
    """

    name: str
    obstacle: Callable[[Pooled, Priors, float], str | None]
    build: Callable[[Pooled, Priors | None], Model]
    run: Callable[[Model, Sampling], Run]
    asked: str = "you asked for it"
    why: str = ""
    refit: str = ""
