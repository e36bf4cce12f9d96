"""Text → terms."""

from .algebra import Term, expand
from .check import Factor
from .groups import GroupTerm
from .parse import Terms, parse_formula, parse_predictor

__all__ = ["Factor", "GroupTerm", "Term", "Terms", "expand", "parse_formula", "parse_predictor"]
