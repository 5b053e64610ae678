"""What others do with the same file, run by the virtual environment of the peers (requirements.txt here).

python peers.py dlt FILE FOLDER      dlt: pandas chunks, merged by key into DuckDB
"""

from __future__ import annotations

import os
import sys


def merge(path: str, folder: str) -> None:
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import dlt
    import pandas as pd

    @dlt.resource(name="codes", primary_key="extended_id", write_disposition="merge")
    def codes():
        yield from pd.read_csv(path, chunksize=100_000, dtype=str, keep_default_na=False)

    pipeline = dlt.pipeline(
        "bench", pipelines_dir=folder, destination=dlt.destinations.duckdb(f"{folder}/peer.duckdb"), dataset_name="erp"
    )
    pipeline.run(codes())


if __name__ == "__main__":
    {"dlt": merge}[sys.argv[1]](*sys.argv[2:])
