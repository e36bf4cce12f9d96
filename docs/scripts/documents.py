"""Documents whose code runs: their blocks, and the figures that these save."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"  # on the site, and beside code that runs, it is called `data`

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block of a document."""

    language: str
    text: str
    line: int
    shown: str | None  # what it should print


def blocks(document: str) -> Iterator[Block]:
    """Blocks of a document, which is named by its path from the root."""
    source = (ROOT / document).read_text(encoding="utf-8")
    found = list(BLOCK.finditer(source))
    for block, following in zip_longest(found, found[1:]):
        shown = None
        if (
            following
            and following[1] == "text"
            and not source[block.end() : following.start()].strip()
        ):
            shown = following[2]
        yield Block(block[1], block[2], source.count("\n", 0, block.start()) + 2, shown)


def run(document: str, block: Block, namespace: dict[str, Any]) -> str:
    """Run a block of Python and give what it prints."""
    # The file's own line numbers, so that a traceback points into the document.
    code = compile("\n" * (block.line - 1) + block.text, document, "exec")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, namespace)
    return printed.getvalue()


@contextlib.contextmanager
def beside_data(folder: Path) -> Iterator[None]:
    """Work in a folder in which `data` leads to the data sets of the documents."""
    (folder / "data").symlink_to(DATA, target_is_directory=True)
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def cells(line: str) -> list[str]:
    r"""Cells of a row of a Markdown table, in which `\|` is a bar.

    Examples
    --------
    >>> cells(r"| a | `(x \| g)` |")
    ['a', '`(x | g)`']
    """
    parts = re.split(r"(?<!\\)\|", line.strip())[1:-1]
    return [part.strip().replace(r"\|", "|") for part in parts]
