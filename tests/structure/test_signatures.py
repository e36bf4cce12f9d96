"""Public functions: their signatures as they are written down, and documented as they are."""

import inspect
import re
from pathlib import Path

import pytest

import partialpool as pp

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
            for method, value in sorted(vars(thing).items()):
                if inspect.isfunction(value) and not method.startswith("_"):
                    found[f"{name}.{method}"] = value
    return found


def text():
    lines = [f"{name}{_signature(thing)}" for name, thing in public().items()]
    return "\n".join(lines) + "\n"


def _signature(thing):
    parameters = inspect.signature(thing).parameters.values()
    shown = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
    return str(inspect.Signature(shown))


def test_signatures_are_those_that_are_written_down():
    """Who changes one on purpose writes the file anew: run this file."""
    assert text() == SNAPSHOT.read_text(encoding="utf-8")


FUNCTIONS = {name: thing for name, thing in public().items() if inspect.isfunction(thing)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_docstrings_name_the_parameters_that_are_there(name):
    thing = FUNCTIONS[name]
    taken = [p for p in inspect.signature(thing).parameters if p != "self"]
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
