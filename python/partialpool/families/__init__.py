"""Response families: a record each, in `FAMILIES`."""

from .family import Aux, Dispersion, Family, Given
from .known import FAMILIES, FamilyName, family_of
from .links import LinkName

__all__ = [
    "FAMILIES",
    "Aux",
    "Dispersion",
    "Family",
    "FamilyName",
    "Given",
    "LinkName",
    "family_of",
]
