"""How large files, folders and functions are, and how many parameters they take."""

import ast
import inspect
from collections import Counter
from pathlib import Path

import partialpool as pp
from partialpool.figures.comparison import ComparisonPlots
from partialpool.figures.fit import FitPlots
from partialpool.plots import shrinkage
from partialpool.plots.means import level_means

ROOT = Path(__file__).parents[2] / "python" / "partialpool"
FILES = {str(path.relative_to(ROOT)): path for path in sorted(ROOT.rglob("*.py"))}


def lines(path):
    return len(path.read_text(encoding="utf-8").splitlines())


def functions():
    """Where a function stands, with its name and its node."""
    for name, path in FILES.items():
        nodes = [(ast.parse(path.read_text(encoding="utf-8")), "")]
        while nodes:
            node, within = nodes.pop()
            for child in ast.iter_child_nodes(node):
                named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                inner = f"{within}.{child.name}".lstrip(".") if named else within
                if named and not isinstance(child, ast.ClassDef):
                    yield f"{name}: {inner}", child
                nodes.append((child, inner))


def body(function):
    """Lines of a function without its signature and docstring."""
    first = function.body[ast.get_docstring(function) is not None :]
    return function.end_lineno - first[0].lineno + 1 if first else 0


def test_files_are_read_at_one_sitting():
    assert not {name for name, path in FILES.items() if lines(path) > 450}


def test_folders_are_known_by_heart():
    totals = Counter()
    for name, path in FILES.items():
        totals[name.rpartition("/")[0].partition("/")[0]] += lines(path)
    assert not {folder for folder, total in totals.items() if total > 3500}


def test_functions_are_seen_at_a_glance():
    assert not {where for where, one in functions() if body(one) > 60}


def test_eight_parameters_are_for_users():
    many = set()
    for where, one in functions():
        taken = (*one.args.posonlyargs, *one.args.args, *one.args.kwonlyargs)
        if len([arg for arg in taken if arg.arg not in ("self", "cls")]) >= 8:
            many.add(where)
    called = public()
    assert not {where for where in many if where not in called and not is_command(where)}


def is_command(where):
    return where.startswith("cli/") and where.endswith("_command")


def public():
    """Where the package's functions stand, the methods of its classes, and the figures."""
    found = set()
    things = [getattr(pp, name) for name in pp.__all__]
    for thing in [*things, shrinkage, level_means, FitPlots, ComparisonPlots]:
        own = [thing, *vars(thing).values()] if inspect.isclass(thing) else [thing]
        for one in filter(inspect.isfunction, map(inspect.unwrap, own)):
            file = Path(one.__code__.co_filename)
            if ROOT in file.parents:  # not the methods that dataclasses write
                found.add(f"{file.relative_to(ROOT).as_posix()}: {one.__qualname__}")
    return found
