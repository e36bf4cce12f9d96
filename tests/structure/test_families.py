"""What is known of a family stands in its record: nothing else asks for its name."""

import ast
import re
from pathlib import Path
from typing import get_args

import numpy as np

from partialpool import _core
from partialpool.families import DEFAULT, FAMILIES, FamilyName, LinkName

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python" / "partialpool"
# Records, and what stands below them: kernels of priors have names such as gamma too.
BELOW = ("families", "priors")
PARTS = ("zero_inflated", "hurdle")
"""What several names begin with."""
METHODS = {"startswith", "endswith", "removeprefix", "removesuffix", "replace"}
"""Of text that may be asked for a part of a name."""


def documented(tree):
    """Strings that are statements: docstrings, and notes on attributes."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def defaults(tree):
    """Defaults of parameters and fields called `family`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            named = node.args.posonlyargs + node.args.args
            pairs = [*zip(named[::-1], node.args.defaults[::-1], strict=False)]
            pairs += zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            yield from (id(value) for name, value in pairs if name.arg == "family")
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "family":
            yield id(node.value)  # a field


def asks(source):
    """Lines where code holds the name of a family, or asks text for a part of one."""
    tree = ast.parse(source)
    allowed = documented(tree) | set(defaults(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value.strip("_")
            if id(node) not in allowed and (name in FAMILIES or name in PARTS):
                yield node.lineno
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in METHODS:
            texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            parts = [text for text in texts if isinstance(text, str) and len(text) > 3]
            if any(part in name for part in parts for name in FAMILIES):
                yield node.lineno


def test_nothing_but_the_records_asks_for_the_name_of_a_family():
    found = {
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] not in BELOW
        for line in asks(path.read_text(encoding="utf-8"))
    }
    assert not found


def test_asking_is_found():
    for code in (
        'model.family == "gaussian"',
        'family.name in ("poisson", "a")',
        'family.startswith("zero_infl")',
        'name.endswith("negbinomial")',
        'name.removeprefix("hurdle_")',
        '{"beta": 1}[name]',
        'match name:\n    case "weibull":\n        pass',
        'def f(link="gamma"): pass',
    ):
        assert list(asks(code)), code
    for code in ('def fit(*, family="gaussian"): """Say "gaussian"."""', 'x = "the gamma family"'):
        assert not list(asks(code)), code


def test_literals_for_type_checkers_are_the_list():
    assert get_args(FamilyName) == tuple(FAMILIES)
    links = {link for family in FAMILIES.values() for link in family.links}
    assert set(get_args(LinkName)) == links
    assert DEFAULT in FAMILIES.values()


def known_to_the_core(name):
    nothing = np.zeros(0)
    try:
        _core.family_rows(
            family=name,
            link="identity",
            y=nothing,
            trials=nothing,
            weights=nothing,
            eta=nothing,
            log_sigma=nothing,
            aux=nothing,
        )
    except ValueError as error:
        return not str(error).startswith("unknown family")
    return True


def test_the_core_has_the_same_families():
    """Of all words in its files, the core knows as families those that the records are about."""
    files = [path.read_text(encoding="utf-8") for path in (ROOT / "src" / "family").glob("*.rs")]
    words = set(re.findall(r'"([a-z_]+)"', "\n".join(files)))
    assert {word for word in words if known_to_the_core(word)} == {
        family.density for family in FAMILIES.values()
    }


def test_records_are_complete():
    """Fields that name something name what is there."""
    for family in FAMILIES.values():
        assert {family.scale(link) for link in family.links} - {""} <= set(family.words)
        assert family.zeros in {"", *(one.name for one in family.dispersion)}
        assert ("trials" in family.roles) == (family.one_trial in FAMILIES)
        assert set(family.roles) <= {"trials", "se"}
        named = re.findall(r'(?:family=|or )"(\w+)"', " ".join(family.remedies.values()))
        assert set(named) <= set(FAMILIES) - {family.name}
