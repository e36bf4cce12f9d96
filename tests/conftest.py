"""Lets every test import helpers.py and what runs documents, which `--import-mode=importlib` would not find."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "docs" / "scripts")]
