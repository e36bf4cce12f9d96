"""What stands in a page of HTML: tables, texts and data, read by the parser of Python."""

import json
from html.parser import HTMLParser


class PageReader(HTMLParser):
    """Reads a page; `tables` by caption hold rows of cells, `sections` by id their text."""

    VOID = ("meta", "link", "img", "input", "wbr")

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tables, self.sections, self.data, self.elements = {}, {}, {}, []
        self._open, self._rows, self._cell, self._caption = [], None, None, None
        self._section, self._block = None, None
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.elements.append((tag, attributes))
        if tag not in self.VOID:
            self._open.append(tag)
        if tag == "section":
            self._section = attributes["id"]
            self.sections[self._section] = ""
        elif tag == "table":
            self._rows, self._caption = [], ""
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._cell = ""
        elif tag == "script" and attributes.get("type") == "application/json":
            self._block = attributes["id"]

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        if tag == "section":
            self._section = None
        elif tag in ("td", "th"):
            self._rows[-1].append(self._cell)
            self._cell = None
        elif tag == "table":
            self.tables[self._caption] = self._rows
        elif tag == "script":
            self._block = None

    def handle_data(self, text):
        if self._block is not None:
            self.data[self._block] = json.loads(text)
        if self._cell is not None and "span" not in self._open[-1:]:
            self._cell += text
        elif self._open[-1:] == ["caption"]:
            self._caption += text
        if self._section is not None:
            self.sections[self._section] += text
