"""A copy of the package, to be extended as ARCHITECTURE.md says, and used."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "python" / "partialpool"


def extending(what, **names):
    """Files of the package that a paragraph under "Extending" names; `<name>` is to be given."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    paragraph = re.search(rf"^\*\*{what}\.\*\* (.*?)\n\n", text, re.M | re.S)[1]
    found = re.findall(r"`((?!tests/|docs/)(?:\w+/)*[\w<>]+\.py)`", paragraph)
    return {re.sub("<(.*)>", lambda part: names[part[1]], name) for name in found}


class Scratch:
    """A copy of the package, and which of its files were written."""

    def __init__(self, folder):
        self.folder, self.written = folder, set()
        shutil.copytree(
            PACKAGE, folder / "partialpool", ignore=shutil.ignore_patterns("__pycache__")
        )

    def write(self, name, text):
        """Add a file."""
        path = self.folder / "partialpool" / name
        assert not path.exists()
        path.write_text(text, encoding="utf-8")
        self.written.add(name)

    def change(self, name, *changes):
        """Put text in the place of other text, or at the end where that is empty."""
        path = self.folder / "partialpool" / name
        text = path.read_text(encoding="utf-8")
        for old, new in changes:
            assert not old or text.count(old) == 1, old
            text = text.replace(old, new) if old else text + new
        path.write_text(text, encoding="utf-8")
        self.written.add(name)

    def run(self, *arguments):
        """Run Python where this package is found before any other."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={"PYTHONPATH": str(self.folder), "PATH": "", "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
