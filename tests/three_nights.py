"""Three nights against the sandbox, by real runs: a good one, a bad one, a terrible one; each leaves a page behind."""

from __future__ import annotations

from conftest import Night

HEADER = ["extended_id", "case_no", "market", "best_before"]
CODES = 3_000


def rows(market, cases, *, begin=0, end=CODES):
    """Rows of codes in cases of 24; `cases` begins the cases' numbers."""
    return [[f"K{n:06d}", f"{cases}-{n // 24:04d}", market(n), "2027-06-30"] for n in range(begin, end)]


def good(here: Night) -> str:
    """Load the codes, then run a night with a few changes: all is confirmed."""
    here.sync(here.write("n1.csv", HEADER, rows(lambda n: "DE", "C")))
    here.sync(here.write("n2.csv", HEADER, rows(lambda n: "FR" if n % 10 == 0 else "DE", "C")))
    here.run("report", "--out", "good.html")
    return "good.html"


def bad(here: Night) -> str:
    """A night that ends with 3: keys that nobody has, rows that are not valid, an API that is busy now and then."""
    here.box.faults.replace([{"kind": "status", "on": "any", "every": 9, "status_code": 503}])
    lines = rows(lambda n: "IT" if n % 3 == 0 else "FR", "C")
    lines += [[f"GONE{n:05d}", "C-9999", "IT", "2027-06-30"] for n in range(14)]
    lines += [["", "C-0001", "IT", "2027-06-30"]] * 9 + [["K000001", "C-0002", "ES", "2027-06-30"]]
    here.sync(here.write("n3.csv", HEADER, lines), "--approve")
    here.box.faults.replace([])
    here.run("report", "--out", "bad.html")
    return "bad.html"


def terrible(here: Night) -> str:
    """A night in which one task fails, one hangs for ever, and answers are lost, until its deadline comes."""
    here.box.faults.replace(
        [
            {"kind": "task_fail", "on": "async", "nth": 1},
            {"kind": "task_stuck", "on": "async", "nth": 2},
            {"kind": "status", "on": "sync", "nth": 1, "status_code": 429, "seconds": 0.3},
            {"kind": "drop_after", "on": "sync", "every": 4},
        ]
    )
    lines = rows(lambda n: "ES", "C", end=2_000) + rows(lambda n: f"M{n % 40}", "D", begin=2_000)
    here.sync(here.write("n4; rm -rf ~ <b>.csv", HEADER, lines), "--approve", "--deadline", "4")
    here.box.faults.replace([])
    here.run("report", "--last", "14", "--out", "terrible.html")
    return "terrible.html"
