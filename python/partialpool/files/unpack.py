"""Text files of any encoding, packed or from standard input → a file of UTF-8 text to be read."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import IO, Any, cast

from partialpool.paths import STANDARD_INPUT

_GZIP = b"\x1f\x8b"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF8 = ("utf-8", "utf-8-sig", "ascii")
_PART = 1 << 20  # bytes at a time
_OPEN_FILES = "/proc/self/fd"  # Linux: files by number, whether they have a name or not


class TextFile:
    """The path of a file of UTF-8 text; a copy that was made for this goes with the last reader.

    Attributes
    ----------
    path : str
        By which it can be opened as long as this object lives.
    copy : file or None
        The copy, open to be written, where the text is not that of the file that was given.
    """

    def __init__(self, path: str, copy: IO[bytes] | None = None, *, named: bool = False) -> None:
        self.path, self.copy, self._named = path, copy, named

    def __del__(self) -> None:
        with contextlib.suppress(OSError):  # such as a full disk, which was said before
            if self.copy is not None:
                self.copy.close()
        with contextlib.suppress(OSError):
            if self._named:
                os.unlink(self.path)


def _new_copy() -> TextFile:
    """Make an empty file, without a name where that can be: then it goes however a process ends."""
    number, path = tempfile.mkstemp(suffix=".csv")
    copy = os.fdopen(number, "wb")
    if os.path.isdir(_OPEN_FILES):
        os.unlink(path)
        return TextFile(f"{_OPEN_FILES}/{number}", copy)
    return TextFile(path, copy, named=True)


def as_utf8(path: str, encoding: str | None) -> TextFile:
    """Return the text of a file as UTF-8: the file itself where it is that.

    What is packed is unpacked to its end, where its length and checksum are: a damaged file is an
    error, not other numbers.

    Parameters
    ----------
    path : str
        A path, or ``"-"`` for standard input.
    encoding : str or None
        By default UTF-8, or UTF-16 where the first bytes say so.
    """
    with contextlib.ExitStack() as stack:
        given = path != STANDARD_INPUT
        raw = _buffered(stack.enter_context(open(path, "rb")) if given else sys.stdin.buffer)
        packed = raw.peek(2)[:2] == _GZIP or path.lower().endswith(".gz")
        if packed:
            import gzip

            raw = cast(Any, gzip.GzipFile(fileobj=raw))
        wide = raw.peek(2)[:2] in _UTF16
        known = codecs.lookup(encoding or ("utf-16" if wide else "utf-8")).name
        if given and not packed and known in _UTF8:
            return TextFile(path)
        text = _new_copy()
        assert text.copy is not None
        if known in _UTF8:
            shutil.copyfileobj(raw, text.copy, _PART)
        else:
            for part in _decoded(raw, known):
                text.copy.write(part.encode())
        text.copy.flush()
        return text


def _buffered(raw: IO[bytes]) -> io.BufferedReader:
    """A stream that can be looked into."""
    return raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(cast(Any, raw))


def _decoded(raw: IO[bytes], encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    while part := raw.read(_PART):
        yield decoder.decode(part)
    yield decoder.decode(b"", final=True)
