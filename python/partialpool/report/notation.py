"""A model in mathematical notation: MathML, which browsers set without help."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from partialpool import called
from partialpool.draws.posterior import Posterior
from partialpool.model import Group, Model
from partialpool.model.defaults import INTERCEPT
from partialpool.report.markup import Html, element, joined

# Columns up to which a sum is written out.
WRITTEN_OUT = 8
GREEK = {"sigma": "σ", "nu": "ν", "phi": "φ", "mu": "μ"}
UNIT = element("mn", "1")


def name(text: str) -> Html:
    """Write what a user calls something, or a word; one letter is set as a variable."""
    text = GREEK.get(text, text)
    return element("mi", text) if len(text) == 1 else element("mtext", text)


def sign(text: str) -> Html:
    """Write an operator or a bracket."""
    return element("mo", text, stretchy="false", form="infix" if text in "+−=∼" else None)


def under(what: str, *below: Html) -> Html:
    """Give something a subscript."""
    marks = []
    for k, one in enumerate(below):
        marks += [sign(","), one] if k else [one]
    return element("msub", name(what), element("mrow", *marks))


def math(*inside: str) -> Html:
    """Close a piece that is not broken between lines."""
    return element("math", element("mrow", *inside))


def equation(*pieces: Sequence[str]) -> Html:
    """Set an equation whose pieces may stand on several lines, as a narrow page needs it."""
    return element("p", Html(" ".join(math(*piece) for piece in pieces)), class_="equation")


ROW = name("i")


def of_row(what: str) -> Html:
    """What a row has."""
    return under(what, ROW)


def equations(fit: Posterior) -> Html:
    """Write the model: distribution of a row, linear predictors, distributions of levels."""
    model = fit.model
    found = [*_responses(fit), *_second(model)]
    for group in model.groups:
        found += _levels(group, _prefix(model, group))
    return element("div", *found, class_="equations")


def _responses(fit: Posterior) -> Iterator[Html]:
    """How a row's response is distributed, and its linear predictor."""
    model = fit.model
    y, mu = of_row("y"), of_row("mu")
    if model.categories:
        k = name("k")
        low = (sign("Pr("), y, sign("≤"), k, sign(")"))
        high = (sign("("), under("threshold", k), sign("−"), mu, sign(")"))
        inverse = element("msup", name(model.link), element("mrow", sign("−"), UNIT))
        yield equation((*low, sign("=")), (inverse, *high))
    else:
        yield equation((y, sign("∼"), *_distribution(fit)))
    pieces = list(_predictor(model, "mu", fit.provenance.roles))
    left: tuple[Html, ...] = (mu, sign("="))
    if model.link != "identity" and not model.categories:
        left = (name(model.link), sign("("), mu, sign(")"), sign("="))
    yield equation((*left, *pieces[0]), *pieces[1:])


def _distribution(fit: Posterior) -> Iterator[Html]:
    """Set a family's notation, with the parameters in their places."""
    model, roles = fit.model, fit.provenance.roles
    sigma = of_row("sigma") if model.sigma_formula else name("sigma")
    if model.known_errors:
        sigma = _role(roles.get("se", ""), "se")
    elif "weights" in roles and not model.family.weights_count_rows:
        sigma = element("mfrac", sigma, element("msqrt", _role(roles["weights"], "weight")))
    places = {"mean": of_row("mu"), "sigma": sigma, "trials": _role(roles.get("trials", ""), "n")}
    for token in re.findall(r"\{\w+\}|\w+|[(),]|−", model.family.notation):
        inside = token.strip("{}")
        if token.startswith("{"):
            yield places.get(inside, name(inside))
        elif token in "(),−":
            yield sign(token)
        elif token.isdigit():
            yield element("mn", token)
        else:
            yield element("mtext", f"{' ' * token[0].islower()}{token}{' ' * token[0].islower()}")


