"""What the site has beside the pages in docs/: figures, sections of the README, data, changes."""

from __future__ import annotations

import re
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))

import gallery
from documents import DATA, ROOT, beside_data, blocks, run

SECTION = re.compile(r"^<!-- README: (.+) -->$", re.MULTILINE)
SAVED = re.compile(r"savefig\(\"([^\"]+)\"")
CODE = re.compile(r"`[^`]+`")


def on_files(files: Files, config: Any) -> Files:
    """Add what is made: the gallery, the figures of pages, data sets, the changelog."""
    for path in sorted(DATA.glob("*.csv")):
        files.append(File.generated(config, f"data/{path.name}", content=path.read_bytes()))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "changes.md", content=changes))
    warnings.simplefilter("ignore")  # findings are what pages print, where they speak of them
    for name, content in gallery.made().items():
        files.append(File.generated(config, f"gallery/{name}", content=content))
    for file in list(files.documentation_pages()):
        saved = SAVED.findall(file.content_string) if file.abs_src_path else []
        if any(f"]({name})" in file.content_string for name in saved):
            document = str(Path(str(file.abs_src_path)).relative_to(ROOT))
            folder = Path(file.src_uri).parent
            for name, content in figures_of(document).items():
                files.append(File.generated(config, str(folder / name), content=content))
    return files


def figures_of(document: str) -> dict[str, bytes]:
    """Run a page and give the images that it saves, by name."""
    import matplotlib

    matplotlib.use("Agg")
    namespace: dict[str, Any] = {"__name__": "document"}
    with tempfile.TemporaryDirectory() as name, beside_data(Path(name)):
        for block in blocks(document):
            if block.language == "python":
                run(document, block, namespace)
        return {path.name: path.read_bytes() for path in Path(name).glob("*.png")}


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put in sections of the README; let bars in the code of tables be bars."""
    markdown = SECTION.sub(lambda found: section(found[1], page.file.src_uri), markdown)
    lines = markdown.split("\n")
    for k, line in enumerate(lines):
        if line.startswith("|"):
            lines[k] = CODE.sub(lambda found: found[0].replace(r"\|", "|"), line)
    return "\n".join(lines)


def section(title: str, uri: str) -> str:
    """Text of a section of the README, with its links as seen from a page."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", readme, re.M | re.S)
    if found is None:
        raise ValueError(f"README.md has no section `{title}`, which {uri} shows")
    up = "../" * uri.count("/")
    text = re.sub(r"\]\(docs/", f"]({up}", found[1])
    return text.strip() + "\n"


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Mark tables of lines of two packages, which phones show otherwise."""
    if page.file.src_uri.startswith("move-over/"):
        html = re.sub(r"(<table>.*?</table>)", r'<div class="lines">\1</div>', html, flags=re.S)
    return html
