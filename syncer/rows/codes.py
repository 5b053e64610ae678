"""Every rejection code: what it means, and what to do. Words alone; docs/rejections.md shows the same table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CODES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "E101": ("another number of cells than the header", "add or take out a separator; quote cells that hold one"),
        "E102": ("a quote stands in the middle of a cell, or is not closed", "double it, and quote the whole cell"),
        "E103": ("the row contains a NUL character", "take it out in the source system"),
        "E104": ("behind a damaged quote: a row, or part of a cell", "correct the line that its message names"),
        "E105": ("the last row looks like a total or an end", "leave it out, or name it: jobs.<name>.table.end"),
        "E106": ("bytes that are not of the file's encoding", "correct them, or set jobs.<name>.csv.encoding"),
        "E107": ("a line end of another kind within the row", "quote the cell that holds it, or take it out"),
        "E108": ('a cell written as a formula: ="00123"', "jobs.<name>.table.unwrap = true, when it means its text"),
        "E109": ("the header again, in other letters or order", "leave it out, or name it: jobs.<name>.table.skip"),
        "E121": ("a number in Excel that may have lost digits", "format the column as text in Excel and export again"),
        "E122": ("a number whose text is not certain", "format the column as text in Excel and export again"),
        "E123": ("a logical value: its text is not certain", "format the column as text in Excel and export again"),
        "E124": ("an error value in Excel, like #N/A", "correct it in Excel and export again"),
        "E125": ("a formula in Excel without its value", "open and save the file in Excel, and export again"),
        "E126": ("a time where a day is expected", "give the day alone, or format the column as text"),
        "E127": ("half a character in Excel", "correct the text in Excel and export again"),
        "E128": ("a cell in Excel that is merged with another", 'jobs.<name>.table.merged = "fill", or unmerge it'),
        "E201": ("a key cell is blank", "give every row its key; rows without a code do not belong into the export"),
        "E202": (
            "a key cell begins or ends with white space",
            'trim it; or jobs.<name>.table.trim = "all": the API compares keys exactly',
        ),
        "E203": ("a key cell contains a control or an invisible character", "take it out in the source system"),
        "E210": ("one key stands with different data", "leave the row that is right"),
        "E301": ("a required field is blank", "fill it, or set jobs.<name>.fields.<key>.required = false"),
        "E302": ("blank, and the job rejects blanks", 'fill it, or set jobs.<name>.blank to "omit" or "clear"'),
        "E303": ("not a date of the declared formats", "correct it, or add to jobs.<name>.fields.<key>.formats"),
        "E304": ("not a whole number", "correct it in the source system"),
        "E305": ("not one of the choices", "correct it, or add it to jobs.<name>.fields.<key>.choices"),
        "E306": ("longer than allowed", "shorten it, or raise jobs.<name>.fields.<key>.max_length"),
        "E307": ("not an activation status", "0, 1, 2, inactive, active or blacklisted"),
        "E308": ("not a blacklist reason", "a number from 0 to 10"),
        "E309": ("no product of the company has this SKU or id", "create it in the portal, or correct the cell"),
        "E320": ("a value that the map does not have", "add it to jobs.<name>.fields.<key>.map, or set map_else"),
        "E321": ("a value in which extract finds nothing", "correct it, or jobs.<name>.fields.<key>.extract"),
        "E322": ("some columns of a template are blank", "fill them all, or none of them"),
        "E330": (
            "a unit with another number of codes",
            'export it whole, or correct jobs.<name>.units.<key>.codes; of changes: jobs.<name>.export = "changes"',
        ),
        "E331": ("rows of one unit that must be alike differ", "leave in each unit what is right"),
    }
)  # fmt: skip
"""Every rejection code: what it means, and what to do. docs/rejections.md shows the same table."""
