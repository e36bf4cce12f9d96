"""Progress of long runs, on stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self

PATIENCE = 1.0  # seconds before anything is shown


class Progress:
    """A bar that appears only when a run takes longer than a second.

    Parameters
    ----------
    total : int
        Iterations in all.
    show : bool, optional
        Force it on or off; by default it shows where stderr is a terminal.
    """

    def __init__(self, total: int, show: bool | None) -> None:
        self._total = total
        self._show = sys.stderr.isatty() if show is None else show
        self._began = time.perf_counter()
        self._bar: Any = None
        self._task: Any = None

    def update(self, iterations: int, divergences: int) -> None:
        """Say how far the run is."""
        if not self._show:
            return
        if self._bar is None:
            if time.perf_counter() - self._began < PATIENCE:
                return
            self._start()
        note = f"{divergences} divergences" if divergences else ""
        self._bar.update(self._task, completed=iterations, note=note)

    def _start(self) -> None:
        # rich is imported only where it is shown
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("sampling"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
        )
        self._bar.start()
        self._task = self._bar.add_task("sampling", total=self._total, note="")

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
