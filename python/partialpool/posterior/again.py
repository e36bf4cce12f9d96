"""A fit asked for again, with changes: what it was asked, what its rows are, and what changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from partialpool.cluster import opened
from partialpool.data import Column, Table
from partialpool.data.mapping import from_any
from partialpool.design import Design
from partialpool.design.roles import ROLES, role_columns
from partialpool.draws.posterior import Provenance
from partialpool.engine.options import AUTO, COUNTS, OF_METROPOLIS, Asked, SamplingOptions, asked
from partialpool.engine.sample import MAXIMISED
from partialpool.engine.sampling import Start
from partialpool.errors import InputError, NotYetError, short
from partialpool.finding import Finding, about_all, warn
from partialpool.formula import parse_formula, parse_predictor
from partialpool.formula.update import updated
from partialpool.model import known_keys
from partialpool.model.pooling import Pooling
from partialpool.pipeline import (
    Estimated,
    Kind,
    Made,
    MakeEstimate,
    estimated,
    pose_for,
    sampled,
    unless_rows,
)
from partialpool.priors import Prior
from partialpool.request import Kept, Request
from partialpool.spec import ModelOptions, Posed, Spec, pose

OF_SAMPLING = (*SamplingOptions.__annotations__, "start", "quadrature")
# What a maximum of the likelihood has no use for.
OF_DRAWS = (*COUNTS, "ess", "seed", "progress", "priors")


class Unchanged:
    """The default of options that stay as they were."""

    def __repr__(self) -> str:
        return "<as before>"


UNCHANGED = Unchanged()


class Changes(ModelOptions, SamplingOptions, total=False):
    """What may change of a fit: the options of :func:`partialpool.fit`; None is its default."""

    pooling: Pooling
    priors: Mapping[str, Prior | str] | None
    start: Start | None
    quadrature: int | None


class Earlier(Struct, frozen=True):
    """What an earlier fit knows of itself."""

    request: Request | None
    design: Design | None
    facts: Provenance


class Again(Struct, frozen=True):
    """What is asked now, checked, and what to say of it."""

    posed: Posed
    table: Any
    pooling: Pooling
    priors: dict[str, Prior | str]
    how: Asked
    findings: list[Finding]
    began: float

    def sampled(self, kind: type[Kind]) -> Kind:
        """Fit it, as this kind of posterior."""
        return self._made(lambda posed: sampled(posed, *self._asked, kind))

    def estimated(self, kind: MakeEstimate[Estimated]) -> Estimated:
        """Find the maximum of its likelihood, as this kind of estimate."""
        return self._made(lambda posed: estimated(posed, *self._asked, kind))

    def _made(self, make: Callable[[Posed], Made]) -> Made:
        found = unless_rows(self.posed, self.table, None, make)
        self._tell(found)
        return found

    @property
    def _asked(self) -> tuple[Pooling, dict[str, Prior | str], Asked, float]:
        return self.pooling, self.priors, self.how, self.began

    def _tell(self, found: Any) -> None:
        found.findings += self.findings
        warn(about_all(found.findings))


def asked_again(
    earlier: Earlier, formula: str | None, data: Any, changes: Mapping[str, Any]
) -> Again:
    """Ask for a fit again.

    Parameters
    ----------
    formula : str or None
        A whole one, or one that changes the earlier.
    data : table or None
        Other rows; None for those that were fitted.
    changes : mapping
        Options that change.

    Raises
    ------
    InputError
        If it is not known what was asked, or on what; or what is asked now cannot be.
    """
    began, request = time.perf_counter(), earlier.request
    if request is None:
        raise InputError(
            "this fit was saved by an earlier version, which did not keep what was asked of it: "
            "which priors were the user's, roles, seed and draws",
            remedy="fit again with `pp.fit`",
        )
    text = request.formula if formula is None else updated(formula, request.formula)
    options = _merged(request, changes)
    table, per_row = data, dict[str, Any]()
    if data is None:
        table, per_row = _own_rows(earlier, text, options)
    for name, value in options.items():
        if value is Kept.ROWS and name not in per_row:
            raise InputError(
                f"`{name}` was given as one value a row",
                remedy=f"give it again for the rows of `data`, or `{name}=None`",
            )
        if value is Kept.NOTHING:
            raise InputError(
                f"`{name}` was a function, which files do not keep",
                remedy=f"give it again, or `{name}=None`",
            )
    options |= per_row
    of_sampling = {k: v for k, v in options.items() if k in OF_SAMPLING}
    spec = Spec(text, **{k: v for k, v in options.items() if k not in OF_SAMPLING})
    how = asked(**of_sampling)
    if data is None:
        own = _as_before(pose(spec, table), earlier)
    else:
        table = opened(data)
        own = pose_for(spec, table, how, None, large=earlier.facts.one_pass)
    priors, findings = _priors(own, options, "priors" in changes)
    if data is None:
        findings += _left_out(own, earlier)
    return Again(own, table, spec.pooling, priors, how, findings, began)


def _merged(request: Request, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Put changes in place of what was asked, and leave out what has no part any more."""
    before = dict(request.options)
    method = changes.get("method", before.get("method"))
    if method in MAXIMISED:
        before = {k: v for k, v in before.items() if k not in OF_DRAWS}
    if method != "metropolis":
        before = {k: v for k, v in before.items() if k not in OF_METROPOLIS}
    if changes.get("draws", AUTO) != AUTO:
        before.pop("ess", None)
    if "family" in changes and changes["family"] != before.get("family"):
        before.pop("link", None)
    options = {k: v for k, v in {**before, **changes}.items() if v is not None}
    sigma = changes.get("sigma")
    if sigma is not None and isinstance(before.get("sigma"), str):
        options["sigma"] = updated(sigma, before["sigma"])
    return options


