"""Text → terms."""

from partialpool.formula.algebra import Term, expand
from partialpool.formula.check import Factor
from partialpool.formula.groups import GroupTerm
from partialpool.formula.parse import Terms, parse_formula, parse_predictor

__all__ = ["Factor", "GroupTerm", "Term", "Terms", "expand", "parse_formula", "parse_predictor"]
