"""Terms + columns → the arrays that a model is made of, and the plan to make them again."""

from .build import build_design
from .cells import Cells
from .design import Condensed, Design, GroupFactor, Part
from .legacy import upgrade
from .plan import Plan

__all__ = [
    "Cells",
    "Condensed",
    "Design",
    "GroupFactor",
    "Part",
    "Plan",
    "build_design",
    "upgrade",
]
