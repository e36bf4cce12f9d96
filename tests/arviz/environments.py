"""Environments with the ArviZ of Python 3.11 and with ArviZ 1, which needs Python 3.12.

`python tests/arviz/environments.py` makes those whose Python is installed.
"""

import glob
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOLDER = ROOT / ".arviz"
LOCK = HERE / "requirements.lock"

# Versions of Python that will do, the best first.
PYTHONS = {"3.11": ["3.11"], "3.12": ["3.12", "3.13", "3.14"]}


def python_of(name):
    """The interpreter of an environment; there may be none yet."""
    return FOLDER / name / "bin" / "python"


def interpreter(name):
    """Find an installed Python for an environment: this one, on the path, or one of pyenv's."""
    root = os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))
    for version in PYTHONS[name]:
        if version == f"{sys.version_info.major}.{sys.version_info.minor}":
            return sys.executable
        found = [
            shutil.which(f"python{version}"),
            *glob.glob(f"{root}/versions/{version}.*/bin/python"),
        ]
        for path in filter(None, found):
            # A shim may lead nowhere.
            if (
                subprocess.run([path, "--version"], capture_output=True, check=False).returncode
                == 0
            ):
                return path
    return None


def make(name):
    """Make an environment anew; its lock is copied into it last, as a sign that it is whole."""
    python = interpreter(name)
    if python is None:
        print(f"no Python {' or '.join(PYTHONS[name])} is installed: ArviZ is not tested with it")
        return
    print(f"Installing ArviZ for Python {name} ...", flush=True)
    shutil.rmtree(FOLDER / name, ignore_errors=True)
    subprocess.run([python, "-m", "venv", FOLDER / name], check=True)
    pip = [python_of(name), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", LOCK], check=True)
    shutil.copy(LOCK, FOLDER / name / LOCK.name)


def is_whole(name):
    """Whether an environment is there, with what the lock says."""
    copy = FOLDER / name / LOCK.name
    return copy.is_file() and copy.read_bytes() == LOCK.read_bytes()


if __name__ == "__main__":
    for wanted in PYTHONS:
        if not is_whole(wanted):
            make(wanted)
