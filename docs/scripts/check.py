"""Look at the site as a reader does: `python docs/scripts/check.py site`.

Nothing may be fetched from elsewhere, whether pages are opened as files or not, on a screen of a
desk or of a phone; search finds names; no page is wider than the screen; no script fails. Where
there is no Chromium, only what the pages' source tells is checked.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# What a browser fetches by itself; links that a reader follows may lead anywhere.
FETCHED = re.compile(
    r"""<(?:link|script|img|iframe|source)\b[^>]*?\b(?:href|src)=["']?(?:https?:)?//[^"'> ]+"""
    r"""|@import[^;]*//[^;]+|url\(["']?(?:https?:)?//[^)]+"""
)
SEARCHED = {"posterior_predictive": "Fit", "poststratification": "MRP"}
WIDTHS = (1280, 400)


def from_source(site: Path) -> Iterator[str]:
    """What pages and styles would fetch."""
    for path in sorted(site.rglob("*")):
        if path.suffix in (".html", ".css"):
            for found in FETCHED.finditer(path.read_text(encoding="utf-8")):
                yield f"{path.relative_to(site)} fetches {found[0]}"


def from_browser(site: Path, chromium: str) -> Iterator[str]:
    """What happens when each page is opened."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for width in WIDTHS:
            tab = browser.new_page(viewport={"width": width, "height": 900})
            seen: list[str] = []
            _listen(tab, seen)
            for path in sorted(
                set(site.rglob("*.html")) - {site / "404.html"}
            ):  # a server shows that
                tab.goto(path.resolve().as_uri())
                tab.wait_for_load_state("load")
                wide = tab.evaluate("document.documentElement.scrollWidth")
                if wide > width:
                    seen.append(f"is {wide} pixels wide")
                yield from (f"{path.relative_to(site)} at {width}: {what}" for what in seen)
                seen.clear()
            tab.close()
        tab = browser.new_page()
        for word, where in SEARCHED.items():
            tab.goto((site / "index.html").resolve().as_uri())
            tab.click("[data-md-component=search-query]")
            tab.keyboard.type(word)
            try:
                found = tab.locator(".md-search-result__item").first
                text = found.inner_text(timeout=10_000)
            except Exception:
                text = ""
            if where not in text:
                yield f"searching for `{word}` does not find {where}"
        browser.close()


def _listen(tab: Any, seen: list[str]) -> None:
    def requested(request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "blob:", "about:")):
            seen.append(f"asks for {request.url}")

    def said(message: Any) -> None:
        if message.type == "error":
            seen.append(message.text)

    tab.on("request", requested)
    tab.on("console", said)
    tab.on("pageerror", lambda error: seen.append(str(error)))


def main(site: Path) -> int:
    """Say what is wrong; the number of things is the exit code."""
    wrong = list(from_source(site))
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium:
        wrong += from_browser(site, chromium)
    else:
        print("There is no Chromium here: pages were not opened.")
    print("\n".join(wrong) if wrong else f"{site}: nothing is fetched from elsewhere, pages work.")
    return min(len(wrong), 1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
