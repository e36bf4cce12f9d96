"""The families that there are, what other packages call them, and those that are not there yet."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal

from partialpool.errors import InputError, NotYetError, did_you_mean, short, shown

from .binary import BERNOULLI, BINOMIAL
from .continuous import GAUSSIAN, LOGNORMAL, STUDENT_T
from .counts import (
    HURDLE_NEGBINOMIAL,
    HURDLE_POISSON,
    NEGBINOMIAL,
    POISSON,
    ZERO_INFLATED_NEGBINOMIAL,
    ZERO_INFLATED_POISSON,
)
from .family import Family
from .ordered import CUMULATIVE
from .positive import EXPONENTIAL, GAMMA, WEIBULL
from .shares import BETA

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        GAUSSIAN,
        STUDENT_T,
        LOGNORMAL,
        BERNOULLI,
        BINOMIAL,
        POISSON,
        NEGBINOMIAL,
        GAMMA,
        EXPONENTIAL,
        WEIBULL,
        BETA,
        CUMULATIVE,
        ZERO_INFLATED_POISSON,
        ZERO_INFLATED_NEGBINOMIAL,
        HURDLE_POISSON,
        HURDLE_NEGBINOMIAL,
    )
}
DEFAULT = GAUSSIAN
"""The family where none is named."""
# For type checkers, who cannot read the list.
FamilyName = Literal[
    "gaussian",
    "student_t",
    "lognormal",
    "bernoulli",
    "binomial",
    "poisson",
    "negbinomial",
    "gamma",
    "exponential",
    "weibull",
    "beta",
    "cumulative",
    "zero_inflated_poisson",
    "zero_inflated_negbinomial",
    "hurdle_poisson",
    "hurdle_negbinomial",
]

# The same family under another name, in lower case, without `_`, `.` and `-`.
_CALLED = {
    "normal": "gaussian",
    **dict.fromkeys(("t", "student", "studentt"), "student_t"),
    **dict.fromkeys(
        ("negbin", "negativebinomial", "nb", "nb2", "nbinom", "nbinom2"), "negbinomial"
    ),
    **dict.fromkeys(("negbinomial2", "negbinom", "negativebinomial2"), "negbinomial"),
    **dict.fromkeys(("betafamily", "betar"), "beta"),
    **dict.fromkeys(("zip", "zipoisson"), "zero_inflated_poisson"),
    **dict.fromkeys(("zinb", "zinegbinomial", "zinbinom2"), "zero_inflated_negbinomial"),
    **dict.fromkeys(
        ("zeroinflatednegativebinomial", "zeroinflatednbinom2", "zinegativebinomial"),
        "zero_inflated_negbinomial",
    ),
    **dict.fromkeys(("hurdlenegativebinomial", "hurdlenbinom2"), "hurdle_negbinomial"),
}
# Where the family is not all that the name says.
_MEANT = {
    **dict.fromkeys(("logistic", "logit", "probit", "binary", "cloglog"), "bernoulli"),
    **dict.fromkeys(("ordinal", "ordered", "polr", "clm", "cratio"), "cumulative"),
    "count": "poisson",
}
_NORMAL = 'use "gaussian", or "student_t" for values far out'
_COUNTS = 'use "negbinomial", whose variance also exceeds the mean'
_ZEROS = 'use "gamma" or "lognormal" for the positive values, and "bernoulli" for which are 0'
_ORDER = (
    'use "cumulative" if the categories have an order, or "bernoulli" for each against the rest'
)
# Families of brms, glmmTMB, Bambi and R that are not there → what comes nearest.
_NOT_YET: dict[str, str] = {
    **dict.fromkeys(
        ("betabinomial", "betabinomial2", "quasibinomial"),
        'use "binomial" with a term `(1 | row)` of a column that numbers the rows',
    ),
    **dict.fromkeys(("skewnormal", "exgaussian", "asymlaplace", "laplace", "cauchy"), _NORMAL),
    **dict.fromkeys(("gumbel", "genextremevalue", "logistica", "huber"), _NORMAL),
    **dict.fromkeys(("categorical", "multinomial", "dirichlet", "dirichletmultinomial"), _ORDER),
    **dict.fromkeys(("sratio", "acat", "adjacent", "stoppingratio"), 'use "cumulative"'),
    **dict.fromkeys(("compoisson", "compois", "genpois", "generalizedpoisson"), _COUNTS),
    **dict.fromkeys(("nbinom1", "nbinom12", "nb1", "negbinomial1", "geometric"), _COUNTS),
    **dict.fromkeys(("bell", "discreteweibull", "poissonlognormal", "skellam"), _COUNTS),
    "quasipoisson": _COUNTS,
    **dict.fromkeys(
        ("tweedie", "hurdlegamma", "hurdlelognormal", "zigamma", "zilognormal", "ziGamma".lower()),
        _ZEROS,
    ),
    **dict.fromkeys(
        (
            *("truncatedpoisson", "truncatednbinom2", "truncatednbinom1", "truncatedcompois"),
            *("zerotruncatedpoisson", "zerotruncatednegbinomial", "truncatedgenpois"),
        ),
        'use a "hurdle_poisson" or "hurdle_negbinomial" if there are zeros too',
    ),
    **dict.fromkeys(("zeroinflatedbinomial", "zibinomial", "zeroinflatedbetabinomial"),
                    'use "binomial" with a term `(1 | row)` of a column that numbers the rows'),
    **dict.fromkeys(
        (
            *("zeroinflatedbeta", "zerooneinflatedbeta", "zoib", "zoibeta", "ordbeta", "xbeta"),
            *("zeroinflatedasymlaplace", "hurdlecumulative", "logisticnormal", "kumaraswamy"),
        ),
        'use "beta" for shares strictly between 0 and 1',
    ),
    **dict.fromkeys(("inversegaussian", "wald", "frechet", "invgaussian", "gengamma"),
                    'use "gamma", "lognormal" or "weibull"'),
    **dict.fromkeys(("cox", "survival", "wiener", "shiftedlognormal", "loglogistic"),
                    'use "weibull", "gamma" or "lognormal" for complete waiting times'),
    **dict.fromkeys(("vonmises", "mixture", "custom", "quasi", "gaussianmixture"), ""),
}  # fmt: skip
# By a family's first link: links that it has elsewhere.
_LINKS: dict[str, tuple[str, ...]] = {
    "identity": ("log", "inverse", "sqrt", "softplus", "squareplus"),
    "log": ("identity", "sqrt", "inverse", "1/mu^2", "log1p", "softplus", "squareplus"),
    "logit": ("identity", "log", "cauchit", "cloglog", "loglog", "probit_approx", "softit"),
}
_CALL = re.compile(r"\s*([\w.\-]+)\s*\(\s*(?:link\s*=\s*)?[\"']?([\w^/.]*)[\"']?\s*\)\s*")


def family_of(name: str, link: str | None = None) -> tuple[Family, str]:
    """Return a family and its link (the default link where none is given).

    Parameters
    ----------
    name : str
        Ours, or what other packages call it.
    link : str, optional
        The name of a link.

    Raises
    ------
    InputError
        If there is no such family, or it has no such link.

    Examples
    --------
    >>> family_of("bernoulli", "probit")[1]
    'probit'
    """
    own, asked = read_family(name, link)
    family = FAMILIES[own]
    if asked is None:
        return family, family.links[0]
    check_link(own, asked, family.links)
    return family, asked


def read_family(name: object, link: object) -> tuple[str, str | None]:
    """Return our name of a family, and the link that was asked for, if any.

    Parameters
    ----------
    name : str
        Ours, or what others call it: ``"nbinom2"``, ``"Gamma"``, ``"binomial(link='probit')"``.
    link : str or None
        As it was given beside the family.

    Raises
    ------
    InputError
        If there is no such family; it is a NotYetError if other packages have it.

    Examples
    --------
    >>> read_family("binomial(link = 'probit')", None)
    ('binomial', 'probit')
    """
    if not isinstance(name, str):
        raise InputError(
            f"`family` is {shown(name)}", remedy='give its name as text, such as "poisson"'
        )
    call = _CALL.fullmatch(name)
    asked = call[1] if call else name
    if call and call[2]:
        if link is not None and link != call[2]:
            raise InputError(f"`{short(name)}` and `link` name two links", remedy="give one")
        link = call[2]
    if link is not None and not isinstance(link, str):
        raise InputError(f"`link` is {shown(link)}", remedy='give its name as text, as "probit"')
    if asked in FAMILIES:
        return asked, link
    plain = re.sub(r"[\s_.\-]", "", asked).lower()
    ours = {re.sub("_", "", one): one for one in FAMILIES}
    if plain in ours or plain in _CALLED:
        return ours.get(plain) or _CALLED[plain], link
    if plain in _NOT_YET:
        raise NotYetError(
            f"the family `{short(asked)}` is not there yet", remedy=_NOT_YET[plain] or None
        )
    meant = _MEANT.get(plain)
    remedy = f"did you mean `{meant}`?" if meant else did_you_mean(asked, FAMILIES)
    if not remedy.startswith("did"):
        remedy = f"choose one of {', '.join(f'`{one}`' for one in FAMILIES)}"
    raise InputError(f"unknown family `{short(asked)}`", remedy=remedy)


def check_link(family: str, link: str, links: Collection[str]) -> None:
    """Refuse a link that a family does not have.

    Raises
    ------
    InputError
        It is a NotYetError if other packages have it.
    """
    if link in links:
        return
    links = tuple(links)
    if link in _LINKS.get(links[0], ()):
        has = ", ".join(f"`{one}`" for one in links)
        raise NotYetError(
            f"the link `{link}` of the family `{family}` is not there yet", remedy=f"choose {has}"
        )
    raise InputError(f"`{family}` has no link `{short(link)}`", remedy=did_you_mean(link, links))
