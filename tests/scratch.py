"""A copy of the package, to be extended as ARCHITECTURE.md says, and run."""

import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "python" / "partialpool"


class Scratch:
    """The package in a folder of its own, and which of its files were written or changed."""

    def __init__(self, folder):
        self.folder, self.touched = folder, set()
        shutil.copytree(
            PACKAGE, folder / "partialpool", ignore=shutil.ignore_patterns("__pycache__")
        )

    def write(self, name, text):
        """Add a file, which is not there yet."""
        path = self.folder / "partialpool" / name
        assert not path.exists()
        path.write_text(text, encoding="utf-8")
        self.touched.add(name)

    def add(self, name, after, text):
        """Put text into a file, after some that occurs there once."""
        path = self.folder / "partialpool" / name
        before = path.read_text(encoding="utf-8")
        assert before.count(after) == 1, f"{name} has {before.count(after)} times {after!r}"
        path.write_text(before.replace(after, after + text), encoding="utf-8")
        self.touched.add(name)

    def run(self, script):
        """Run a script with this package and return what it prints."""
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(self.folder), "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def unnamed(self, what):
        """Files that were touched and that this paragraph of "Extending" does not name."""
        return {name for name in self.touched if not any(fnmatch(name, one) for one in named(what))}


def named(what):
    """Files of the package that a paragraph of "Extending" names, as patterns."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    (paragraph,) = re.findall(rf"^\*\*{what}\.\*\*(.*?)^$", text, re.M | re.S)
    return {re.sub("<.*?>", "*", one) for one in re.findall(r"`([\w<>/]+\.py)`", paragraph)}
