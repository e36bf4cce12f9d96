"""Lets tests import helpers.py and documents.py, which `--import-mode=importlib` does not find."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "docs" / "scripts")]
