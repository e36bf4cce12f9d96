"""Where progress is shown: lines on stderr, or one in a notebook."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import Struct

PAUSE = 0.2  # seconds between two looks of a notebook's line: each is a message to the browser


class Line(Struct, frozen=True):
    """What is known of a chain, or of all of them."""

    name: str
    done: int
    total: int
    words: str


class Place(Protocol):
    """Where progress is shown, and how many lines there may be."""

    most: int

    def show(self, lines: Sequence[Line]) -> None: ...

    def stop(self, lines: Sequence[Line]) -> None: ...


def in_terminal() -> bool:
    """Whether somebody sees what is written to stderr."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # none, or closed: a service
        return False


def can_be_written() -> bool:
    """Whether there is a stderr."""
    return not getattr(sys.stderr, "closed", sys.stderr is None)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook; IPython is not imported to find out."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class Terminal:
    """Bars of rich, which is imported only where they are shown."""

    most = 8

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[words]}", markup=False),
            console=Console(stderr=True),
        )
        self._tasks: list[Any] = []

    def show(self, lines: Sequence[Line]) -> None:
        if not self._tasks:
            add = self._bars.add_task
            self._tasks = [add(one.name, total=one.total, words=one.words) for one in lines]
            self._bars.start()
        for task, line in zip(self._tasks, lines, strict=True):
            self._bars.update(task, description=line.name, completed=line.done, words=line.words)

    def stop(self, lines: Sequence[Line]) -> None:
        self.show(lines)
        self._bars.stop()


class Notebook:
    """One line of plain HTML, which needs no widgets, and is gone when the run ends."""

    most = 0

    def __init__(self) -> None:
        self._handle: Any = None
        self._shown = 0.0

    def show(self, lines: Sequence[Line]) -> None:
        if time.perf_counter() - self._shown < PAUSE:
            return
        self._shown = time.perf_counter()
        (line,) = lines
        bar = f"<progress value='{line.done}' max='{line.total}'></progress>"
        self._tell(f"{line.name} {bar} {line.words}", f"{line.name} {line.words}")

    def stop(self, lines: Sequence[Line]) -> None:
        self._tell("", "")

    def _tell(self, html: str, text: str) -> None:
        content = {"text/html": html, "text/plain": text}
        if self._handle is not None:
            self._handle.update(content, raw=True)
        elif html:
            from IPython.display import display

            self._handle = display(content, raw=True, display_id=True)
