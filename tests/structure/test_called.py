"""Names of parameters are built and read in `called.py` alone."""

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partialpool import called

PACKAGE = Path(called.__file__).parent
# What speaks of other things: formulas, columns, files, arrays of the user.
APART = (
    "metropolis.py",
    "data",
    "formula",
    "expressions",
    "design",
    "plots",
    "drawing",
    "datasets",
)
BUILT = re.compile(r"(b|sd|cor|r|coef|threshold)(_|\[)$|(b|threshold)\[.*\]$")
ELEMENT = re.compile(r"\}\[\{.*\}\]")
PREFIXES = {"b_", "b[", "sd_", "cor_", "r_", "coef_", "threshold", "threshold[", "["}
READ = {"startswith", "partition", "split", "removeprefix"}


def named(source):
    """Lines that build the name of a parameter from text, or ask text for a part of one."""
    for node in ast.walk(ast.parse(source)):
        starts = isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant)
        if starts and BUILT.match(node.values[0].value):
            yield node.lineno
        if isinstance(node, ast.JoinedStr) and ELEMENT.search(ast.unparse(node)):
            yield node.lineno
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in READ:
            texts = [
                one.value
                for argument in node.args
                for one in ast.walk(argument)
                if isinstance(one, ast.Constant)
            ]
            if any(text in PREFIXES for text in texts):
                yield node.lineno


def test_names_are_built_and_read_in_one_file():
    found = {
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] not in APART and path.name != "called.py"
        for line in named(path.read_text(encoding="utf-8"))
    }
    assert not found


@pytest.mark.parametrize(
    "source", ['f"sd_{name}[{term}]"', 'f"b[{x}]"', 'x.startswith(("b_", "cor_"))', 'x.split("[")']
)
def test_the_measure_sees_them(source):
    assert list(named(source))


WORD = st.text(st.characters(codec="utf-8", exclude_characters="["), min_size=1)


@given(WORD, WORD, WORD)
def test_names_are_read_as_they_are_built(of, one, other):
    for kind, name, array in (
        ("b", called.b(one), "b"),
        ("b", called.b(one, of), called.b(predictor=of)),
        ("sd", called.sd(of, one), called.sd(of)),
        ("cor", called.cor(of, called.pair(one, other)), called.cor(of)),
        ("coef", called.at_level(called.coef(of), one, other), called.coef(of)),
        ("r", called.at_level(called.r(of), one, other), called.r(of)),
        ("threshold", called.threshold(3), "threshold"),
    ):
        assert called.kind_of(name) == kind
        assert called.kind_of(array) == kind
        assert called.array_of(name) == array
