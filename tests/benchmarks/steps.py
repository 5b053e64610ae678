"""Steps that are measured as whole processes, beside the program itself.

    python steps.py floor_arrow FILE      the least that reading takes: pyarrow.csv, streaming, every cell as text
    python steps.py floor_csv FILE        the same with the csv module
    python steps.py confirm               confirm everything that the ledger of this folder holds as planned
    python steps.py bytes_per_code        what a code takes in the ledger: state, items, indexes

``confirm`` writes what the engine writes after the API's answers: every batch is started and accepted first (in one
transaction, prepared and not counted), then the outcomes of 100 tasks are recorded together, as `TaskWatch` does with
the answer to one question. It prints the seconds of the second part.
"""

from __future__ import annotations

import csv
import json
import resource
import sys
import time

URL = "sqlite:///syncer.db"
AT = "2026-01-01T00:00:00.000Z"
TASKS_PER_ANSWER = 100


def floor_arrow(path: str) -> None:
    import pyarrow as pa
    import pyarrow.csv

    with open(path, encoding="utf-8") as file:
        names = file.readline().rstrip("\n").split(",")
    reader = pyarrow.csv.open_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(block_size=1 << 20, use_threads=False),
        convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    )
    print(sum(len(batch) for batch in reader))


def floor_csv(path: str) -> None:
    with open(path, newline="", encoding="utf-8") as file:
        print(sum(1 for _ in csv.reader(file)) - 1)


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def confirm() -> None:
    from syncer.ledger.ledger import Ledger
    from syncer.lifecycle.batch import State

    with Ledger.open_to_write(URL, at=AT) as ledger:
        run = ledger.runs(most=1)[0]
        writer = ledger.writer(run.id)
        waiting = ledger.batches(states=[State.PLANNED])
        with writer.together():
            for place, batch in enumerate(waiting):
                sending, attempt_id = writer.start(batch, f"erp-{batch.id}-{batch.attempts}", AT)
                waiting[place] = writer.accepted(sending, attempt_id, f"task-{batch.id}", AT)
        began_s, began_cpu_s = time.monotonic(), cpu_s()
        for first in range(0, len(waiting), TASKS_PER_ANSWER):
            with writer.together():
                for batch in waiting[first : first + TASKS_PER_ANSWER]:
                    writer.confirmed(batch, batch.size, AT)
        print(
            json.dumps(
                {
                    "seconds": time.monotonic() - began_s,
                    "cpu_s": cpu_s() - began_cpu_s,
                    "batches": len(waiting),
                    "codes": sum(batch.size for batch in waiting),
                }
            )
        )


def bytes_per_code() -> None:
    from syncer.ledger.ledger import Ledger

    ledger = Ledger.open_to_read(URL)
    assert ledger is not None
    with ledger, ledger.transaction() as connection:
        codes = connection.exec_driver_sql("SELECT count(*) FROM mirror").scalar_one()
        rows = connection.exec_driver_sql("SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC").all()
        print(json.dumps({"codes": codes, "file": ledger.path.stat().st_size, "tables": dict(map(tuple, rows))}))


if __name__ == "__main__":
    {"floor_arrow": floor_arrow, "floor_csv": floor_csv, "confirm": confirm, "bytes_per_code": bytes_per_code}[
        sys.argv[1]
    ](*sys.argv[2:])
