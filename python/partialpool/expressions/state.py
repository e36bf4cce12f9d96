"""The state of transforms ⇄ what JSON can hold, without loss.

Arrays and dictionaries (whose keys may be numbers) become tagged objects; numpy's scalars become
Python's. Nothing else can occur, so nothing stored is ever executed.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def encode(value: Any) -> Any:
    """Return the value as something that survives JSON.

    Examples
    --------
    >>> encode({0: np.float64(0.5), "k": np.array([1.0])})
    {'dict': [[0, 0.5], ['k', {'array': [1.0]}]]}
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return {"array": value.tolist()}
    if isinstance(value, dict):
        return {"dict": [[encode(k), encode(v)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return [encode(v) for v in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a transform keeps a {type(value).__name__}, which has no JSON form")


def decode(value: Any) -> Any:
    """Return what ``encode`` was given.

    Examples
    --------
    >>> decode({"dict": [[0, 0.5]]})
    {0: 0.5}
    """
    if isinstance(value, dict):
        if "array" in value:
            return np.array(value["array"])
        return {decode(k): decode(v) for k, v in value["dict"]}
    if isinstance(value, list):
        return [decode(v) for v in value]
    return value
