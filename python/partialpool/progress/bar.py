"""Progress of long runs: how far they are, in words."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from partialpool.progress.places import (
    Line,
    Notebook,
    Place,
    Terminal,
    can_be_written,
    in_notebook,
    in_terminal,
)

PATIENCE = 1.0  # seconds before anything is shown


# In all, or of each chain.
_Counts: TypeAlias = int | Sequence[int]


class Work(Struct, frozen=True):
    """What is to be done.

    Attributes
    ----------
    total : int
        How much of it there is, in all chains, if all warm up for as long.
    unit, doing : str
        What is counted, and what is done meanwhile.
    chains : int
        Chains that have equal parts of it; 0 where it is not sampling.
    warmup : int
        How much of each chain is warm-up.
    warmups : tuple of int
        The same of each chain, where these are not alike.
    at_once : int
        Chains that run at the same time, so that these are about equally far.
    """

    total: int
    unit: str = "draws"
    doing: str = "sampling"
    chains: int = 0
    warmup: int = 0
    at_once: int = 0
    warmups: tuple[int, ...] = ()

    @property
    def whole(self) -> int:
        """How much of it all chains have."""
        return sum(map(self.each, range(self.chains))) if self.warmups else self.total

    def each(self, chain: int) -> int:
        """How much of it a chain has."""
        own = self.warmups[chain] if self.warmups else self.warmup
        return self.total // self.chains - self.warmup + own if self.chains else self.total

    def warming(self, warmups: Sequence[int]) -> Work:
        """The same where chains warm up for so long, or 0 where that is not known yet.

        Examples
        --------
        >>> Work(400, chains=2, warmup=100).warming([50, 0]).warmups
        (50, 50)
        """
        longest = max(warmups, default=0)
        if not longest:
            return self
        draws = self.total // self.chains - self.warmup
        each = tuple(own or longest for own in warmups)
        total = self.chains * (draws + longest)
        return replace(self, total=total, warmup=longest, warmups=each)


class Progress:
    """Lines that appear only when a run takes longer than a second.

    Parameters
    ----------
    work : Work or int
        What is to be done, or how many draws in all.
    show : bool, optional
        Force it on or off; by default it shows in notebooks, and where stderr is a terminal.
    """

    def __init__(self, work: Work | int, show: bool | None) -> None:
        self._work = Work(work) if isinstance(work, int) else work
        wanted = in_terminal() if show is None else show and can_be_written()
        self.is_wanted = wanted or (in_notebook() and show is not False)
        self._began = time.perf_counter()
        self._first: tuple[float, int] | None = None
        self._shown: Place | None = None
        self._last: tuple[_Counts, _Counts] = 0, 0

    def update(self, done: _Counts, divergences: _Counts = 0, warmups: Sequence[int] = ()) -> None:
        """Say how far the run is: in all, or each chain by itself; and how long these warm up."""
        if not self.is_wanted:
            return
        self._work = self._work.warming(warmups)
        now = time.perf_counter()
        total = _sum(done)
        self._last = done, divergences
        if self._first is None and total:
            self._first = now, total
        if self._shown is None:
            if now - self._began < PATIENCE:
                return
            self._shown = Notebook() if in_notebook() else Terminal()
        self._shown.show(self._state(done, divergences, self._left(now, total)))

    def expect(self, work: Work) -> None:
        """Say that there is more to be done than was known."""
        self._work = work

    def finish(self, divergences: _Counts = 0) -> None:
        """Say that all is done, which is sooner than the next look."""
        work, known = self._work, self._last[0]
        every = work.whole if isinstance(known, int) else [*map(work.each, range(len(known)))]
        self._last = every, divergences

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._shown is not None:
            took = f"in {_clock(time.perf_counter() - self._began)}"
            self._shown.stop(self._state(*self._last, took))

    def _left(self, now: float, done: int) -> str:
        """How long it takes until all is done, at the pace so far."""
        began, before = self._first or (now, done)
        if done <= before or now <= began:
            return ""
        return f"{_clock((now - began) * (self._work.whole - done) / (done - before))} left"

    def _state(self, done: _Counts, divergences: _Counts, time_words: str) -> list[Line]:
        """What there is to say: a line a chain where each is known, and they are few."""
        work, most = self._work, 0 if self._shown is None else self._shown.most
        if isinstance(done, int) or not 1 < len(done) <= most:
            total, count = _sum(done), _diverged(_sum(divergences))
            chains = f" {work.chains} chain{'s' * (work.chains > 1)}" if work.chains else ""
            words = [self._counted(total, work.whole), self._phase(total), count, time_words]
            own = ", ".join(filter(None, words))
            return [Line(f"{work.doing}{chains}", total, work.whole, own)]
        lines = []
        for k, own_done in enumerate(done):
            diverged = divergences if isinstance(divergences, int) else divergences[k]
            each = work.each(k)
            last = time_words if k == len(done) - 1 else ""
            doing = self._doing(k, own_done, any(done))
            words = [self._counted(own_done, each), doing, _diverged(diverged), last]
            lines.append(Line(f"chain {k + 1}", own_done, each, ", ".join(filter(None, words))))
        return lines

    def _doing(self, chain: int, done: int, begun: bool) -> str:
        """What a chain is about."""
        work = self._work
        if done >= work.each(chain):
            return ""
        if not done:
            return "waiting" if begun else "preparing"
        warmup = work.warmups[chain] if work.warmups else work.warmup
        return "warm-up" if done < warmup else work.doing

    def _counted(self, done: int, total: int) -> str:
        return f"{done:,}/{total:,} {self._work.unit}"

    def _phase(self, done: int) -> str:
        """What all chains are about, if that is known."""
        work = self._work
        if not work.chains or done >= work.whole:
            return ""
        if not done:  # where the mass is, and in which coordinates
            return "preparing"
        if not work.at_once:
            return ""
        # One lot of chains after the other.
        each = work.total // work.chains
        lots, within = divmod(done, work.at_once * each)
        running = min(work.at_once, work.chains - lots * work.at_once)
        return "warm-up" if within < running * work.warmup else ""


class RowProgress:
    """Progress of a table that is read, whose number of rows turns out while it is."""

    def __init__(self, show: bool | None) -> None:
        self._show = show
        self._progress: Progress | None = None
        self.is_wanted = Progress(0, show).is_wanted

    def update(self, done: int, total: int) -> None:
        """Say how many rows were read, of how many."""
        if self._progress is None:
            self._progress = Progress(Work(total, "rows", "reading"), self._show)
            self._progress.__enter__()
        self._progress.update(min(done, total))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.__exit__(kind, error, traceback)


def _sum(counts: _Counts) -> int:
    return counts if isinstance(counts, int) else sum(counts)


def _diverged(count: int) -> str:
    return f"{count} divergence{'s' * (count != 1)}" if count else ""


def _clock(seconds: float) -> str:
    """Write a time as clocks do.

    Examples
    --------
    >>> _clock(3.6), _clock(754), _clock(7325)
    ('0:04', '12:34', '2:02:05')
    """
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
