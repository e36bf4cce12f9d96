"""What a value is called, whatever type carries it: 5, 5.0 and "5" are all called 5."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np


def label(value: Any) -> str:
    """Return what a value is called.

    Examples
    --------
    >>> label(5), label(5.0), label("5"), label("05"), label(0.5), label(True)
    ('5', '5', '5', '05', '0.5', 'True')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, numbers.Real) and float(value).is_integer():
        return str(int(float(value)))
    return str(value)
