"""A small interpreter of R's formulas: what `model.matrix` gives, by other means than the package.

Terms are sets of variables; a variable is computed by Python's own `eval` in a world of numpy
functions, and coded as R does: by contrasts if the term without it is in the model, else by a dummy
for every category.
"""

import itertools
import re

import numpy as np

INSIDE = r"(?:[^()]|\((?:[^()]|\([^()]*\))*\))*"
TOKEN = re.compile(rf"\s*(%in%|[-+*/:^()]|[A-Za-z.][\w.]*\({INSIDE}\)|[\w.]+)")


class Factor:
    """Categories in order, and each row's place among them."""

    def __init__(self, levels, codes, contrast="treatment"):
        self.levels, self.codes, self.contrast = list(levels), np.asarray(codes), contrast

    def __eq__(self, other):
        return np.array([self.levels[c] == str(other) for c in self.codes])

    def __ne__(self, other):
        return ~(self == other)

    __hash__ = None

    def dummies(self, full):
        k = len(self.levels)
        if full:
            basis = np.eye(k)
        elif self.contrast == "sum":
            basis = np.vstack([np.eye(k - 1), -np.ones(k - 1)])
        elif self.contrast == "helmert":
            basis = (
                np.tril(-np.ones((k, k)), -1).T[:, 1:] + np.diag(np.arange(k, dtype=float))[:, 1:]
            )
        elif self.contrast == "poly":
            scores = np.arange(k) - (k - 1) / 2
            q, r = np.linalg.qr(np.vander(scores, increasing=True))
            basis = (q * np.sign(np.diag(r)))[:, 1:]
        else:
            basis = np.eye(k)[:, 1:]
        return basis[self.codes]


def as_factor(x, levels=None):
    if isinstance(x, Factor):
        return x
    text = [
        str(int(v)) if isinstance(v, (float, np.floating)) and v == int(v) else str(v) for v in x
    ]
    numeric = all(re.fullmatch(r"-?[\d.]+", t) for t in text)
    found = sorted(set(text), key=float if numeric else None)
    found = [str(level) for level in levels] if levels is not None else found
    found = [level for level in found if level in text]
    return Factor(found, [found.index(t) for t in text])


def relevel(x, ref):
    x = as_factor(x)
    order = [str(ref)] + [level for level in x.levels if level != str(ref)]
    return Factor(order, [order.index(x.levels[c]) for c in x.codes])


def interaction(a, b):
    a, b = as_factor(a), as_factor(b)
    names = [f"{p}.{q}" for q in b.levels for p in a.levels]
    own = [f"{a.levels[i]}.{b.levels[j]}" for i, j in zip(a.codes, b.codes, strict=True)]
    found = [name for name in names if name in own]
    return Factor(found, [found.index(name) for name in own])


def cut(x, breaks):
    codes = np.array([max(k for k in range(len(breaks) - 1) if v > breaks[k]) for v in x])
    found = sorted(set(codes.tolist()))
    return Factor(found, [found.index(c) for c in codes])


def contrasted(x, contrast="treatment"):
    x = as_factor(x)
    return Factor(x.levels, x.codes, contrast)


def poly(x, degree, raw=False):
    if raw:
        return np.column_stack([x**k for k in range(1, degree + 1)])
    q, r = np.linalg.qr(np.vander(x - x.mean(), degree + 1, increasing=True))
    return (q * np.sign(np.diag(r)))[:, 1:]


def scale(x, center=True, scale=True):
    x = x - x.mean() if center else x
    return x / np.sqrt((x**2).sum() / (len(x) - 1)) if scale else x


WORLD = {
    **{name: getattr(np, name) for name in ("exp", "sqrt", "abs", "sin", "cos", "log1p")},
    "log": lambda x, base=np.e: np.log(x) / np.log(base),
    "pi": 3.141592653589793,
    "np": np,
    "I": lambda x: x,
    "pmin": np.minimum,
    "pmax": np.maximum,
    "ifelse": lambda c, a, b: np.where(c, a, b) if not isinstance(a, str) else as_factor(
        np.where(c, a, b)),
    "as_numeric": lambda x: np.asarray(x, dtype=float),
    "mean": np.mean,
    "sd": lambda x: np.std(x, ddof=1),
    "TRUE": True,
    "FALSE": False,
    "Inf": np.inf,
    "c": lambda *values: list(values),
    "factor": as_factor,
    "as_factor": as_factor,
    "relevel": relevel,
    "interaction": interaction,
    "cut": cut,
    "C": contrasted,
    "contr_sum": "sum",
    "contr_helmert": "helmert",
    "contr_poly": "poly",
    "poly": poly,
    "scale": scale,
    "isin": lambda x, values: np.isin(
        np.array(x.levels)[x.codes] if isinstance(x, Factor) else x, values),
}  # fmt: skip


