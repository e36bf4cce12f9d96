"""The compiled core: its door, the rooms behind it, and how large they are."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from partialpool import _core

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.rs"))
STUBS = ROOT / "python" / "partialpool" / "_core.pyi"

MOST_LINES = 450
MOST_FUNCTION_LINES = 65


def compiled():
    """Name → signature of every function, constructor and method, without self."""
    found = {}
    for name, thing in vars(_core).items():
        if inspect.isclass(thing):
            if not name.startswith("_"):
                found[name] = thing if _made(thing) else None
                members = vars(thing).items()
                found |= {f"{name}.{k}": v for k, v in members if not k.startswith("_")}
        elif callable(thing):
            found[name] = thing
    signatures = {}
    for name, thing in found.items():
        function = getattr(thing, "__func__", thing)
        if callable(function) and not inspect.isdatadescriptor(function):
            parameters = inspect.signature(function).parameters
            signatures[name] = [p for p in parameters.values() if p.name != "self"]
    return signatures


def _made(thing):
    """Whether Python may call a class."""
    return "__new__" in vars(thing)


def written():
    """The same from the stubs: name → (positional, keyword-only, names with a default)."""
    found = {}
    for node in ast.parse(STUBS.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = _parameters(node)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for inner in node.body:
                assert isinstance(inner, ast.FunctionDef)
                if any(ast.unparse(one) == "property" for one in inner.decorator_list):
                    continue
                made = inner.name == "__new__"
                found[node.name if made else f"{node.name}.{inner.name}"] = _parameters(inner)
    return found


def _parameters(node):
    names = [arg.arg for arg in node.args.args if arg.arg not in ("self", "cls")]
    keywords = [arg.arg for arg in node.args.kwonlyargs]
    optional = {a for a, d in zip(keywords, node.args.kw_defaults, strict=True) if d is not None}
    return names, keywords, optional


def test_the_stubs_name_what_was_compiled():
    stubs, core = written(), compiled()
    assert stubs.keys() == core.keys()
    for name, parameters in core.items():
        positional, keywords, optional = stubs[name]
        assert [p.name for p in parameters] == positional + keywords, name
        assert [p.name for p in parameters if p.kind is p.KEYWORD_ONLY] == keywords, name
        assert {p.name for p in parameters if p.default is not p.empty} == optional, name


def test_more_than_two_parameters_go_by_name():
    for name, parameters in compiled().items():
        if len(parameters) > 2:
            assert all(p.kind is p.KEYWORD_ONLY for p in parameters), name


def test_only_the_door_knows_python():
    knowing = {
        path.relative_to(ROOT / "src").parts[0]
        for path in SOURCES
        if re.search(r"\b(pyo3|numpy)::", path.read_text(encoding="utf-8"))
    }
    assert knowing == {"python"}


def test_only_the_families_formulas_name_families():
    kinds = re.compile(r"\b(?:Kind|Link)::[A-Z]\w*[a-z]\w*")
    for path in SOURCES:
        code = path.read_text(encoding="utf-8").split("#[cfg(test)]")[0]
        if path.parent.name != "family" or path.stem in ("mod", "densities", "sweep"):
            assert not kinds.search(code), path


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_files_and_functions_can_be_read_at_a_glance(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_LINES
    for name, lines in functions(text.split("#[cfg(test)]")[0]):
        assert lines <= MOST_FUNCTION_LINES, name


def functions(code):
    """Name and number of lines of every function that has a body."""
    code = re.sub(r"//[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])'", "", code)
    for start in re.finditer(r"\bfn (\w+)", code):
        head = re.compile(r"[^{;]*(?:;[^{;\]]*\][^{;]*)*([{;])").match(code, start.end())
        if head is None or head[1] == ";":
            continue
        end, depth = head.end(), 1
        while depth:
            depth += {"{": 1, "}": -1}.get(code[end], 0)
            end += 1
        yield start[1], code.count("\n", start.start(), end) + 1


def test_functions_are_measured_as_they_stand():
    code = (
        'fn a(x: [f64; 2]) -> f64 {\n    // }\n    "}";\n    x[0]\n}\ntrait T {\n    fn b();\n}\n'
    )
    assert list(functions(code)) == [("a", 5)]
