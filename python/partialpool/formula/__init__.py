"""Text → terms."""

from .algebra import Term, expand
from .check import Factor
from .parse import GroupTerm, Terms, parse_formula

__all__ = ["Factor", "GroupTerm", "Term", "Terms", "expand", "parse_formula"]
