"""`_core.Blocks` with dense matrices: what several factors' cross-products should be."""

import numpy as np


class DenseBlocks:
    """The same arguments and answers, each from the whole covariance of the rows."""

    def __init__(self, *, z, codes, n_levels, unscale, xy, row_scale=None):
        scale = np.ones(len(xy)) if row_scale is None else row_scale
        self.xy = xy * scale[:, None]
        self.n_rows, self.width = xy.shape
        # Columns of every level by itself, level after level.
        self.Z, self.n_levels = [], n_levels
        for columns, own, levels, units in zip(z, codes, n_levels, unscale, strict=True):
            columns = (columns @ units) * scale[:, None]
            whole = np.zeros((len(xy), levels, columns.shape[1]))
            whole[np.arange(len(xy)), own] = columns
            self.Z.append(whole.reshape(len(xy), -1))

    def _large(self, factors):
        """The factors Λ of all levels."""
        return [
            np.kron(np.eye(levels), factor)
            for levels, factor in zip(self.n_levels, factors, strict=True)
        ]

    def _covariance(self, factors):
        V = np.eye(self.n_rows)
        for Z, large in zip(self.Z, self._large(factors), strict=True):
            half = Z @ large
            V += half @ half.T
        return V

    def at(self, factors):
        V = self._covariance(factors)
        return float(np.linalg.slogdet(V)[1]), self.xy.T @ np.linalg.solve(V, self.xy)

    def slopes(self, factors, omega):
        V = self._covariance(factors)
        found = []
        for Z, C, levels in zip(self.Z, self.pull(factors), self.n_levels, strict=True):
            whole = Z.T @ np.linalg.solve(V, Z)
            q = C.shape[1]
            P = np.einsum("jajb->ab", whole.reshape(levels, q, levels, q))
            found.append(P - np.einsum("jak,kl,jbl->ab", C, omega, C))
        return found

    def pull(self, factors):
        solved = np.linalg.solve(self._covariance(factors), self.xy)
        return [
            (Z.T @ solved).reshape(levels, -1, self.width)
            for Z, levels in zip(self.Z, self.n_levels, strict=True)
        ]

    def variances(self, factors):
        V = self._covariance(factors)
        found = []
        for Z, large, levels in zip(self.Z, self._large(factors), self.n_levels, strict=True):
            own = large @ large.T
            left = own - own @ Z.T @ np.linalg.solve(V, Z @ own)
            q = len(own) // levels
            found.append(np.einsum("jajb->jab", left.reshape(levels, q, levels, q)))
        return found
