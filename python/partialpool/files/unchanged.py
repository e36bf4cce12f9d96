"""Files that a table is read from more than once, which must not change in between."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from partialpool.errors import InputError


class Unchanged(Struct, frozen=True):
    """Files as they were when a table was opened.

    Attributes
    ----------
    stamps : dict of Path to (int, int)
        The size of each, and when it was last written, in nanoseconds.
    """

    stamps: dict[Path, tuple[int, int]]

    @classmethod
    def of(cls, paths: Iterable[Path]) -> Unchanged:
        """Remember how these files are.

        Raises
        ------
        OSError
            If one is not there.
        """
        return cls({path: _stamp(path) for path in paths})

    def check(self) -> None:
        """Look at them again.

        Raises
        ------
        InputError
            If one has changed or is gone: columns read before and after would be of other rows.

        Examples
        --------
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.csv"
        >>> _ = path.write_text("x")
        >>> files = Unchanged.of([path])
        >>> files.check()
        >>> _ = path.write_text("longer")
        >>> files.check()
        Traceback (most recent call last):
        ...
        partialpool.errors.InputError: `a.csv` has changed since it was opened: read it again when \
nothing writes to it.
        """
        for path, before in self.stamps.items():
            try:
                now = _stamp(path)
            except OSError:
                raise InputError(
                    f"`{path.name}` was there when it was opened, and is gone",
                    remedy="put it back and read it again",
                ) from None
            if now != before:
                raise InputError(
                    f"`{path.name}` has changed since it was opened",
                    remedy="read it again when nothing writes to it",
                ) from None


def _stamp(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns
