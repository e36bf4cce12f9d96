"""Put into documents what their code prints now: `python docs/scripts/refresh.py docs/index.md`."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from documents import ROOT, beside_data, blocks, run

SHOWN = re.compile(r"\s*^```text\n.*?^```$\n?", re.MULTILINE | re.DOTALL)


def refreshed(document: str) -> str:
    """Give the text of a document with the output of its blocks of Python below them."""
    source = (ROOT / document).read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "document"}
    text, at = "", 0
    with tempfile.TemporaryDirectory() as name, beside_data(Path(name)):
        for block in blocks(document):
            if block.language != "python":
                continue
            end = source.index(f"```python\n{block.text}```\n", at) + len(block.text) + 14
            text += source[at:end]
            printed = run(document, block, namespace)
            shown = SHOWN.match(source, end) if block.shown is not None else None
            at = end if shown is None else shown.end()
            if printed:
                lines = "\n".join(line.rstrip() for line in printed.splitlines())
                text += f"\n```text\n{lines}\n```\n"
    return text + source[at:]


if __name__ == "__main__":
    for path in sys.argv[1:]:
        changed = refreshed(str(Path(path).resolve().relative_to(ROOT)))
        Path(path).write_text(changed, encoding="utf-8")
