"""Data flow one way: what a file may import, wherever in it the import stands.

Folders and files of the package in layers, each of which imports only from those below it; and no
file, in whatever folder, that reaches itself.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2] / "python" / "partialpool"

LAYERS = (
    ("__main__",),
    ("cli",),
    ("demo",),
    ("",),  # the package's own names
    ("api", "metropolis", "simulate", "datasets"),
    ("tables",),
    ("posterior",),
    ("pipeline",),
    ("report",),
    ("saved",),
    ("figures",),
    ("effects", "hypotheses"),
    ("answers",),
    ("scores", "predictions"),
    ("words", "plots"),
    ("drawing",),
    ("findings",),
    ("draws",),
    ("likelihood",),
    ("engine",),
    ("spec", "request"),
    ("model",),
    ("scan",),
    ("design", "families"),
    ("expressions", "own"),
    ("cluster",),
    ("batches",),
    ("formula", "data", "priors"),
    ("files",),
    ("memory", "checks", "writing", "limits", "finding", "alike"),
    ("columns", "rank"),
    ("paths", "arrays", "numerals", "starting", "taking", "called", "version", "progress", "_core"),
    ("errors",),
)


def modules():
    """Name without the package's → file."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts).removesuffix("__init__").removesuffix(".")] = path
    return found


def imported(tree, path, known):
    """Modules of the package that a file imports, also inside functions and for types only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            here = ("partialpool", *path.relative_to(ROOT).parts[:-1])
            package = here[: len(here) + 1 - node.level] if node.level else ()
            module = ".".join((*package, *([node.module] if node.module else [])))
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "partialpool":
                inner = name.removeprefix("partialpool").removeprefix(".")
                if inner == "_core" or inner in known:
                    yield inner
                else:  # a name in a module
                    yield inner.rpartition(".")[0]


FILES = modules()
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
EDGES = {name: set(imported(tree, FILES[name], FILES)) - {name} for name, tree in TREES.items()}


def test_every_file_has_a_layer():
    rooms = {name.split(".")[0] for name in EDGES} | {"_core"}
    assert sorted(rooms) == sorted(room for layer in LAYERS for room in layer)


def test_nothing_imports_upward():
    height = {room: -k for k, layer in enumerate(LAYERS) for room in layer}
    upward = {
        (name.split(".")[0], other.split(".")[0])
        for name, others in EDGES.items()
        for other in others
        if name.split(".")[0] != other.split(".")[0]
        and height[other.split(".")[0]] >= height[name.split(".")[0]]
    }
    assert not upward


def reached(start):
    seen, left = set(), [start]
    while left:
        for other in EDGES.get(left.pop(), ()):
            if other not in seen:
                seen.add(other)
                left.append(other)
    return seen


def test_no_file_reaches_itself():
    assert not [name for name in EDGES if name in reached(name)]


# Imported where they are used, since they import what is heavy.
INSIDE = {
    *("plots", "drawing"),  # matplotlib
    *("draws.frame", "effects.frame"),  # are a pandas.DataFrame
}


def test_records_are_no_dataclasses():
    """Whose methods are compiled whenever the package is imported, a millisecond for each."""
    using = {
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom | ast.Import)
        and "dataclasses" in (getattr(node, "module", None), *(one.name for one in node.names))
    }
    assert not using


def test_own_files_are_imported_at_the_top():
    inside = set()
    for name, tree in TREES.items():
        rest = [one for one in tree.body if not isinstance(one, ast.Import | ast.ImportFrom)]
        for other in imported(ast.Module(rest, []), FILES[name], FILES):
            if not {other, other.split(".")[0]} & INSIDE:
                inside.add((name, other))
    assert not inside


def test_only_the_core_is_compiled_and_few_folders_know_it():
    knowing = {name.split(".")[0] for name, others in EDGES.items() if "_core" in others}
    assert knowing <= {
        *("families", "model", "engine", "likelihood", "draws", "findings", "scores", "saved"),
        *("scan", "batches"),
    }


def test_figures_know_no_fit():
    assert all(
        not other.startswith(("posterior", "model", "engine", "design"))
        for name, others in EDGES.items()
        if name.split(".")[0] in ("plots", "drawing")
        for other in others
    )
