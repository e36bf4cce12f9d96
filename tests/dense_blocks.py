"""`_core.Blocks` with dense matrices: what several factors' cross-products should be."""

import numpy as np


class DenseBlocks:
    """The same arguments and answers, from one dense matrix of all levels' coefficients."""

    def __init__(self, *, z, codes, n_levels, unscale, xy, row_scale=None):
        scale = np.ones(len(xy)) if row_scale is None else row_scale
        self.n_rows, self.width = xy.shape
        self.n_levels = n_levels
        # Columns of every level by itself, level after level.
        parts = []
        for columns, own, levels, units in zip(z, codes, n_levels, unscale, strict=True):
            whole = np.zeros((len(xy), levels, columns.shape[1]))
            whole[np.arange(len(xy)), own] = (columns @ units) * scale[:, None]
            parts.append(whole.reshape(len(xy), -1))
        Z, xy = np.concatenate(parts, axis=1), xy * scale[:, None]
        ends = np.cumsum([0, *(part.shape[1] for part in parts)])
        self.places = list(map(slice, ends, ends[1:]))
        self.zz, self.zxy, self.xyxy = Z.T @ Z, Z.T @ xy, xy.T @ xy

    def _solved(self, factors):
        """Λ of all levels, and A⁻¹ for ``A = I + ΛᵀZᵀZΛ``."""
        large = np.zeros_like(self.zz)
        for place, levels, factor in zip(self.places, self.n_levels, factors, strict=True):
            large[place, place] = np.kron(np.eye(levels), factor)
        return large, np.linalg.inv(np.eye(len(large)) + large.T @ self.zz @ large)

    def _levels(self, matrix, factors):
        """The blocks of every level, (J, q, q), factor by factor."""
        for place, levels, factor in zip(self.places, self.n_levels, factors, strict=True):
            own = matrix[place, place].reshape(levels, len(factor), levels, len(factor))
            yield np.einsum("jajb->jab", own)

    def at(self, factors):
        large, inverse = self._solved(factors)
        U = large.T @ self.zxy
        return -float(np.linalg.slogdet(inverse)[1]), self.xyxy - U.T @ inverse @ U

    def slopes(self, factors, omega):
        large, inverse = self._solved(factors)
        P = self.zz - self.zz @ large @ inverse @ large.T @ self.zz
        return [
            own.sum(axis=0) - np.einsum("jak,kl,jbl->ab", C, omega, C)
            for own, C in zip(self._levels(P, factors), self.pull(factors), strict=True)
        ]

    def pull(self, factors):
        large, inverse = self._solved(factors)
        C = self.zxy - self.zz @ large @ inverse @ large.T @ self.zxy
        return [
            C[place].reshape(levels, -1, self.width)
            for place, levels in zip(self.places, self.n_levels, strict=True)
        ]

    def variances(self, factors):
        large, inverse = self._solved(factors)
        return list(self._levels(large @ inverse @ large.T, factors))
