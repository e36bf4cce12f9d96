"""A file written whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from partialpool.errors import InputError

# Signals that end a process at once unless it catches them: Windows has not all of them.
DEADLY = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give an empty file beside `path`, whose name it gets once all is written.

    Whatever happens, an older file of that name stays as it was until then, and no half file is
    left behind; the new one has the permissions of the older. A link stays, its target is written.

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
    try:
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
        if target.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if not os.path.isdir(target.parent):
            raise InputError(
                f"there is no folder `{target.parent}`",
                remedy="make it first, or choose another path",
            )
        temporary = target.with_name(f".{os.urandom(8).hex()}.part")
        with _removed(temporary):
            older = _create(temporary, target)
            yield temporary
            if older is not None:
                with suppress(OSError):  # only some may give files away
                    os.chown(temporary, older.st_uid, older.st_gid)
                os.chmod(temporary, stat.S_IMODE(older.st_mode))
            os.replace(temporary, target)
    except OSError as error:
        raise unwritable(path, error) from None


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    InputError
        As `replacing`.
    """
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _create(temporary: Path, target: Path) -> os.stat_result | None:
    """Make the temporary file, for nobody else to read if it is to have permissions of its own.

    Returns what is known of an older file.
    """
    older = target.stat() if target.exists() else None
    if older is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    mode = 0o666 if older is None else 0o600
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    return older


@contextmanager
def _removed(temporary: Path) -> Iterator[None]:
    """Remove the temporary file in the end, even if the process is told to end."""

    def die(number: int, _: FrameType | None) -> None:
        temporary.unlink(missing_ok=True)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    caught = []
    if threading.current_thread() is threading.main_thread():
        caught = [number for number in DEADLY if signal.getsignal(number) is signal.SIG_DFL]
    for number in caught:
        signal.signal(number, die)
    try:
        yield
    finally:
        with suppress(OSError):  # the error to tell is the one of writing
            temporary.unlink(missing_ok=True)
        for number in caught:
            signal.signal(number, signal.SIG_DFL)


def unwritable(path: Path, error: OSError) -> InputError:
    """Say that a path cannot be written, and why, without what a library adds to the reason."""
    reason = os.strerror(error.errno) if error.errno else str(error).split(" (")[0]
    return InputError(f"`{path}` cannot be written ({reason})", remedy="choose another path")
