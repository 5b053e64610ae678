"""What the ERP exports, night by night: values change, rows come and go, cells are blank, columns are missing.

What always holds: what a file says is remembered, whether or not the program ever saw it.
"""

from __future__ import annotations

from sim.company import LATER
from sim.process import write_file
from sim.products import PRODUCT
from sim.spaces import LINK, MAIN


def merge(wanted, rows):
    """Lay rows over what was said before, field by field: the newest word counts."""
    for key, row in rows.items():
        wanted[key] = {**wanted.get(key, {}), **row}


def new_file(schedule):
    """Write the next night's export: some values change, a few rows come or go, cells are blank, columns missing."""
    schedule.version += 1
    groups = schedule.random.choice([1, 3, 50])
    columns = [name for name in ("m", "s") if schedule.random.random() >= schedule.gone] or ["m"]
    rows, life = {}, schedule.life
    schedule.job = schedule.company.jobs[schedule.version % len(schedule.company.jobs)]
    if schedule.spaces.several and schedule.jobs.random() < 0.5:
        schedule.job = schedule.jobs.choice([job for space in schedule.spaces.all[1:] for job in space.jobs])
    schedule.befall_jobs()
    space = schedule.spaces.of(schedule.job)
    for n, key in enumerate(space.named_by(schedule.job)):
        row = {}
        for name in columns:
            changed = schedule.random.random() < schedule.random.choice([0.05, 1.0])
            old = schedule.exported.get(key, {}).get(name)
            if schedule.random.random() >= schedule.blanks:
                row[name] = old if old and not changed else f"{schedule.version:04d}-{name}{n % groups}"
                if changed and schedule.goes_back and life.random() < 0.5:
                    row[name] = life.choice(sorted(schedule.asked[name].get(key, {row[name]})))
        if row and schedule.random.random() < schedule.present:
            rows[key] = row
    if not rows:  # an export without a row is no export, and is refused
        rows[space.named_by(schedule.job)[0]] = {columns[0]: f"{schedule.version:04d}-{columns[0]}0"}
    schedule.last = rows
    if space.columns == (MAIN,) and schedule.jobs.random() < schedule.spaces.link:
        columns = [*columns, LINK]
        for key, row in rows.items():
            told = schedule.exported.get(key, {}).get(LINK)
            row[LINK] = schedule.spaces.case_of(int(key[1:]), told, schedule.jobs)
    if schedule.products.add_to(rows, schedule.exported):
        columns = [*columns, PRODUCT]
    if schedule.discards:
        columns = [*columns, LATER]
        for row in rows.values():
            row[LATER] = f"{schedule.version:04d}"
    sized = schedule.company.expect == "column"
    header = [*space.jobs[schedule.job], *columns, *(["size"] if sized else [])]
    cells = [
        [
            *space.cells(schedule.job, key),
            *(row.get(name) for name in columns),
            *([str(schedule.company.reach(int(key[1:])))] if sized else []),
        ]
        for key, row in rows.items()
    ]
    name = f"night-{schedule.version}.csv"
    schedule.files[name] = (schedule.job, rows)
    schedule.path = write_file(name, header, cells)
    merge(schedule.exported, rows)
    for key, row in rows.items():
        for name, value in row.items():
            schedule.asked.setdefault(name, {}).setdefault(key, set()).add(value)
    return rows
