"""Progress of long runs: a bar on stderr, or in a notebook where one runs."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Protocol, Self

PATIENCE = 1.0  # seconds before anything is shown
PAUSE = 0.2  # seconds between two looks of a notebook's bar: each is a message to the browser


class _Bar(Protocol):
    def update(self, done: int, note: str) -> None: ...

    def stop(self) -> None: ...


class Progress:
    """A bar that appears only when a run takes longer than a second.

    Parameters
    ----------
    total : int
        Iterations in all.
    show : bool, optional
        Force it on or off; by default it shows in notebooks, and where stderr is a terminal.
    """

    def __init__(self, total: int, show: bool | None) -> None:
        self._total = total
        wanted = _in_terminal() if show is None else show and _can_be_written()
        self._show = wanted or (_in_notebook() and show is not False)
        self._began = time.perf_counter()
        self._bar: _Bar | None = None

    def update(self, iterations: int, divergences: int) -> None:
        """Say how far the run is."""
        if not self._show:
            return
        if self._bar is None:
            if time.perf_counter() - self._began < PATIENCE:
                return
            self._bar = _Notebook(self._total) if _in_notebook() else _Terminal(self._total)
        self._bar.update(iterations, f"{divergences} divergences" if divergences else "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


def _in_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # none, or closed: a service
        return False


def _can_be_written() -> bool:
    return not getattr(sys.stderr, "closed", sys.stderr is None)


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook; IPython is not imported to find out."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class _Terminal:
    """A bar of rich, which is imported only where it is shown."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("sampling"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
        )
        self._bar.start()
        self._task = self._bar.add_task("sampling", total=total, note="")

    def update(self, done: int, note: str) -> None:
        self._bar.update(self._task, completed=done, note=note)

    def stop(self) -> None:
        self._bar.stop()


class _Notebook:
    """A bar in plain HTML, which needs no widgets, and is gone when the run ends."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._handle: Any = None
        self._shown = 0.0

    def update(self, done: int, note: str) -> None:
        if time.perf_counter() - self._shown < PAUSE:
            return
        self._shown = time.perf_counter()
        words = f"{done}/{self._total} {note}".strip()
        bar = f"<progress value='{done}' max='{self._total}'></progress>"
        self._show(f"sampling {bar} {words}", f"sampling {words}")

    def stop(self) -> None:
        self._show("", "")

    def _show(self, html: str, text: str) -> None:
        content = {"text/html": html, "text/plain": text}
        if self._handle is not None:
            self._handle.update(content, raw=True)
        elif html:
            from IPython.display import display

            self._handle = display(content, raw=True, display_id=True)
