"""What parameters are called: their names are built and read here, and nowhere else.

A name is an array and, in brackets, a place in it: ``b[x]``, ``sd_county[Intercept]``,
``cor_county[Intercept,x]``, ``coef_county[AITKIN,x]``, ``threshold[1]``, ``b_sigma[x]``, ``sigma``.
"""

from __future__ import annotations

from typing import Literal

Kind = Literal["b", "sd", "cor", "r", "coef", "threshold", "other"]
MEAN = "mu"
"""The linear predictor whose parameters are not called after it."""


def group(predictor: str, factor: str) -> str:
    """Name what the parameters of a factor's terms in a linear predictor are called after.

    Examples
    --------
    >>> group("mu", "county"), group("sigma", "county")
    ('county', 'sigma_county')
    """
    return factor if predictor == MEAN else f"{predictor}_{factor}"


def element(array: str, place: str) -> str:
    """Name what stands at a place in an array or, without a place, the array."""
    return f"{array}[{place}]" if place else array


def b(term: str = "", predictor: str = MEAN) -> str:
    """Name a population coefficient of a linear predictor or, without a term, all of them.

    Examples
    --------
    >>> b("x"), b("x", "sigma"), b(predictor="sigma")
    ('b[x]', 'b_sigma[x]', 'b_sigma')
    """
    return element("b" if predictor == MEAN else f"b_{predictor}", term)


def sd(of: str, term: str = "") -> str:
    """Name the sd of a coefficient over the levels of a group or, without a term, all of them."""
    return element(f"sd_{of}", term)


def cor(of: str, both: str = "") -> str:
    """Name the correlation of two coefficients of a group or, without these, all of them.

    Examples
    --------
    >>> cor("county"), cor("county", pair("Intercept", "x"))
    ('cor_county', 'cor_county[Intercept,x]')
    """
    return element(f"cor_{of}", both)


def pair(one: str, other: str) -> str:
    """Name two coefficients that go together."""
    return f"{one},{other}"


def r(of: str) -> str:
    """Name the deviations of all levels of a group from the population."""
    return f"r_{of}"


def coef(of: str, term: str = "") -> str:
    """Name a coefficient of all levels of a group or, without a term, all of them."""
    return element(f"coef_{of}", term)


def at_level(array: str, level: object, term: str) -> str:
    """Name what one level has of an array, as of those of :func:`r` and :func:`coef`.

    Examples
    --------
    >>> at_level(coef("county"), "AITKIN", "x")
    'coef_county[AITKIN,x]'
    """
    return f"{array}[{level},{term}]"


def threshold(k: int) -> str:
    """Name a threshold between ordered categories, from 1."""
    return f"threshold[{k}]"


def array_of(name: str) -> str:
    """Name the array that a parameter is in.

    Examples
    --------
    >>> array_of("sd_county[x]"), array_of("sigma")
    ('sd_county', 'sigma')
    """
    return name.partition("[")[0]


def place_of(name: str) -> str:
    """Give what stands in the brackets of a name; empty without them.

    Examples
    --------
    >>> place_of("cor_county[Intercept,x]"), place_of("sigma")
    ('Intercept,x', '')
    """
    return name[len(array_of(name)) :].removeprefix("[").removesuffix("]")


def kind_of(name: str) -> Kind:
    """Tell what a parameter is; ``"other"`` is what describes responses around their means.

    Examples
    --------
    >>> kind_of("b[x]"), kind_of("b_sigma[x]"), kind_of("sd_sigma_county"), kind_of("shape")
    ('b', 'b', 'sd', 'other')
    """
    array = array_of(name)
    if array in ("b", "threshold"):
        return array  # type: ignore[return-value]
    kind, _, rest = array.partition("_")
    return kind if rest and kind in ("b", "sd", "cor", "r", "coef") else "other"  # type: ignore[return-value]


def aliases(name: str) -> list[str]:
    """Tell what else users call a parameter: as brms does, or by its column alone.

    Examples
    --------
    >>> aliases("b[x]"), aliases("b_sigma[x]")
    (['x', 'b_x'], ['sigma_x', 'b_sigma_x'])
    >>> aliases("sd_id[x]"), aliases("threshold[1]")
    (['sd_id__x'], ['Intercept[1]', 'b_Intercept[1]'])
    >>> aliases("cor_id[Intercept,x]")
    ['cor_id[x,Intercept]', 'cor_id__Intercept__x', 'cor_id__x__Intercept']
    """
    array, place, kind = array_of(name), place_of(name), kind_of(name)
    if kind == "threshold":
        return [element(own, place) for own in ("Intercept", "b_Intercept")]
    if kind == "b":
        predictor = array.partition("_")[2]
        return [f"{predictor}_{place}" if predictor else place, f"{array}_{place}"]
    if kind == "sd":
        return [f"{array}__{place}"]
    if kind == "cor" and place.count(",") == 1:
        one, other = place.split(",")
        swapped = element(array, pair(other, one))
        return [swapped, f"{array}__{one}__{other}", f"{array}__{other}__{one}"]
    return []