def variable(text, data):
    """A variable's columns: a Factor, or an array (n,) or (n, k)."""
    code = text.replace("^", "**")
    code = re.sub(r"(\w+) %in% (c\([^)]*\))", r"isin(\1, \2)", code)
    code = re.sub(r"\b(as|contr)\.(\w+)", r"\1_\2", code).replace("my.x", "my_x")
    names = {name.replace(".", "_"): values for name, values in data.items()}
    value = eval(code, {"__builtins__": {}}, {**WORLD, **names})
    if isinstance(value, Factor):
        return value
    value = np.asarray(value)
    if value.dtype.kind in "UO":
        return as_factor(value)
    return Factor([False, True], value.astype(int)) if value.dtype == bool else value.astype(float)


def expand(text):
    """The terms of a right-hand side, by degree, and whether there is an intercept."""
    tokens = TOKEN.findall(text)
    at = 0

    def peek():
        return tokens[at] if at < len(tokens) else ""

    def take():
        nonlocal at
        at += 1
        return tokens[at - 1]

    def joined(left, right):
        return unique([a + tuple(v for v in b if v not in a) for a in left for b in right])

    def unique(terms):
        seen, out = set(), []
        for term in terms:
            if frozenset(term) not in seen:
                seen.add(frozenset(term))
                out.append(term)
        return out

    def atom():
        token = take()
        if token == "(":
            inside = total()
            take()
            return inside
        return [()] if token == "1" else [(token,)]

    def power():
        base = atom()
        while peek() == "^":
            take()
            out = base
            for _ in range(int(take()) - 1):
                out = unique(joined(out, base))
            base = out
        return base

    def pairs():
        left = power()
        while peek() in (":", "%in%"):
            take()
            left = joined(left, power())
        return left

    def product():
        left = pairs()
        while peek() in ("*", "/"):
            if take() == "*":
                right = pairs()
                left = unique(left + right + joined(left, right))
            else:
                right = pairs()
                whole = tuple(dict.fromkeys(v for term in left for v in term))
                left = unique(left + joined([whole], right))
        return left

    def total():
        nonlocal intercept
        terms, sign = [], "+"
        if peek() in ("+", "-"):
            sign = take()
        while True:
            if peek() == "0":
                take()
                intercept = sign == "-"
            elif peek() == "1":
                take()
                intercept = sign == "+"
            else:
                new = product()
                gone = {frozenset(term) for term in new}
                terms = unique(terms + new) if sign == "+" else [
                    t for t in terms if frozenset(t) not in gone]  # fmt: skip
            if peek() not in ("+", "-"):
                return terms
            sign = take()

    intercept = True
    terms = sorted(total(), key=len)
    return terms, intercept


def model_matrix(text, data):
    """R's matrix of a right-hand side."""
    terms, intercept = expand(text)
    n = len(next(iter(data.values())))
    known = {frozenset(term) for term in terms} | {frozenset()}
    values = {name: variable(name, data) for term in terms for name in term}
    factors = [(term, name) for term in terms for name in term if isinstance(values[name], Factor)]
    # Without an intercept, the first factor that is found is coded fully.
    fully = set() if intercept else set(factors[:1])
    blocks = [np.ones((n, 1))] * intercept
    for term in terms:
        block = np.ones((n, 1))
        for name in term:
            part = values[name]
            if isinstance(part, Factor):
                margin = frozenset(term) - {name}
                part = part.dummies(margin not in known or (term, name) in fully)
            part = part.reshape(n, -1)
            columns = itertools.product(range(part.shape[1]), range(block.shape[1]))
            block = np.column_stack([block[:, i] * part[:, j] for j, i in columns])
        blocks.append(block)
    return np.column_stack(blocks) if blocks else np.empty((n, 0))


def is_hierarchical(text):
    """Whether every margin of every term is in the model: then R's columns are without surplus."""
    terms, intercept = expand(text)
    known = {frozenset(term) for term in terms}
    return intercept and all(
        frozenset(part) in known
        for term in terms
        for k in range(1, len(term))
        for part in itertools.combinations(term, k)
    )
