"""What is asked of a model, and the table as its formula sees it."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any, TypedDict

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from partialpool.checks import check_mapping
from partialpool.cluster import opened
from partialpool.design import Design, build_design
from partialpool.design.roles import ROLES, Expression, join_roles
from partialpool.errors import InputError, NotYetError
from partialpool.families.family import Family
from partialpool.families.known import FAMILIES, FamilyName, family_of
from partialpool.families.links import LinkName
from partialpool.formula import Terms, parse_formula, parse_predictor
from partialpool.formula.names import quoted
from partialpool.model.pooling import Pooled, Pooling, check_pooling, pool
from partialpool.priors import Prior
from partialpool.scan.choose import one_pass_design
from partialpool.scan.scan import Watch
from partialpool.scan.wanted import Wanted

SOME_PRIORS = '{"sigma": pp.Exponential(1)}'


class ModelOptions(TypedDict, total=False):
    """Options of :func:`partialpool.fit` that are about the model; None is as if not given."""

    family: FamilyName
    link: LinkName | None
    sigma: str | None
    se: Any
    weights: Any
    offset: Any
    exposure: Any
    trials: Any


class Spec(Struct, frozen=True):
    """What is asked of a model, as the user says it.

    Attributes
    ----------
    formula, family, link, sigma, se, weights, offset, exposure, trials, pooling, priors
        As in :func:`partialpool.fit`.

    Raises
    ------
    InputError
        If `pooling` or `priors` are nothing of the kind.
    """

    formula: str
    family: str = "gaussian"
    link: str | None = None
    sigma: str | None = None
    se: Any = None
    weights: Any = None
    offset: Any = None
    exposure: Any = None
    trials: Any = None
    pooling: Pooling = "partial"
    priors: Mapping[str, Prior | str] | None = None

    def __post_init__(self) -> None:
        check_pooling(self.pooling)
        check_mapping("priors", self.priors, SOME_PRIORS)

    def check(self) -> None:
        """Refuse a family or formula that cannot be, before any table is opened."""
        family_of(self.family, self.link)
        parse_formula(self.formula)


class Posed(Struct, frozen=True, eq=False):
    """A table as a formula sees it, with the family of its response.

    Attributes
    ----------
    roles : dict of str
        What was given beside the formula, in words.
    """

    spec: Spec
    design: Design
    source: str
    family: Family
    link: str
    roles: dict[str, str]

    def pool(self, pooling: Pooling) -> Pooled:
        """Give the design as a pooling sees it."""
        return pool(self.design, pooling, self.family, self.link)

    @property
    def pooled(self) -> Pooled:
        """The design as the pooling that was asked for sees it."""
        return self.pool(self.spec.pooling)


class OnePass(Struct, frozen=True):
    """Whether a table is read in one pass, of which only sums are kept.

    Attributes
    ----------
    asked : bool or None
        Whether it should be; None where it is for a large table, if the model allows it.
    obstacle : str or None
        Why not, whatever the model.
    watch : callable, optional
        Told how many rows were read, and how many there are to read.
    large : bool
        Whether to take any table for a large one.
    """

    asked: bool | None = False
    obstacle: str | None = None
    watch: Watch = None
    large: bool = False


def pose(spec: Spec, data: Any, one_pass: OnePass | None = None) -> Posed:
    """Read a table as a formula sees it, and check that the family can give its responses.

    Raises
    ------
    InputError
        If formula, data, family and roles cannot be used together; it says what to do.
    """
    family, link = family_of(spec.family, spec.link)
    terms = parse_formula(spec.formula)
    roles = join_roles(terms, {role: getattr(spec, role) for role in ROLES})
    _check_roles(spec, terms, family, link, roles)
    second = None if spec.sigma is None else parse_predictor(spec.sigma)
    unknown = "trials" in family.roles and roles["trials"] is None
    # As R has it: without trials, weights of a binomial response are the trials of its shares.
    shares = unknown and roles["weights"] is not None
    if shares:
        roles |= {"trials": roles["weights"], "weights": None}
    single = unknown and not shares  # true or false, or 0 or 1
    source = opened(data)
    given = {role: value for role, value in roles.items() if value is not None}
    if one_pass is not None:
        obstacle = one_pass.obstacle or _needs_rows(spec, family)
        wanted = Wanted(terms, given)
        asked, watch = one_pass.asked, one_pass.watch
        summed = one_pass_design(wanted, source, asked, obstacle, watch, large=one_pass.large)
        if summed is not None:
            return Posed(spec, summed, source.source, family, link, _words(given))
    design = build_design(
        terms,
        source,
        response="binary" if single else family.response,
        sigma=second,
        shares=shares,
        **roles,
    )
    design = replace(design, y=family.settled(design.y))
    if single:
        family = _without_trials(terms, family, design)
    family.check(design.response, design.y, design.trials, design.rows, _named(roles["trials"]))
    return Posed(spec, design, source.source, family, link, _words(given))


def _words(given: Mapping[str, Any]) -> dict[str, str]:
    return {role: _shown(value) for role, value in given.items()}


def _needs_rows(spec: Spec, family: Family) -> str | None:
    """Say why sums over the rows are not enough for a model, if so."""
    if not family.conjugate:
        return f"the {family.name} family is not Gaussian, so that sums over rows do not suffice"
    if spec.sigma is not None:
        return "`sigma` has a formula of its own, so that sums over rows do not suffice"
    return None


def _check_roles(
    spec: Spec, terms: Terms, family: Family, link: str, roles: Mapping[str, Any]
) -> None:
    """Refuse what was given beside the formula and has no part in the family's model."""
    if spec.sigma is not None and not family.has_sigma:
        raise InputError(
            f"`sigma` has a formula, but the {spec.family} family has no residual sd",
            remedy="leave it out, or use gaussian, student_t or lognormal",
        )
    if roles["se"] is not None and "se" not in family.roles:
        raise InputError(
            f"`se` is given, but the family is {spec.family}",
            remedy="known standard errors belong to the gaussian family",
        )
    if roles["se"] is not None and spec.sigma is not None:
        raise InputError("both `se` and a formula of `sigma` are given", remedy="give one of them")
    if roles["exposure"] is not None and link != "log":
        raise InputError(
            f"`exposure` is given, but the link is {link}",
            remedy="exposure needs a log link, such as that of poisson; see `offset`",
        )
    assert terms.left is not None  # parse_formula saw to it
    if terms.left.counts and "trials" not in family.roles:
        raise InputError(
            f"`{terms.response}` counts successes among trials, and the family is {family.name}",
            remedy='use family="binomial"',
        )
    if "weights" in terms.left.roles and not family.weights_count_rows:
        raise NotYetError(
            f"`{terms.response}` counts a row as often as its weight says, which this version "
            f"cannot do for the {family.name} family",
            remedy="repeat the rows or, for precision weights as those of lme4, give the column as "
            "`weights=`",
        )


def _without_trials(terms: Terms, family: Family, design: Design) -> Family:
    """Give the family of responses of a binomial model to which no trials were given."""
    assert terms.left is not None
    if terms.left.ratio:
        raise InputError(
            f"`{terms.response}` is a share of trials, and their number is not given",
            remedy="give the column below the line as `weights=`, or the counts with `trials=`",
        )
    if family.one_trial and np.isin(design.y, (0.0, 1.0)).all():  # one trial a row, as in R
        return FAMILIES[family.one_trial]
    return family


def _named(trials: Any) -> str | None:
    """Name trials as a formula would."""
    if isinstance(trials, numbers.Real):
        return str(trials)
    return quoted(trials) if isinstance(trials, str) else None


def _shown(role: Any) -> str:
    """Name what a role was given as: a column, a number, an expression, or one value a row."""
    if isinstance(role, Expression) and role.added is None:
        return role.factor.label
    return str(role) if isinstance(role, (str, int, float)) else "one value a row"
