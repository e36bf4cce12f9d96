"""What a response family is: one record, which knows all about it but the log density.

The log densities are in the core (`src/family/`). Arrays of any shape go in and are broadcast:
linear predictors of draws × rows, say, with dispersion parameters of draws × 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from partialpool.alike import Kinds
from partialpool.arrays import Array, Ints
from partialpool.errors import InputError
from partialpool.priors import Prior

from .links import COEFFICIENTS
from .merging import Merged, Responses, repeated
from .tails import Tails

Mask = NDArray[np.bool_]
Response = Literal["number", "binary", "ordered"]
Averages = Literal["linear", "loglinear", "link", "other"]
ROW_TERM = (
    "a group term with a level for each row, such as `(1 | row)` with a column of row numbers"
)
Aux = Mapping[str, Any]
"""Dispersion parameters by name: numbers or arrays; for ordered categories `threshold`."""


class Dispersion(Struct, frozen=True):
    """A parameter of the family beside the linear predictor.

    Parameters
    ----------
    default : Prior or None
        Its default prior; None means Exponential(1/s_y), with the sd of the response.
    describes : str
        What it is, in words for tables, where ``{y}`` stands for the response.
    """

    name: str
    default: Prior | None
    low: float
    high: float
    describes: str


class Given(NamedTuple):
    """What a response depends on beside its linear predictor.

    Attributes
    ----------
    aux : mapping
        Dispersion parameters by name.
    trials : array or None
        Where the family has them.
    log_sigma : array or None
        Replaces `sigma` where rows have their own residual sds.
    """

    link: str
    aux: Aux
    trials: Array | None = None
    log_sigma: Array | None = None


class Observed(NamedTuple):
    """Responses as a user gave them.

    Attributes
    ----------
    label : str
        What the formula calls them.
    rows : (row,) array of int
        Their positions in the table.
    trials_name : str or None
        What the formula calls the trials.
    """

    label: str
    y: Array
    trials: Array | None
    rows: Ints
    trials_name: str | None


class Ends(Struct, frozen=True):
    """Responses from the lowest kind to the highest, which nothing can lie beyond.

    Attributes
    ----------
    rows : list of mask
        The rows that speak for each kind; those of a binomial response may speak for both.
    low, high : str
        The lowest and the highest kind in words; `high` is empty where responses have no end.
    """

    rows: list[Mask]
    low: str
    high: str


class Family(Struct, frozen=True):
    """A response family: `FAMILIES` holds them all.

    Fields are what there is to know of it; methods compute. A new family is a record of one of the
    classes beside this one, or of a class of its own.

    Examples
    --------
    >>> from partialpool.families import FAMILIES, family_of
    >>> family, link = family_of("poisson")
    >>> link, [d.name for d in FAMILIES["negbinomial"].dispersion]
    ('log', ['shape'])
    >>> family.simulate(np.random.default_rng(1), np.zeros(4), Given(link, {}))
    array([2., 1., 1., 1.])
    """

    name: str
    links: tuple[str, ...]
    """The first is the default."""
    core: str = ""
    """What the core calls its log density, where that is not its own name."""
    dispersion: tuple[Dispersion, ...] = ()
    """In the order of the core."""
    response: Response = "number"
    needs: str = "numbers"
    """What a response must be, in words."""
    notation: str = ""
    """How a response is distributed, in mathematics: names in braces are its parameters, ``{mean}``
    what the link is of, ``{trials}`` its trials. Ordered categories go by thresholds."""
    discrete: bool = False
    """Whether it gives probabilities of whole numbers, or of categories."""
    roles: tuple[str, ...] = ()
    """What rows may have beside offset and weights: `trials`, which they then need, or `se`."""
    one_trial: str = ""
    """The family that it is where every row is one trial."""
    conjugate: bool = False
    """Whether coefficients integrate out: responses are normal around the linear predictor."""
    variance_from_mean: bool = False
    """Whether the mean leaves no freedom to the variance, so that responses may scatter more."""
    mean_takes_sigma: bool = False
    """Whether the mean depends on the residual sd."""
    averages: Averages = "other"
    """The mean by the linear predictor, which tells how it averages over normal levels: the same,
    its exponential up to a factor, the probability that the link gives, or anything else."""
    scatter: str = ""
    """The dispersion parameter that says how much rows scatter around their means."""
    zeros: str = ""
    """The dispersion parameter that is about zeros."""
    words: Mapping[str, str] = field(default_factory=lambda: COEFFICIENTS)
    """What a coefficient does, by the name of its scale."""
    remedies: Mapping[str, str] = field(default_factory=dict)
    """What to do, by what was found: codes of findings; `spread`, `zeros` of checks."""

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def density(self) -> str:
        """The name of its log density in the core."""
        return self.core or self.name

    @property
    def has_sigma(self) -> bool:
        """Whether it has a residual sd, which may have a formula."""
        return any(one.name == "sigma" for one in self.dispersion)

    @property
    def weights_count_rows(self) -> bool:
        """Whether a weight says how many rows a row counts as; else it is a precision."""
        return not self.has_sigma

    @property
    def unit_scale(self) -> bool:
        """Whether default priors take 1 for the sd of the response: for links but the identity."""
        return self.links != ("identity",)

    def scale(self, link: str) -> str:
        """Name the scale of the coefficients; empty where it is that of the response."""
        return "" if link == "identity" else link

    def linear(self, y: Array) -> Array:
        """Return the response on the scale on which an identity link models it."""
        return y

    def possible(self, y: Array, trials: Array | None) -> Mask:
        """Tell which responses the family can give."""
        return np.isfinite(y)

    def settled(self, y: Array) -> Array:
        """Return responses as they are meant: counts without the rounding errors of products."""
        return y

    def check(
        self,
        label: str,
        y: Array,
        trials: Array | None,
        rows: Ints,
        trials_name: str | None = None,
    ) -> None:
        """Refuse responses that the family cannot give; see :class:`Observed`.

        Raises
        ------
        InputError
            If there are any: it tells the first, how many, and which rows (the first row is 1).
        """
        if trials is None and "trials" in self.roles:
            raise InputError(
                f"`{self.name}` needs the number of trials of each row",
                remedy="give it as `trials=`",
            )
        self.refuse(Observed(label, y, trials, rows, trials_name))
        if trials is not None and "trials" not in self.roles:
            raise InputError(
                f"`trials` is given, but `{self.name}` has none", remedy='use family="binomial"'
            )
        outside = ~self.possible(y, trials)
        count = int(outside.sum())
        if count:
            first = int(np.argmax(outside))
            value = f"{y[first]:.15g}" + (
                "" if trials is None else f", of {trials[first]:.15g} trials,"
            )
            shown = [str(int(row) + 1) for row in rows[outside][:5]]
            more = ", …" if count > len(shown) else ""
            raise InputError(
                f"`{self.name}` needs {self.needs}, but `{label}` is {value} in row {shown[0]}",
                where=f"{count} rows do not fit: {', '.join(shown)}{more}" if count > 1 else None,
                remedy=f"correct or drop {'them' if count > 1 else 'it'}, or choose another family",
            )

    def refuse(self, observed: Observed) -> None:
        """Refuse what can be told in words of its own."""

    def ends(self, y: Array, trials: Array | None, categories: Sequence[Any]) -> Ends | None:
        """Give the ends of the responses, at which predictors can separate them, if there are."""
        return None

    def centre(
        self,
        y: Array,
        trials: Array | None,
        offset: Array | float = 0.0,
        counts: Array | None = None,
    ) -> float:
        """Centre of the intercept's default prior, on the scale of the linear predictor.

        `counts`: how many rows each row counts as.
        """
        return 0.0

    def start(self, y: Array, trials: Array | None) -> dict[str, float]:
        """Rough values of the dispersion parameters, from moments of the response."""
        return {}

    def shared(self, rows: Responses) -> list[Array] | None:
        """Give what rows with equal predictors must have in common beside these to be merged.

        None if they cannot be: the core counts rows by their weights, which may be precisions.
        """
        if not self.weights_count_rows:
            return None
        return rows.given("y", "trials", "offset")

    def merged(self, rows: Responses, kinds: Kinds) -> Merged:
        """Merge rows that have in common what they must, exactly."""
        return repeated(self.density, rows, kinds)

    def mean(self, eta: Array, given: Given) -> Array:
        """Return the expected response."""
        raise NotImplementedError

    def variance(self, eta: Array, given: Given) -> Array:
        """Return variances of responses; of ordered categories, where they count as 0, 1, 2 …."""
        raise NotImplementedError

    def log_tails(self, y: Array, eta: Array, given: Given) -> Tails:
        """Return the logarithms of the probabilities of responses up to y, and of those beyond.

        Of whole numbers y may be −1, which no response is below.
        """
        raise NotImplementedError

    def latent_variance(self, eta: Array, given: Given) -> Array | None:
        """Return variances of responses around the linear predictor, on its scale.

        None where there is no such scale.
        """
        return None

    def latent_words(self, link: str) -> str:
        """Say what that variance is."""
        return ""

    def probabilities(self, eta: Array, link: str, thresholds: Array) -> Array:
        """Return the probability of each category (last axis)."""
        raise NotImplementedError

    def simulate(self, rng: np.random.Generator, eta: Array, given: Given) -> Array:
        """Draw responses."""
        raise NotImplementedError


class LogLink(Family, frozen=True):
    """Responses with a log link to their mean."""

    links: tuple[str, ...] = ("log",)
    averages: Averages = "loglinear"

    def centre(
        self,
        y: Array,
        trials: Array | None,
        offset: Array | float = 0.0,
        counts: Array | None = None,
    ) -> float:
        # log(Σ y / Σ exp(offset)): the rate over all exposure, not the mean of the rows' rates.
        times = np.ones(len(y)) if counts is None else counts
        exposure = np.broadcast_to(np.asarray(offset, dtype=float), y.shape)
        most = float(np.max(exposure))
        total = float(np.sum(times * np.exp(exposure - most)))
        return math.log(self.total(times * y) / total) - most

    def total(self, y: Array) -> float:
        """Sum of the responses."""
        return float(np.sum(y))

    def mean(self, eta: Array, given: Given) -> Array:
        with np.errstate(over="ignore"):
            mean = np.exp(np.broadcast_arrays(eta, *given.aux.values())[0])
        return np.asarray(mean, dtype=float)


def whole(x: Array) -> Mask:
    """Tell which numbers are counts."""
    # Beyond 2⁵³ numbers are no longer counts.
    return np.asarray((x >= 0) & (x < 9e15) & (x == np.floor(x)))
