"""Several grouping factors: data, and their likelihood by the covariance of all rows."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import optimize

DATA = Path(__file__).parent / "data"


@cache
def table(name):
    return pd.read_csv(DATA / f"{name}.csv", dtype={"replicate": str, "Subject": str})


def simulated(seed, n=90):
    """Two crossed factors, one nested in the first, two predictors, weights, errors, an offset."""
    rng = np.random.default_rng(seed)
    g, h = rng.integers(0, 9, n), rng.integers(0, 6, n)
    x, z = rng.normal(2.0, 1.5, n), rng.normal(size=n)
    noise = rng.uniform(0.5, 2.0, n)
    y = 3 + x - z + rng.normal(0, 1.2, 9)[g] + rng.normal(0, 0.7, 9)[g] * x
    y += rng.normal(0, 0.8, 6)[h] + rng.normal(0, 0.5, 6)[h] * z + noise * rng.normal(size=n)
    k = 3 * g + rng.integers(0, 3, n)
    y += rng.normal(0, 0.9, 27)[k]
    return pd.DataFrame(
        {"y": y, "x": x, "z": z, "g": g, "h": h, "k": k, "se": noise,
         "w": noise**-2, "o": rng.normal(size=n)}
    )  # fmt: skip


class Dense:
    """The likelihood of several factors by the covariance of all rows."""

    def __init__(self, data, factors, roles, method):
        columns = {"1": np.ones(len(data)), "x": data["x"].to_numpy(), "z": data["z"].to_numpy()}
        self.X = np.column_stack(list(columns.values()))
        self.y = data["y"].to_numpy() - (data["o"].to_numpy() if "offset" in roles else 0)
        self.noise = np.ones(len(data))
        if "weights" in roles:
            self.noise = 1 / data["w"].to_numpy()
        if "se" in roles:
            self.noise = data["se"].to_numpy() ** 2
        self.known, self.restricted = "se" in roles, method == "reml"
        self.factors = [
            (data[name].to_numpy(), np.column_stack([columns[c] for c in terms]), tied)
            for name, terms, tied in factors
        ]
        self.sizes = [
            q * (q + 1) // 2 if tied else q
            for q, tied in ((Z.shape[1], tied) for _, Z, tied in self.factors)
        ]

    @classmethod
    def of(cls, y, codes):
        """An intercept alone, and one for the levels of each factor."""
        dense = cls.__new__(cls)
        dense.X, dense.y, dense.noise = np.ones((len(y), 1)), y, np.ones(len(y))
        dense.known = dense.restricted = False
        dense.factors = [(own, np.ones((len(y), 1)), False) for own in codes]
        dense.sizes = [1] * len(codes)
        return dense

    def covariances(self, v):
        """Σ of each factor, from the entries of their factors."""
        found = []
        parts = np.split(v, np.cumsum(self.sizes))
        for (_, Z, tied), own in zip(self.factors, parts, strict=False):
            q = Z.shape[1]
            L = np.diag(own[:q])
            if tied:
                L[np.tril_indices(q, -1)] = own[q:]
            found.append(L @ L.T)
        return found

    def V(self, v):
        sigma = 1.0 if self.known else np.exp(v[-1])
        total = np.diag(sigma**2 * self.noise)
        for (codes, Z, _), Sigma in zip(self.factors, self.covariances(v), strict=True):
            total += np.where(codes[:, None] == codes, Z @ Sigma @ Z.T, 0.0)
        return total

    def deviance(self, v, hold=None):
        """Minus twice the log likelihood, with a coefficient held at a value if so."""
        V = self.V(v)
        X, y = self.X, self.y
        if hold is not None:
            k, value = hold
            X, y = np.delete(X, k, axis=1), y - value * X[:, k]
        solved = np.linalg.solve(V, np.column_stack([X, y]))
        information = X.T @ solved[:, :-1]
        rest = y @ solved[:, -1] - solved[:, -1] @ X @ np.linalg.solve(
            information, X.T @ solved[:, -1]
        )
        p = X.shape[1] if self.restricted else 0
        value = (len(y) - p) * np.log(2 * np.pi) + np.linalg.slogdet(V)[1] + rest
        return value + (np.linalg.slogdet(information)[1] if p else 0.0)

    @property
    def start(self):
        size = [q for _, Z, tied in self.factors for q in [Z.shape[1]]]
        parts = [
            np.append(np.ones(q), np.zeros(count - q))
            for q, count in zip(size, self.sizes, strict=True)
        ]
        return np.concatenate([*parts, [] if self.known else [0.0]])

    def minimum(self, function=None, start=None):
        function = self.deviance if function is None else function
        found = optimize.minimize(function, self.start if start is None else start, method="BFGS")
        return optimize.minimize(function, found.x, method="Nelder-Mead",
                                 options={"xatol": 1e-9, "fatol": 1e-11})  # fmt: skip
