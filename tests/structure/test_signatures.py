"""Public functions: their signatures as they are written down, and documented as they are."""

import inspect
import re
from pathlib import Path

import pytest

import partialpool as pp
from partialpool.priors import Prior

SNAPSHOT = Path(__file__).parent / "signatures.txt"


def public():
    """Name → callable: functions, classes, and methods of the public classes."""
    found = {}
    for name in sorted(pp.__all__):
        thing = getattr(pp, name)
        if inspect.ismodule(thing):
            for inner in sorted(getattr(thing, "__all__", ())):
                found[f"{name}.{inner}"] = getattr(thing, inner)
            continue
        if not callable(thing) or (inspect.isclass(thing) and issubclass(thing, BaseException)):
            continue
        found[name] = thing
        if inspect.isclass(thing):
            inner = vars(Prior)  # what every prior has is for engines
            for method, value in inspect.getmembers(thing, inspect.isfunction):
                if not method.startswith("_") and value is not inner.get(method):
                    found[f"{name}.{method}"] = value
    return found


def text():
    lines = [f"{name}{_signature(name, thing)}" for name, thing in public().items()]
    return "\n".join(lines) + "\n"


def _parameters(name, thing):
    """Parameters as users give them: of methods all but the first, however it is called."""
    taken = list(inspect.signature(thing).parameters.values())
    of_class = inspect.isclass(getattr(pp, name.partition(".")[0]))
    return taken[1:] if of_class and "." in name else taken


def _signature(name, thing):
    shown = [p.replace(annotation=inspect.Parameter.empty) for p in _parameters(name, thing)]
    return str(inspect.Signature(shown))


def test_signatures_are_those_that_are_written_down():
    """Who changes one on purpose writes the file anew: run this file."""
    assert text() == SNAPSHOT.read_text(encoding="utf-8")


FUNCTIONS = {name: thing for name, thing in public().items() if inspect.isfunction(thing)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_docstrings_name_the_parameters_that_are_there(name):
    thing = FUNCTIONS[name]
    taken = [p.name for p in _parameters(name, thing)]
    doc = inspect.getdoc(thing)
    assert doc, f"{name} has no docstring"
    sections = re.findall(
        r"^(?:Other )?Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", doc, re.M | re.S
    )
    named = [
        one.strip().lstrip("*")
        for lines in sections
        for line in re.findall(r"^(\*{0,2}\w[^:\n]*?)(?: ?:.*)?$", lines, re.M)
        for one in line.split(",")
    ]
    assert sorted(named) == sorted(taken)


if __name__ == "__main__":
    SNAPSHOT.write_text(text(), encoding="utf-8")
