"""The model: names, priors and groups, and the density that an engine samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from msgspec import Struct, field
from msgspec.structs import astuple, replace
from numpy.typing import NDArray

from partialpool import _core, called
from partialpool.arrays import Array
from partialpool.data.conventions import is_plain
from partialpool.design import Plan
from partialpool.families import Family
from partialpool.model.coordinates import Coordinates, implied_priors
from partialpool.model.layout import Layout
from partialpool.priors import Normal, NormalAtMean, Prior


class Group(Struct, frozen=True):
    """What the posterior needs to know of the group terms of one factor (the rows are gone).

    An engine that integrates draws working coefficients r̃ for every level; those of the user are
    ``coef = T b + base + back r̃``, where b are the population coefficients of the same predictor.

    Attributes
    ----------
    name : str
        What parameters are called after: ``sd_{name}``, ``cor_{name}``, ``r_{name}``,
        ``coef_{name}``. The factor in the predictor of the mean, else both, as in ``sigma_id``.
    factor : str
        The grouping column, or columns.
    pairs : tuple of (int, int)
        Correlated columns.
    known_sd : (q,) array or None
        Without pooling: fixed sds of r̃, infinite for flat priors, NaN for priors that are neither
        flat nor normal. Else they are sampled.
    bounds : (q, 2) array or None
        Where the coefficients must lie (uniform priors without pooling).
    estimable : (J,) boolean array
        Whether a level's own rows determine its coefficients.
    predictor : {"mu", "sigma"}
        The linear predictor that the terms belong to: of the mean, or of log sigma.
    at_mean : bool
        Whether sds and correlations are sampled for r̃, the coefficients at the mean of the
        predictors, and those of r follow; else they are the same.
    own : tuple of Prior
        Where `at_mean`, the priors of the sds of r̃. Without pooling, where priors are neither all
        normal nor all flat, those of r̃ itself.
    """

    name: str
    factor: str
    terms: tuple[str, ...]
    levels: NDArray[np.generic]
    counts: NDArray[np.int64]
    T: Array
    pairs: tuple[tuple[int, int], ...]
    base: Array
    back: Array
    estimable: NDArray[np.bool_]
    known_sd: Array | None = None
    bounds: Array | None = None
    predictor: str = "mu"
    at_mean: bool = False
    own: tuple[Prior, ...] = ()

    @property
    def sd_labels(self) -> list[str]:
        """Full names of the sds that are sampled: none without pooling."""
        return [] if self.known_sd is not None else [called.sd(self.name, t) for t in self.terms]

    @property
    def pair_labels(self) -> list[str]:
        """Labels of the correlations, as in ``Intercept,floor``."""
        return [called.pair(self.terms[i], self.terms[j]) for i, j in self.pairs]

    @property
    def cor_labels(self) -> list[str]:
        """Full names of the correlations."""
        return [called.cor(self.name, pair) for pair in self.pair_labels]

    @property
    def is_flat(self) -> bool:
        """Whether the coefficients have flat (or uniform) fixed priors."""
        return self.known_sd is not None and bool(np.isinf(self.known_sd).all())


class Reduced(Struct, frozen=True):
    """The rows, reduced to what a Gaussian likelihood needs.

    Attributes
    ----------
    data : _core.CrossProducts or _core.Blocks
        Cross-products level by level of one factor, or by pairs of levels of several.
    order : tuple of int
        Population columns in the order of the core: integrated ones, then sampled ones.
    population : Integrable or None
        What integrates the population coefficients out; None in files of earlier versions.
    """

    data: _core.CrossProducts | _core.Blocks
    order: tuple[int, ...]
    population: Integrable | None = None

    @property
    def levels(self) -> _core.CrossProducts:
        """The rows of one factor at most."""
        assert isinstance(self.data, _core.CrossProducts)
        return self.data

    @property
    def crossed(self) -> _core.Blocks:
        """The rows of several factors."""
        assert isinstance(self.data, _core.Blocks)
        return self.data

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What files keep of the rows: r, b, w of one factor, else entries of one matrix."""
        if isinstance(self.data, _core.CrossProducts):
            r, b, w, _ = self.data.parts()
            return {"r": r, "b": b, "w": w}
        row, column, value = self.crossed.parts()
        unscale = np.concatenate([own.ravel() for own in self.crossed.unscale])
        return {"row": row, "column": column, "value": value, "unscale": unscale}

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        order: Sequence[int],
        n_rows: int,
        shapes: Sequence[tuple[int, int]],
        population: Integrable | None = None,
    ) -> Reduced:
        """Rebuild from what `arrays` gave; `shapes` are (levels, columns) of the factors.

        Raises
        ------
        ValueError
            If the arrays do not fit together.
        """
        if "r" in arrays:
            r, b, w = (arrays[name] for name in ("r", "b", "w"))
            levels = _core.CrossProducts.from_parts(r=r, b=b, w=w, n_rows=n_rows)
            return cls(levels, tuple(order), population)
        ends = np.cumsum([q * q for _, q in shapes])
        parts = np.split(np.asarray(arrays["unscale"], dtype=np.float64), ends[:-1])
        data = _core.Blocks.from_parts(
            unscale=[part.reshape(q, q) for part, (_, q) in zip(parts, shapes, strict=True)],
            n_levels=[levels for levels, _ in shapes],
            row=arrays["row"].tolist(),
            column=arrays["column"].tolist(),
            value=np.ascontiguousarray(arrays["value"], dtype=np.float64),
            width=len(order) + 1,
            n_rows=n_rows,
        )
        return cls(data, tuple(order), population)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(levels, columns) of the factors of several."""
        if isinstance(self.data, _core.CrossProducts):
            return []
        pairs = zip(self.data.n_levels, self.data.unscale, strict=True)
        return [(levels, len(own)) for levels, own in pairs]

    def __reduce__(self) -> tuple[Any, ...]:  # to be pickled or copied: the core knows neither
        rest = (self.order, self.data.n_rows, self.shapes, self.population)
        return Reduced.from_arrays, (self.arrays(), *rest)


class Integrable(Struct, frozen=True):
    """What is known of the population coefficients c before the rows, in the order of the core.

    Attributes
    ----------
    count : int
        How many of them are integrated out: the first ones.
    prior : (p + 1, p + 1) array
        Cross-product of their normal priors, as rows of ``[X y]`` with unit variance.
    written : (p, p + 1) array
        Those of the user are this times ``(c, 1)``.
    """

    count: int
    prior: Array
    written: Array


class Model(Struct, frozen=True, dict=True):
    """A model ready to be sampled.

    Attributes
    ----------
    pooling : str
        That of every factor, or what each has, as in ``"none by id, partial by item"``.
    priors : dict
        The prior of every parameter, by name.
    coordinates : mapping
        By predictor: how working coefficients become those of the user. Empty in a fit that was
        loaded from a file.
    known_errors : bool
        Whether the standard error of every row is given, so that there is no sigma.
    plan : Plan
        Makes the columns of the design for new data.
    reduced : Reduced or None
        The rows, where the engine integrates.
    core : _core.Marginal, _core.General or None
        The density; None in a fit that was loaded, unpickled or copied.
    layout : Layout or None
        How to read what the core returns, where it samples all parameters.
    categories : tuple
        Labels of an ordered response.
    sigma_formula : str
        The formula of log sigma; empty without.
    stored_implied : mapping
        What `implied` was when the fit was saved.
    """

    formula: str
    response: str
    family: Family
    link: str
    pooling: str
    columns: tuple[str, ...]
    groups: tuple[Group, ...]
    priors: Mapping[str, Prior]
    coordinates: Mapping[str, Coordinates]
    known_errors: bool
    n_rows: int
    plan: Plan
    reduced: Reduced | None
    core: _core.Marginal | _core.General | None
    layout: Layout | None = None
    categories: tuple[Any, ...] = ()
    sigma_formula: str = ""
    stored_implied: Mapping[str, Normal] = field(default_factory=dict)

    @property
    def scores(self) -> Array:
        """What ordered categories count as: the numbers that they are, else their positions."""
        return category_scores(self.categories)

    @property
    def sole_group(self) -> Group | None:
        """The group, where what asks can deal with one at most."""
        assert len(self.groups) < 2
        return self.groups[0] if self.groups else None

    @cached_property
    def implied(self) -> dict[str, Normal]:
        """Priors of coefficients as written that those at the mean of the predictors imply.

        Only where both differ, and where all that a coefficient depends on has a normal prior.
        """
        if not self.coordinates:
            return dict(self.stored_implied)
        names = {"mu": [called.b(column) for column in self.columns]}
        if self.layout is not None:
            names |= {s.name: s.labels for s in self.layout.predictors}
        return {
            name: prior
            for predictor, at in self.coordinates.items()
            for name, prior in zip(names[predictor], implied_priors(at), strict=True)
            if prior is not None and _differs(prior, self.priors[name])
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return Model, astuple(replace(self, core=None))

    def __repr__(self) -> str:
        groups = "".join(f", {group.name}: {len(group.levels)} levels" for group in self.groups)
        return f"Model({self.formula!r}, {self.pooling} pooling{groups})"


def _differs(implied: Normal, prior: Prior) -> bool:
    """Whether a prior as written is not simply the one at the mean of the predictors."""
    if not isinstance(prior, NormalAtMean):
        return False
    return abs(implied.sd / prior.sd - 1) > 1e-3 or abs(implied.mean - prior.mean) > 1e-3 * prior.sd


def category_scores(categories: Sequence[Any]) -> Array:
    """Return the numbers that ordered categories are, by their labels; positions if they are none.

    Examples
    --------
    >>> category_scores((1, 2, 5)), category_scores(("0", "10")), category_scores(("low", "high"))
    (array([1., 2., 5.]), array([ 0., 10.]), array([0., 1.]))
    """
    texts = [category for category in categories if isinstance(category, str)]
    numeric = all(is_plain(text) for text in texts)
    return np.array([float(c) if numeric else k for k, c in enumerate(categories)], dtype=float)
