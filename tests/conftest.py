"""Lets tests import helpers.py and documents.py, which `--import-mode=importlib` does not find.

And the browser, of which a process can have but one.
"""

import shutil
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "docs" / "scripts")]


@pytest.fixture(scope="session")
def browser():
    """Chromium without a window; where there is none, tests of the open page are left out."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no chromium to open the page in")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
