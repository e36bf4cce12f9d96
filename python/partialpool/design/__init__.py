"""Terms + columns → the arrays that a model is made of, and the recipe to make them again."""

from .build import build_design
from .design import Design, GroupFactor, Part
from .legacy import upgrade
from .recipe import Rebuilt, RebuiltPart, rebuild

__all__ = [
    "Design",
    "GroupFactor",
    "Part",
    "Rebuilt",
    "RebuiltPart",
    "build_design",
    "rebuild",
    "upgrade",
]
