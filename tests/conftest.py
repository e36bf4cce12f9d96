"""Lets every test import helpers.py, which `--import-mode=importlib` would not find."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
