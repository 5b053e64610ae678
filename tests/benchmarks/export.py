"""The files that are measured: what an ERP exports of 1 or 10 million codes, and the same a night later.

    python export.py FILE ROWS [--night N] [--wide] [--scattered]

Per row: a key of 23 characters, unique; product (200), intended_market (40), production_date (400), case_no (one per
24 rows), activation_status, and a unique column that is not sent. ``--night N`` changes the activation status of 1 %
of the rows (others each night) and adds 0.1 % new ones. ``--wide`` makes the column that is not sent 400 characters
wide. ``--scattered`` draws the keys from all over their range, as random serial numbers are; otherwise they ascend.
Deterministic.
"""

from __future__ import annotations

import sys

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

BLOCK_ROWS = 500_000
CASE_ROWS = 24


def joined(prefix: str, numbers: np.ndarray, digits: int) -> pa.Array:
    """Return texts of a prefix and a number with leading zeros."""
    return pc.binary_join_element_wise(prefix, pc.utf8_lpad(pa.array(numbers).cast(pa.string()), digits, "0"), "")


def block(begin: int, end: int, night: int, *, wide: bool, scattered: bool) -> pa.Table:
    """Return rows `begin` to `end` as they stand after `night` nights."""
    row = np.arange(begin, end, dtype=np.int64)
    case = row // CASE_ROWS
    number = row * 2654435761 % 2**32 if scattered else row  # an odd factor: no number comes twice
    status = np.ones(len(row), np.int64)
    for past in range(1, night + 1):
        changed = (row * 2654435761 + past * 40503) % 10007 % 100 == 0
        status[changed] = (status[changed] + 1) % 3
    days = np.datetime64("2025-01-01") + (case * 31 % 400)
    free = joined("order ", row * 48271 % 2147483647, 10)
    if wide:
        free = pc.binary_join_element_wise(free, "x" * 384, "")
    return pa.table(
        {
            "extended_id": joined("HGDTQD54D5SD", number, 11),
            "product": joined("SKU", case * 7919 % 200, 3),
            "intended_market": joined("M", case * 104729 % 40, 2),
            "production_date": pa.array(days.astype("datetime64[D]").astype(str)),
            "case_no": joined("C", case, 7),
            "activation_status": pa.array(status).cast(pa.string()),
            "order_line": free,
        }
    )


def write(path: str, rows: int, *, night: int = 0, wide: bool = False, scattered: bool = False) -> None:
    """Write the file of `rows` codes, of which 0.1 % are new each night."""
    rows += rows // 1000 * night
    options = pyarrow.csv.WriteOptions(quoting_style="none", include_header=False)
    with pa.OSFile(path, "wb") as file:
        for begin in range(0, rows, BLOCK_ROWS):
            table = block(begin, min(begin + BLOCK_ROWS, rows), night, wide=wide, scattered=scattered)
            if not begin:
                file.write((",".join(table.schema.names) + "\n").encode())
            pyarrow.csv.write_csv(table, file, options)


if __name__ == "__main__":
    nights = int(sys.argv[sys.argv.index("--night") + 1]) if "--night" in sys.argv else 0
    write(sys.argv[1], int(sys.argv[2]), night=nights, wide="--wide" in sys.argv, scattered="--scattered" in sys.argv)
