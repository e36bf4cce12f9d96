"""Terms + columns → the arrays that a model is made of, and the recipe to make them again."""

from .build import build_design
from .design import Design, GroupFactor
from .recipe import Rebuilt, rebuild

__all__ = ["Design", "GroupFactor", "Rebuilt", "build_design", "rebuild"]