def _own_rows(
    earlier: Earlier, text: str, options: Mapping[str, Any]
) -> tuple[Table, dict[str, Any]]:
    """Give the rows that were fitted as a table, and roles that were given row by row.

    Raises
    ------
    InputError
        If there are none, or what is asked now uses a column that was not kept.
    """
    request, design = earlier.request, earlier.design
    assert request is not None
    if design is None:
        raise InputError(earlier.facts.lacking, remedy="give them as `data=`")
    columns: dict[str, Column] = dict(design.table.columns)
    per_row: dict[str, Any] = {}
    said = parse_formula(request.formula).roles
    for role in ROLES:
        values = design.roles.get(role)
        if role == "weights" and values is None:  # of shares, they are the trials
            values = design.roles.get("trials")
        own = [request.options.get(role), said.get(role)]
        for value in own:
            if isinstance(value, str) and value not in columns and values is not None:
                columns[value] = from_any(value, values)
        if options.get(role) is Kept.ROWS:
            if values is None or said.get(role) is not None:
                raise NotYetError(
                    f"`{role}` was given as one value a row beside that of the formula",
                    remedy=f"give it again, with `data=`, or `{role}=None`",
                )
            per_row[role] = values
    table = replace(design.table, columns=columns)
    _check_columns(table, text, options)
    return table, per_row


def _check_columns(table: Table, text: str, options: Mapping[str, Any]) -> None:
    """Refuse columns that the earlier fit did not use, so that it did not keep them."""
    terms = parse_formula(text)
    used = [*terms.columns]
    if isinstance(options.get("sigma"), str):
        used += parse_predictor(options["sigma"]).columns
    for role in ROLES:
        used += [*role_columns(options.get(role)), *role_columns(terms.roles.get(role))]
    missing = [name for name in dict.fromkeys(used) if name not in table.columns]
    if missing:
        names = ", ".join(f"`{short(name)}`" for name in missing)
        several = len(missing) > 1
        raise InputError(
            f"{names} {'are' if several else 'is'} not among the columns that the fit used, which "
            "are all that it kept",
            remedy="give the table as `data=`",
        )


def _as_before(posed: Posed, earlier: Earlier) -> Posed:
    """Count rows as in the table that the earlier fit was given."""
    old, new = earlier.design, posed.design
    assert old is not None
    design = replace(
        new,
        rows=old.rows[new.rows],
        n_dropped=old.n_dropped + new.n_dropped,
        dropped=np.concatenate([old.dropped, old.rows[new.dropped]]),
        n_zero_weight=old.n_zero_weight + new.n_zero_weight,
    )
    return replace(posed, design=design, source=earlier.facts.source)


def _priors(
    posed: Posed, options: Mapping[str, Any], given: bool
) -> tuple[dict[str, Prior | str], list[Finding]]:
    """Give the user's priors; of the earlier ones those of parameters that there still are."""
    priors = dict(options.get("priors") or {})
    if given or not priors:
        return priors, []
    known = known_keys(posed.pooled.design, posed.family)
    lost = [name for name in priors if name not in known]
    if not lost:
        return priors, []
    names = ", ".join(f"`{name}`" for name in lost)
    finding = Finding(
        "priors-left-out",
        "info",
        f"The prior{'s' * (len(lost) > 1)} that the earlier fit had for {names} "
        f"{'are' if len(lost) > 1 else 'is'} left out: this model has no such parameter.",
        "Give `priors=` to say all of them anew.",
    )
    return {name: prior for name, prior in priors.items() if name in known}, [finding]


def _left_out(posed: Posed, earlier: Earlier) -> list[Finding]:
    """Say that rows which the earlier fit left out may have all that this one uses."""
    old = earlier.design
    assert old is not None
    unused = [name for name in old.table.columns if name not in posed.design.table.columns]
    if not old.n_dropped or not unused:
        return []
    return [
        Finding(
            "rows-not-kept",
            "info",
            f"{old.n_dropped} rows that the earlier fit left out for missing values are left out "
            f"here too, also where only {', '.join(f'`{name}`' for name in unused)} was missing, "
            "which this model does not use.",
            "Give the table as `data=` to use all of its rows.",
        )
    ]
