"""How truthfully the reader reads damaged files: Pollock (and csv-spectrum), a table by kind of pollution.

    python tests/benchmarks/pollock.py DIR…

DIR is a checkout of github.com/HPI-Information-Systems/Pollock (or its ``polluted_files``, or ``survey_sample``), or of
github.com/maxogden/csv-spectrum; neither is part of this project. Every file is read twice: with its form detected, and
with the form that the benchmark declares for it. The outcome of a file is the first that holds:

    refused    whole, with an error that says why
    exact      all rows and names as the clean answer has them
    contained  the damaged row alone was rejected, with its line; all others are right
    over       more rows than the damaged one were rejected; all that were taken are right
    wrong      a row was taken that the clean answer does not have: the one thing that must never happen

Exit status 1 when a file is wrong.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from syncer.errors import SourceError
from syncer.source import CsvForm, open_sources

OUTCOMES = ("exact", "contained", "over", "refused", "wrong")
csv.field_size_limit(1 << 30)


@dataclass(frozen=True)
class Case:
    """One file: its kind, its clean answer (the header first), the declared form, and the data row that is damaged."""

    path: Path
    kind: str
    answer: list[tuple[str, ...]]
    form: CsvForm
    damaged: int | None = None
    header_rows: int = 1


def pollock(folder: Path) -> Iterator[Case]:
    """Give the cases of a folder with ``csv``, ``clean`` and ``parameters``."""
    for path in sorted((folder / "csv").iterdir()):
        told = json.loads((folder / "parameters" / f"{path.name}_parameters.json").read_text(encoding="utf-8"))
        with (folder / "clean" / path.name).open(newline="", encoding=told["encoding"] or "ascii") as file:
            answer = [tuple(row) for row in csv.reader(file)]
        header = None
        if not told["header_lines"] and answer:
            header = tuple(f"column {place}" for place in range(1, len(answer[0]) + 1))
            answer.insert(0, header)
        delimiter, quote, escape = told["delimiter"], told["quotechar"], told["escapechar"]
        form = CsvForm(
            encoding=told["encoding"] or None,
            delimiter=delimiter[:1] or None,
            quote=quote,
            escape=escape if escape != quote else "",
            header=header,
            skip_lines=told["preamble_lines"],
        )
        row = re.match(r"row_\D+(\d+)_", path.name)
        kind = re.sub(r"_?\d+(_col\d+|_0x20)", "", path.stem) if row else path.stem
        kind = kind.removesuffix("_row")
        yield Case(path, kind, answer, form, int(row[1]) if row else None, told["header_lines"])


def spectrum(folder: Path) -> Iterator[Case]:
    """Give the cases of csv-spectrum: the answer of each is a list of objects."""
    for path in sorted((folder / "csvs").iterdir()):
        rows = json.loads((folder / "json" / f"{path.stem}.json").read_text(encoding="utf-8"))
        answer = [tuple(rows[0]), *(tuple(row.values()) for row in rows)]
        yield Case(path, path.stem, answer, CsvForm(encoding="utf-8", delimiter=",", quote='"', escape=""))


def judge(case: Case, form: CsvForm) -> tuple[str, str]:
    """Return the outcome of one file, and words about it."""
    try:
        with closing(open_sources([str(case.path)], form)[0]) as source:
            rows: list[tuple[str, ...]] = []
            rejected = []
            for chunk in source.chunks():
                rows += [tuple(row) for row in zip(*(column.to_pylist() for column in chunk.columns), strict=True)]
                rejected += [(row.line, row.code, row.message) for row in chunk.rejections]
    except SourceError as error:
        return "refused", f"{error.message} [next: {error.remedy}]"
    answer = list(case.answer)
    header = tuple(source.header)
    if not answer or header != answer[0]:
        return "wrong", f"the header is {header}"
    taken = 0
    missing = []
    for place, row in enumerate(answer[1:], 1):
        if taken < len(rows) and rows[taken] == row:
            taken += 1
        else:
            missing.append(place)
    if taken < len(rows):
        return "wrong", f"row {taken + 1} of those taken: {rows[taken]}"
    if not rejected:
        return ("exact", "") if not missing else ("wrong", f"rows {missing} are missing without a word")
    alone = missing == [case.damaged] if case.damaged is not None else len(missing) <= len(rejected)
    return "contained" if alone else "over", f"{missing} {rejected[:3]}"


def table(name: str, cases: list[Case], *, verbose: bool) -> int:
    """Print the table of one folder; return the number of wrong files."""
    wrong = 0
    for how in ("detected", "declared"):
        counts: dict[str, Counter[str]] = {}
        told = []
        for case in cases:
            outcome, words = judge(case, CsvForm() if how == "detected" else case.form)
            counts.setdefault(case.kind, Counter())[outcome] += 1
            if outcome == "wrong" or (verbose and outcome in {"refused", "over"}):
                told.append(f"  {outcome}: {case.path.name}: {words}")
        single = sum((each for each in counts.values() if each.total() == 1), Counter[str]())
        shown = {kind: each for kind, each in counts.items() if each.total() > 1} | {"(kinds of one file)": single}
        total = sum(counts.values(), Counter[str]())
        print(f"\n{name}, form {how}: {total.total()} files")
        print(f"  {'kind':32}" + "".join(f"{outcome:>11}" for outcome in OUTCOMES))
        for kind, each in {**shown, "total": total}.items():
            print(f"  {kind:32}" + "".join(f"{each[outcome]:11}" for outcome in OUTCOMES))
        print("\n".join(told))
        wrong += total["wrong"]
    return wrong


def main(arguments: list[str]) -> int:
    """Read every folder that is named; return the exit status."""
    verbose = "-v" in arguments
    wrong = 0
    folders = [Path(argument) for argument in arguments if argument != "-v"]
    if not folders:
        print(__doc__)
        return 2
    for folder in folders:
        inner = folder / "polluted_files" if (folder / "polluted_files").is_dir() else folder
        cases = spectrum(inner) if (inner / "csvs").is_dir() else pollock(inner)
        wrong += table(inner.name, list(cases), verbose=verbose)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
