"""Random tables: columns of every kind, clean and messy, in everything that holds a table."""

import datetime
import decimal

import numpy as np
import pandas as pd

LABELS = ["a", "b", " b", "B", "c d", "é", "日本", "1", "01", "1E1", "10", "NA", "", "a:b", "x]y"]
LABELS += ["a/b", "it's", '"q"', "<b>", "=1+1", "Ω", "-", "null", "True", "a,b", "0", "nan", "\t"]
NAMES = ["x", "z", "w", "g", "h", "day", "a b", "x.y", "é", "class", "mean", "sd", "lower", "row"]
NAMES += ["chain", "draw", "sigma", "b", "term", "x[1]", "a/b", "1st", "C", "Intercept", "level"]


def numbers(rng, n):
    """A numeric column of some scale, place and type."""
    x = rng.normal(size=n)
    kind = rng.integers(14)
    if kind == 0:
        return np.full(n, float(rng.normal()))
    if kind == 1:
        return x * 10.0 ** rng.integers(-12, 12)
    if kind == 2:
        return x + 10.0 ** rng.integers(0, 9)
    if kind == 3:
        return rng.integers(0, 4, n)
    if kind == 4:
        return (x > 0).astype(rng.choice(["bool", "int8", "uint64", "float32"]))
    if kind == 5:
        return np.where(rng.random(n) < 0.1, np.nan, x)
    if kind == 6:
        return rng.integers(2000, 2020, n).astype(np.int32)
    if kind == 7:
        return np.round(x, 1)
    if kind == 8 and n:
        x[rng.integers(n)] = rng.choice([np.inf, 1e300, 1e6])
    if kind == 9:
        return [None if rng.random() < 0.1 else float(v) for v in x]
    if kind == 10:
        return [decimal.Decimal(str(round(float(v), 3))) for v in x]
    return x


def categories(rng, n):
    """A column of labels, of some type."""
    k = int(rng.choice([1, 2, 3, 5, 12]))
    kind = rng.integers(9)
    codes = rng.integers(0, k, n)
    if kind == 0:
        return codes
    if kind == 1:
        return codes.astype(float)
    if kind == 2:
        return codes % 2 == 0
    if kind == 3:
        days = np.datetime64("2024-01-01") + codes.astype("timedelta64[D]")
        return days if rng.random() < 0.5 else [datetime.date(2024, 1, 1 + int(c)) for c in codes]
    labels = np.array(rng.permutation(LABELS)[:k], dtype=object)
    values = labels[codes % len(labels)]
    if kind == 4:
        return pd.Categorical(values, rng.permutation(labels), ordered=bool(rng.integers(2)))
    if kind == 5:
        values = values.copy()
        values[rng.random(n) < 0.1] = None
    if kind == 6:
        return pd.array(values, dtype="string")
    return values


def response(rng, n, family):
    """A response that the family can give, most of the time."""
    eta = rng.normal(0, rng.choice([0.1, 1.0, 3.0]), n)
    if family in ("gaussian", "student_t"):
        return eta * 10.0 ** rng.integers(-3, 4) + rng.choice([0, 0, 100, -1e6])
    if family in ("lognormal", "gamma", "exponential", "weibull"):
        return np.exp(eta)
    if family == "beta":
        return 1 / (1 + np.exp(-eta))
    if family == "bernoulli":
        return (eta > rng.choice([-9, 0, 1])).astype(rng.choice(["int64", "float64", "bool"]))
    if family == "binomial":
        return rng.integers(0, 6, n)
    if family == "cumulative":
        codes = rng.integers(0, 4, n)
        return codes if rng.random() < 0.5 else np.array(["low", "mid", "high", "top"])[codes]
    y = rng.poisson(np.exp(np.clip(eta, -3, 3)))
    return y if rng.random() < 0.9 else y * 0


def names(rng):
    """Names for two numbers and two groups, some of them odd."""
    if rng.random() < 0.7:
        return ["x", "z", "g", "h"]
    return [str(name) for name in rng.permutation(NAMES)[:4]]


def table(rng, family="gaussian"):
    """A table as a dict, with the names of its numbers and of its groups."""
    n = int(rng.choice([1, 2, 3, 5, 8, 20, 40, 60], p=[0.03, 0.03, 0.04, 0.1, 0.2, 0.3, 0.2, 0.1]))
    one, two, g, h = names(rng)
    columns = {
        "y": response(rng, n, family),
        one: numbers(rng, n),
        two: numbers(rng, n),
        g: categories(rng, n),
        h: categories(rng, n),
    }
    return columns, (one, two), (g, h)


def held(rng, columns):
    """The table in one of the things that hold tables; itself where that cannot hold it."""
    kind = rng.integers(6)
    try:
        if kind == 1:
            return pd.DataFrame(columns)
        if kind == 2:
            frame = pd.DataFrame(columns)
            return frame.set_index(rng.permutation(len(frame)) + 7)
        if kind == 3:
            import polars

            return polars.DataFrame(pd.DataFrame(columns))
        if kind == 4:
            import pyarrow

            return pyarrow.Table.from_pandas(pd.DataFrame(columns))
    except Exception:
        pass
    return columns
