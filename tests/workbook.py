"""An Excel workbook written by hand, for no package of ours writes one."""

import zipfile
from xml.sax.saxutils import escape


def write_workbook(path, **sheets):
    """Write sheets, which are lists of rows, under their names."""
    kinds = "http://schemas.openxmlformats.org/"
    office = kinds + "officeDocument/2006/relationships"
    parts = {}
    for number, rows in enumerate(sheets.values(), 1):
        lines = []
        for i, row in enumerate(rows, 1):
            cells = ""
            for k, value in enumerate(row):
                place = f"{chr(65 + k)}{i}"
                if isinstance(value, str):
                    text = f'<is><t xml:space="preserve">{escape(value)}</t></is>'
                    cells += f'<c r="{place}" t="inlineStr">{text}</c>'
                elif isinstance(value, bool):
                    cells += f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
                elif value is not None:
                    cells += f'<c r="{place}"><v>{value!r}</v></c>'
            lines.append(f'<row r="{i}">{cells}</row>')
        parts[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{kinds}spreadsheetml/2006/main"><sheetData>{"".join(lines)}'
            "</sheetData></worksheet>"
        )
    ids = range(1, len(sheets) + 1)
    listed = "".join(
        f'<sheet name="{name}" sheetId="{k}" r:id="r{k}"/>'
        for k, name in zip(ids, sheets, strict=True)
    )
    parts["xl/workbook.xml"] = (
        f'<workbook xmlns="{kinds}spreadsheetml/2006/main" xmlns:r="{office}"><sheets>{listed}'
        "</sheets></workbook>"
    )
    links = "".join(
        f'<Relationship Id="r{k}" Type="{office}/worksheet" Target="worksheets/sheet{k}.xml"/>'
        for k in ids
    )
    package = f'xmlns="{kinds}package/2006/relationships"'
    parts["xl/_rels/workbook.xml.rels"] = f"<Relationships {package}>{links}</Relationships>"
    parts["_rels/.rels"] = (
        f'<Relationships {package}><Relationship Id="r1" Type="{office}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>'
    )
    sheet = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    overrides = "".join(
        f'<Override PartName="/xl/worksheets/sheet{k}.xml" ContentType="{sheet}.worksheet+xml"/>'
        for k in ids
    )
    parts["[Content_Types].xml"] = (
        f'<Types xmlns="{kinds}package/2006/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{sheet}.sheet.main+xml"/>{overrides}'
        "</Types>"
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        for name, text in parts.items():
            book.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{text}')
    return path
