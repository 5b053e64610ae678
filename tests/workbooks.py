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
    members = _members(data)
    changed = change(members[member])
    assert changed != members[member]
    return _zipped({**members, member: changed})


def shared(data: bytes) -> bytes:
    """Return a workbook with its texts in the table that Excel itself writes."""
    members = _members(data)
    texts: list[str] = []

    def move(found: re.Match[str]) -> str:
        texts.append(found[2])
        return f'<c{found[1]} t="s"><v>{len(texts) - 1}</v></c>'

    members[SHEET] = re.sub(r'<c([^>]*) t="inlineStr"><is>(.*?)</is></c>', move, members[SHEET], flags=re.DOTALL)
    table = "".join(f"<si>{text}</si>" for text in texts)
    members[STRINGS] = f'<?xml version="1.0" encoding="UTF-8"?><sst xmlns="{_NAMESPACE}">{table}</sst>'
    types, relations = "[Content_Types].xml", "xl/_rels/workbook.xml.rels"
    override = f'<Override PartName="/{STRINGS}" ContentType="{_KIND}" />'
    members[types] = members[types].replace("</Types>", override + "</Types>")
    relation = f'<Relationship Type="{_RELATION}" Target="/{STRINGS}" Id="rIdTexts" />'
    members[relations] = members[relations].replace("</Relationships>", relation + "</Relationships>")
    return _zipped(members)


def _members(data: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name).decode() for name in file.namelist()}


def _zipped(members: dict[str, str]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in members.items():
            file.writestr(name, text)
    return data.getvalue()
