"""Workbooks for tests: made by openpyxl, then edited as other programs would have written them."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import openpyxl

SHEET = "xl/worksheets/sheet1.xml"
STRINGS = "xl/sharedStrings.xml"
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings"
_NAMESPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def book(*rows: Sequence[Any], **sheets: Sequence[Sequence[Any]]) -> Any:
    """Return a workbook with these rows, and further sheets by their names."""
    made = openpyxl.Workbook()
    for row in rows:
        made.active.append(row)
    for name, others in sheets.items():
        sheet = made.create_sheet(name)
        for row in others:
            sheet.append(row)
    return made


def saved(made: Any) -> bytes:
    """Return a workbook as the bytes of its file, with its texts in the cells."""
    data = io.BytesIO()
    made.save(data)
    return data.getvalue()


def edited(data: bytes, member: str, change: Callable[[str], str]) -> bytes:
    """Return a workbook with the text of one member changed; it must change."""
    parts = members(data)
    changed = change(parts[member])
    assert changed != parts[member]
    return zipped({**parts, member: changed})


def shared(data: bytes) -> bytes:
    """Return a workbook with its texts in the table that Excel itself writes."""
    parts = members(data)
    texts: list[str] = []

    def move(found: re.Match[str]) -> str:
        texts.append(found[2])
        return f'<c{found[1]} t="s"><v>{len(texts) - 1}</v></c>'

    parts[SHEET] = re.sub(r'<c([^>]*) t="inlineStr"><is>(.*?)</is></c>', move, parts[SHEET], flags=re.DOTALL)
    table = "".join(f"<si>{text}</si>" for text in texts)
    parts[STRINGS] = f'<?xml version="1.0" encoding="UTF-8"?><sst xmlns="{_NAMESPACE}">{table}</sst>'
    types, relations = "[Content_Types].xml", "xl/_rels/workbook.xml.rels"
    override = f'<Override PartName="/{STRINGS}" ContentType="{_KIND}" />'
    parts[types] = parts[types].replace("</Types>", override + "</Types>")
    relation = f'<Relationship Type="{_RELATION}" Target="/{STRINGS}" Id="rIdTexts" />'
    parts[relations] = parts[relations].replace("</Relationships>", relation + "</Relationships>")
    return zipped(parts)


def members(data: bytes) -> dict[str, str]:
    """Return the texts of a workbook's parts."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name).decode() for name in file.namelist()}


def zipped(parts: dict[str, str]) -> bytes:
    """Return parts as one file."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in parts.items():
            file.writestr(name, text)
    return data.getvalue()
