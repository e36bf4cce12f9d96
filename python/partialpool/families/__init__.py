"""Response families: a record each, in `FAMILIES`."""

from .family import Dispersion, Ends, Family, Given
from .known import DEFAULT, FAMILIES, FamilyName, family_of
from .links import LinkName
from .merging import Merged, Responses

__all__ = [
    "DEFAULT",
    "FAMILIES",
    "Dispersion",
    "Ends",
    "Family",
    "FamilyName",
    "Given",
    "LinkName",
    "Merged",
    "Responses",
    "family_of",
]
