"""Environments of other packages in which some tests run, made from lock files.

ArviZ: that of Python 3.11, and ArviZ 1, which needs Python 3.12. Spark, with Dask: needs Java too.
`python tests/environments.py NAME` makes those called so, where there is what they need.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
JAVA = 17  # of Spark 4, at least


@dataclass(frozen=True)
class Environment:
    """An environment in a folder of its own.

    Parameters
    ----------
    of : str
        What is tested in it; its lock is there.
    name : str
        Its folder.
    pythons : tuple of str
        Versions of Python that will do, the best first.
    java : bool
        Whether Java is needed.
    """

    of: str
    name: str
    pythons: tuple[str, ...]
    java: bool = False

    @property
    def folder(self):
        """Where it is."""
        return ROOT / f".{self.of}" / self.name

    @property
    def lock(self):
        """What it has."""
        return HERE / self.of / "requirements.lock"

    @property
    def python(self):
        """Its interpreter; there may be none yet."""
        return self.folder / "bin" / "python"

    def interpreter(self):
        """Find an installed Python to make it: this one, on the path, or one of pyenv's."""
        root = os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))
        for version in self.pythons:
            if version == f"{sys.version_info.major}.{sys.version_info.minor}":
                return sys.executable
            found = [
                shutil.which(f"python{version}"),
                *glob.glob(f"{root}/versions/{version}.*/bin/python"),
            ]
            for path in filter(None, found):
                # A shim may lead nowhere.
                run = subprocess.run([path, "--version"], capture_output=True, check=False)
                if run.returncode == 0:
                    return path
        return None

    def lacks(self):
        """What it needs and is not here, in words; None if nothing."""
        if self.interpreter() is None:
            return f"no Python {' or '.join(self.pythons)} is installed"
        return f"there is no Java {JAVA}" if self.java and java() < JAVA else None

    def make(self):
        """Make it anew; its lock is copied into it last, as a sign that it is whole."""
        shutil.rmtree(self.folder, ignore_errors=True)
        subprocess.run([self.interpreter(), "-m", "venv", self.folder], check=True)
        # uv takes a tenth of the time; pip knows of mirrors that it was told of.
        uv = ["uv", "pip", "install", "--quiet", "--python", self.python]
        pip = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        installed = subprocess.run(
            [sys.executable, "-m", *uv, "-r", self.lock], capture_output=True, check=False
        )
        if installed.returncode != 0:
            subprocess.run([*pip, "--no-compile", "-r", self.lock], check=True)
        shutil.copy(self.lock, self.folder / self.lock.name)

    def is_whole(self):
        """Whether it is there, with what the lock says."""
        copy = self.folder / self.lock.name
        return copy.is_file() and copy.read_bytes() == self.lock.read_bytes()


def java():
    """The version of Java that is installed; 0 without any."""
    home = os.environ.get("JAVA_HOME")
    program = f"{home}/bin/java" if home else shutil.which("java")
    if program is None:
        return 0
    run = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', run.stderr)
    return int(found[1]) if found else 0


ENVIRONMENTS = (
    Environment("arviz", "3.11", ("3.11",)),
    Environment("arviz", "3.12", ("3.12", "3.13", "3.14")),
    Environment("spark", "3.11", ("3.11", "3.12", "3.13"), java=True),
)

if __name__ == "__main__":
    for one in ENVIRONMENTS:
        if one.of not in sys.argv[1:] or one.is_whole():
            continue
        if one.lacks():
            print(f"{one.lacks()}: {one.of} is not tested with it")
            continue
        print(f"Installing {one.of} for Python {one.name} ...", flush=True)
        one.make()
