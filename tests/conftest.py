"""Lets every test import helpers.py, which `--import-mode=importlib` would not find."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from dense_blocks import DenseBlocks
from partialpool import _core

if not hasattr(_core, "Blocks"):
    _core.Blocks = DenseBlocks
