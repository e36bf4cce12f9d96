"""Write a file whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from partialpool.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`, which it gets once all is written.

    Whatever happens, an older file of that name stays as it was until then, and no half file is
    left behind.

    Raises
    ------
    InputError
        If there is no such folder, or the path cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "a.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> [path.name for path in folder.iterdir()]
    ['a.txt']
    """
    if not os.path.isdir(path.parent):
        raise InputError(
            f"there is no folder `{path.parent}`", remedy="make it first, or choose another path"
        )
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        with suppress(OSError):  # the error to tell is the one of writing
            temporary.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> InputError:
    """Say that a path cannot be written, and why, without what a library adds to the reason."""
    reason = os.strerror(error.errno) if error.errno else str(error).split(" (")[0]
    return InputError(f"`{path}` cannot be written ({reason})", remedy="choose another path")