def _role(text: str, otherwise: str) -> Html:
    """Write what was given beside the formula: a number, or a column, which may have no name."""
    if re.fullmatch(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?", text):
        return element("mn", text)
    return of_row(text if text and " " not in text else otherwise)


def _second(model: Model) -> Iterator[Html]:
    """The linear predictor of log sigma."""
    if model.sigma_formula:
        first, *rest = _predictor(model, "sigma", {})
        yield equation((name("log"), of_row("sigma"), sign("="), *first), *rest)


def _predictor(model: Model, predictor: str, roles: dict[str, str]) -> Iterator[tuple[Html, ...]]:
    """Summands of a linear predictor: population, groups, offsets."""
    parts = [*_population(model, predictor)]
    for group in model.groups:
        if group.predictor == predictor:
            level = joined(name(group.factor), sign("["), ROW, sign("]"))
            array = "r" if group.known_sd is None else "coef"
            of = _prefix(model, group)
            parts += [_summand(array, term, *of, level=level) for term in group.terms]
    parts += [(_role(roles["offset"], "offset"),)] if "offset" in roles else []
    if "exposure" in roles:
        parts.append((name("log"), _role(roles["exposure"], "exposure")))
    for k, part in enumerate(parts or [(element("mn", "0"),)]):
        yield (sign("+"), *part) if k else tuple(part)


def _population(model: Model, predictor: str) -> Iterator[tuple[Html, ...]]:
    columns = list(model.columns) if predictor == "mu" else _columns_of_sigma(model)
    array = called.b(predictor=predictor).replace("_sigma", "σ") if predictor != "mu" else "b"
    if len(columns) <= WRITTEN_OUT:
        for column in columns:
            yield _summand(array, column)
        return
    if INTERCEPT in columns:
        yield _summand(array, INTERCEPT)
    k, last = name("k"), str(len(columns) - (INTERCEPT in columns))
    total = element(
        "munderover", sign("∑"), element("mrow", k, sign("="), UNIT), element("mn", last)
    )
    yield (total, under(array, k), under("x", ROW, k))


def _columns_of_sigma(model: Model) -> list[str]:
    array = called.b(predictor="sigma")
    return [called.place_of(key) for key in model.priors if called.array_of(key) == array]


def _summand(array: str, term: str, *of: Html, level: Html | None = None) -> tuple[Html, ...]:
    """Write a coefficient times its column; that of the intercept stands alone."""
    below = [*of, element("mtext", term)] + ([] if level is None else [level])
    coefficient = under(array, *below)
    return (coefficient,) if term == INTERCEPT else (coefficient, under(term, ROW))


def _prefix(model: Model, group: Group) -> tuple[Html, ...]:
    """Tell groups apart by their names, where there are several."""
    return (element("mtext", group.name),) if len(model.groups) > 1 else ()


def _levels(group: Group, of: tuple[Html, ...]) -> Iterator[Html]:
    """How the levels of a factor are distributed; without pooling their priors are fixed."""
    if group.known_sd is not None:
        return
    j = name("j")
    every = (j, sign("="), UNIT, sign("…"), element("mn", str(len(group.levels))))
    zero, terms = element("mn", "0"), {t: element("mtext", t) for t in group.terms}
    sds = [under("sd", *of, terms[term]) for term in group.terms]
    own = [under("r", *of, terms[term], j) for term in group.terms]
    if not group.pairs:
        for level, sd in zip(own, sds, strict=True):
            single = (level, sign("∼"), element("mtext", "Normal"))
            yield equation((*single, sign("("), zero, sign(","), sd, sign(")")), every)
        return
    sigma = under("Σ", element("mtext", group.name))
    normal = (_vector(own), sign("∼"), element("mtext", "Normal"), sign("("), zero, sign(","))
    yield equation((*normal, sigma, sign(")")), every)
    diagonal = joined(element("mtext", "diag"), _vector(sds))
    cor = under("C", element("mtext", group.name))
    yield equation((sigma, sign("="), diagonal), (cor,), (diagonal,))


def _vector(items: Sequence[Html]) -> Html:
    """List items in brackets; of many the first and the last."""
    items = [items[0], sign("…"), items[-1]] if len(items) > 4 else items
    return _listed(items)


def _listed(items: Sequence[Html]) -> Html:
    inside = [items[0]]
    for one in items[1:]:
        inside += [sign(","), one]
    return joined(sign("("), *inside, sign(")"))


def legend(fit: Posterior) -> list[str]:
    """Say in words what the symbols stand for, a sentence each."""
    model = fit.model
    found = [
        f"y is `{model.response}`; i counts the {model.n_rows} rows, and b holds the coefficients "
        "of the population."
    ]
    for factor, n in {g.factor: len(g.levels) for g in model.groups}.items():
        found.append(f"{factor}[i] is the level of `{factor}` that row i belongs to, one of {n}.")
    pooled = [group for group in model.groups if group.known_sd is None]
    if pooled:
        found.append(
            "r is how far a level lies from the population"
            + (", sd how much levels differ" if pooled else "")
            + (
                ", and C how their coefficients go together (their correlations)."
                if any(group.pairs for group in pooled)
                else "."
            )
        )
    if any(group.known_sd is not None for group in model.groups):
        found.append("coef is a level's own coefficient, with a fixed prior: there is no pooling.")
    if any(_partly(group) for group in pooled):
        found.append("Coefficients of different group terms of a factor are independent.")
    columns = len(model.columns)
    if columns > WRITTEN_OUT:
        listed = ", ".join(f"`{column}`" for column in model.columns if column != INTERCEPT)
        found.append(f"x holds the columns {listed}.")
    matrix = ", or a covariance matrix" * any(group.pairs for group in pooled)
    found.append(f"Normal has a mean and an sd{matrix}.")
    return found


def _partly(group: Group) -> bool:
    """Whether some of the coefficients of a factor correlate, and not all."""
    q = len(group.terms)
    return 0 < len(group.pairs) < int(np.arange(q).sum())
