"""What complete, no and partial pooling make of a design."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from partialpool import _core
from partialpool.checks import check_choice
from partialpool.design import Design, GroupFactor
from partialpool.errors import InputError, did_you_mean
from partialpool.families import DEFAULT, Family
from partialpool.model.points import with_points

PoolingName = Literal["complete", "none", "partial"]
POOLINGS: tuple[PoolingName, ...] = get_args(PoolingName)

# One pooling for every factor, or by the name of the factor (others are partial).
Pooling = PoolingName | Mapping[str, PoolingName]


class Pooled(Struct, frozen=True):
    """A design as its pooling sees it.

    Attributes
    ----------
    design : Design
        Without the group terms of factors under complete pooling, and without the population
        columns that the group columns of a factor without pooling replace.
    pooling : str
        That of every factor, or what each has, as in ``"none by id, partial by item"``.
    family, link
        Distribution of the response, and how its mean depends on the linear predictor.
    replaced : tuple of str
        Population columns that every level now has for itself.
    dropped : tuple of str
        Population columns that the levels' own coefficients make redundant.
    vanished : tuple of str
        Group columns that have no population twin to stand for them.
    """

    design: Design
    pooling: str
    family: Family = DEFAULT
    link: str = "identity"
    replaced: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()

    @property
    def rows(self) -> Design | None:
        """The design where its rows are those of the table; None where one pass added them up."""
        return self.design if self.design.condensed is None else None


def check_pooling(pooling: Pooling) -> None:
    """Refuse what names no pooling, or leaves several factors without any.

    Raises
    ------
    InputError
        With what to say instead.
    """
    if not isinstance(pooling, Mapping):
        check_choice("pooling", pooling, POOLINGS)
        return
    for value in pooling.values():
        check_choice("pooling", value, POOLINGS)
    apart = [f"`{name}`" for name, value in pooling.items() if value == "none"]
    if len(apart) > 1:
        raise InputError(
            f"{' and '.join(apart)} have no pooling, and at most one factor can do without",
            remedy='make the others "partial" or "complete"',
        )


def pool(
    design: Design, pooling: Pooling, family: Family = DEFAULT, link: str = "identity"
) -> Pooled:
    """Apply a pooling to a design.

    Parameters
    ----------
    design : Design
        As the formula says.
    pooling : {"partial", "complete", "none"} or mapping
        By the name of the factor where they differ; factors that are not named are partial. It is
        about the factors of the mean; those of log sigma are partial always.
    family, link
        Distribution of the response.

    Raises
    ------
    InputError
        If there are no group terms to leave unpooled, or more than one factor would be, or for a
        factor that the formula does not have.

    Examples
    --------
    >>> from partialpool.formula import parse_formula
    >>> from partialpool.design import build_design
    >>> data = {"y": [1.0, 2.0, 4.0, 3.0], "x": [1, 2, 3, 5], "g": ["a", "b", "a", "b"]}
    >>> design = build_design(parse_formula("y ~ x + (1 | g)"), data)
    >>> pool(design, "none").design.columns, pool(design, {"g": "none"}).replaced
    (('x',), ('Intercept',))
    """
    by_factor = _by_factor(design, pooling)
    distinct = set(by_factor.values())
    if distinct:
        several = ", ".join(f"{value} by {name}" for name, value in by_factor.items())
        label = several if len(distinct) > 1 else distinct.pop()
    else:
        label = pooling if isinstance(pooling, str) else "partial"
    vanished = tuple(
        f"{term} of {factor.name}"
        for factor in design.factors
        if by_factor[factor.name] == "complete"
        for k, term in enumerate(factor.terms)
        # The thresholds of an ordered response stand for its intercept.
        if not factor.T[k].any() and not (design.categories and term == "Intercept")
    )
    left = tuple(f for f in design.factors if by_factor[f.name] != "complete")
    apart = next((f for f in left if by_factor[f.name] == "none"), None)
    pooled = {factor.name: factor is not apart for factor in left}
    every = range(len(design.columns))
    if apart is None:
        return Pooled(_keeping(design, every, pooled), label, family, link, vanished=vanished)
    twins: NDArray[np.bool_] = np.any(apart.T != 0, axis=0)
    candidates = [k for k in range(len(design.columns)) if not twins[k]]
    kept = _independent_within(design, apart, candidates)
    names = design.columns
    return Pooled(
        _keeping(design, kept, pooled),
        label,
        family,
        link,
        replaced=tuple(name for name, twin in zip(names, twins, strict=True) if twin),
        dropped=tuple(names[k] for k in candidates if k not in kept),
        vanished=vanished,
    )


def _by_factor(design: Design, pooling: Pooling) -> dict[str, str]:
    """Give the pooling of every factor."""
    check_pooling(pooling)
    names = [factor.name for factor in design.factors]
    if not isinstance(pooling, Mapping):
        if pooling == "none" and len(names) != 1:
            raise _none_of(names)
        return dict.fromkeys(names, pooling)
    for name in pooling:
        if name not in names:
            raise InputError(
                f"`pooling` names `{name}`, which is no grouping factor of the formula",
                remedy=did_you_mean(str(name), names) if names else "it has no group term",
            )
    return {name: pooling.get(name, "partial") for name in names}


def _none_of(names: list[str]) -> InputError:
    """Say why ``"none"`` needs one factor."""
    if not names:
        return InputError(
            'pooling="none" leaves the levels of a group apart, and the formula has no group term',
            remedy='add one such as `(1 | group)`, or use pooling="complete"',
        )
    choice = {name: "partial" if k else "none" for k, name in enumerate(names)}
    shown = ", ".join(f'"{name}": "{value}"' for name, value in choice.items())
    return InputError(
        'pooling="none" can hold for one grouping factor, and the formula has '
        + " and ".join(f"`{name}`" for name in names),
        remedy=f"say for which, as in pooling={{{shown}}}",
    )


def _keeping(design: Design, columns: Sequence[int], factors: Mapping[str, bool]) -> Design:
    """Keep some of the population columns, and some factors: whether they are pooled."""
    kept, whole = list(columns), len(columns) == len(design.columns)
    own = design.condensed
    if own is not None:
        summary = _keeping(own.summary, kept, factors)
        own = replace(own, summary=summary, facts=own.facts.some(kept))
    return replace(
        design,
        X=design.X if whole else np.ascontiguousarray(design.X[:, kept]),
        columns=tuple(design.columns[k] for k in kept),
        column_terms=tuple(design.column_terms[k] for k in kept),
        factors=tuple(
            replace(
                one,
                T=one.T if whole else np.ascontiguousarray(one.T[:, kept]),
                pooled=factors[one.name],
            )
            for one in design.factors
            if one.name in factors
        ),
        condensed=own,
    )


def _independent_within(design: Design, factor: GroupFactor, candidates: list[int]) -> list[int]:
    """Columns of X that vary beyond what Z explains within every level, and beyond each other."""
    if not candidates:
        return []

    design = with_points(design)
    factor = design.factor(factor.name)
    columns, Z = design.X[:, candidates], factor.Z
    if np.any(np.all(Z == 1.0, axis=0)):
        # Level intercepts absorb any shift, and without it nothing is lost to rounding.
        columns = columns - columns.mean(axis=0)
    elif design.condensed is not None:
        columns = columns + design.condensed.facts.shift[candidates]
    size = np.abs(columns).max(axis=0)
    working = np.ascontiguousarray(columns / np.where(size > 0, size, 1.0))
    reduced = _core.CrossProducts(
        z=Z,
        xy=working,
        codes=factor.codes,
        n_levels=len(factor.levels),
        unscale=np.eye(Z.shape[1]),
    ).parts()[2]
    total = np.einsum("ij,ij->j", working, working)
    kept: list[int] = []
    for k in range(len(candidates)):
        rows = np.array(kept, dtype=int)
        rest = reduced[k, k]
        if kept:
            block = reduced[np.ix_(rows, rows)]
            rest -= reduced[k, rows] @ np.linalg.solve(block, reduced[rows, k])
        if rest > 1e-10 * max(total[k], 1e-300):
            kept.append(k)
    return [candidates[k] for k in kept]
