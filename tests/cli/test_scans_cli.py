"""`syncer scans` at the command line: one document whatever happens, and the exit codes of the contract."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from scan_tools import SCANS_END, delivered, everything, uuids

PULL = ("scans", "pull", "--campaign", "1", "--json")


@pytest.fixture
def here(night):
    with night(scans=30, scans_end=SCANS_END, scans_days=3.0, products=frozenset({"SAMPLE"})) as opened:
        yield opened


def test_a_pull_says_what_it_did_and_the_ledger_stays_whole(here):
    done = here.run(*PULL, "--format", "jsonl", "--out", "out")
    assert (done.code, done.document["exit_code"], done.document["complete"]) == (0, 0, True)
    assert done.document["scans"] == {"delivered": 30, "repeated": 0, "too_late": 0, "missing": 0, "total": 30}
    assert done.document["fields"] == ["case_no", "intended_market", "production_date", "remark"]
    assert uuids(here.folder / "out") == everything(here)
    again = here.run("scans", "pull", "--campaign", "1", "--format", "jsonl", "--out", "out")
    assert (again.code, "0 new scans" in again.out) == (0, True)
    assert here.run(*PULL, "--into-ledger").code == 0
    assert here.run("ledger", "check").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("--timeframe", "1w", "--from", "2021-01-01"), ("--from", "yesterday"), ("--where", "lot"),
        ("--where", "lot=1", "--where", "lot=2"), ("--where", "campaign_id=7"), ("--into-ledger", "--raw-csv"),
        ("--into-ledger", "--out", "x"), ("--product", "NO-SUCH-SKU"), ("--status", "sleeping"), ("--timeframe", "soon"), ("--timeframe", "0d"),
        ("--from", "2026-01-02", "--to", "2026-01-01"), ("--into-ledger", "--format", "csv"), ("--raw-csv", "--format", "csv"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_in_one_document(here, arguments):
    done = here.run(*PULL, *arguments)
    assert (done.code, done.document["exit_code"], done.document["error"]["code"]) == (2, 2, "usage")
    assert done.document["error"]["next"]


@pytest.mark.parametrize(
    "where", [("--out", "-"), ("--out", "file"), ("--raw-csv", "--out", "-"), ("--raw-csv", "--out", "no/x")]
)
def test_a_place_that_scans_cannot_go_to_is_refused_before_the_api_is_asked(here, where):
    (here.folder / "file").write_text("")
    done = here.run(*PULL, *where)
    assert (done.code, done.document["error"]["code"], len(here.box.requests)) == (2, "usage", 0)
    assert done.document["error"]["next"] in {"syncer scans pull --help", "mkdir -p no"}
    assert not (here.folder / "-").exists()


def test_after_a_folder_that_cannot_be_written_the_same_pull_is_the_next_command(here):
    (here.folder / "file").write_text("")
    assert here.run(*PULL, "--out", "file/scans").code == 2, "no folder can be there"
    done = here.run(*PULL, "--out", "x" * 300)
    assert (done.code, done.document["error"]["code"]) == (1, "output")
    assert done.document["error"]["next"].startswith("syncer scans pull ")  # no run of sync is open


def test_no_token_no_access_and_no_server_have_their_exit_codes(here, night):
    assert here.run(*PULL, SYNCER_API__TOKEN="").code == 2
    done = here.run(*PULL, SYNCER_API__BASE_URL="http://127.0.0.1:9", SYNCER_API__GIVE_UP_AFTER_S="0.3")
    assert (done.code, done.document["error"]["code"]) == (5, "unreachable")
    assert here.run(*PULL, SYNCER_API__BASE_URL=f"{here.box.url}/elsewhere").code == 5


def test_a_deadline_stops_resumably(here):
    done = here.run(*PULL, "--deadline", "0", "--out", "out", "--format", "jsonl")
    assert (done.code, done.document["complete"]) == (10, False)
    assert done.document["error"]["next"].startswith("syncer scans pull --campaign 1 ")
    assert here.run(*PULL, "--out", "out", "--format", "jsonl").code == 0
    assert uuids(here.folder / "out") == everything(here)


def test_the_raw_csv_of_an_answer_that_breaks_off_is_read_again_whole(night):
    faults = ({"kind": "truncate", "on": "scans_csv", "nth": 1}, {"kind": "status", "on": "scans_csv", "nth": 2})
    with night(scans=30, scans_end=SCANS_END, faults=faults) as here:
        done = here.run(*PULL, "--raw-csv", "--out", "all.csv")
        assert done.code == 3, "made-up products have a comma in their name"
        lines = (here.folder / "all.csv").read_text(encoding="utf-8").splitlines()
        assert len(lines) == done.document["lines"] + 1 == 31
        cells = lines[0].count(",")
        wrong = [number for number, line in enumerate(lines, 1) if line.count(",") != cells]
        assert done.document["broken_lines"] == wrong[:20]
        assert [path.name for path in here.folder.glob("all.csv*")] == ["all.csv"]


NO_CSV = [
    {"kind": "html"},
    {"kind": "garbage"},
    {"kind": "body", "text": ""},
    {"kind": "body", "text": '{"detail":"busy"}'},
]


@pytest.mark.parametrize("fault", NO_CSV, ids=str)
def test_what_is_no_csv_is_asked_for_again_and_never_put_in_place_of_one(night, fault):
    with night(scans=30, scans_end=SCANS_END, faults=({**fault, "on": "scans_csv", "nth": 1},)) as here:
        (here.folder / "all.csv").write_text("the good one")
        assert here.run(*PULL, "--raw-csv", "--out", "all.csv").document["lines"] == 30
        assert (here.folder / "all.csv").read_text().startswith("scan.uuid,scan.datetime,")
    with night(scans=30, scans_end=SCANS_END, faults=({**fault, "on": "scans_csv", "every": 1},)) as here:
        (here.folder / "all.csv").write_text("the good one")
        done = here.run(*PULL, "--raw-csv", "--out", "all.csv", SYNCER_API__GIVE_UP_AFTER_S="0.3")
        assert (done.code, done.document["error"]["code"]) == (5, "unreachable")
        assert [(path.name, path.read_text()) for path in here.folder.glob("all*")] == [("all.csv", "the good one")]


@pytest.mark.parametrize("more", [("--out", "out"), ("--raw-csv", "--out", "all.csv")])
@pytest.mark.parametrize("status_code", [404, 410])
def test_a_campaign_that_is_missing_is_named_and_the_address_is_not_blamed(night, more, status_code):
    gone = {"kind": "status", "status_code": status_code, "every": 1}
    faults = ({**gone, "on": "scans"}, {**gone, "on": "scans_csv"})
    with night(scans=30, scans_end=SCANS_END, faults=faults) as here:
        done = here.run("scans", "pull", "--campaign", "77", "--json", *more)
        assert (done.code, done.document["error"]["code"]) == (2, "usage")
        assert "campaign 77" in done.document["error"]["message"]
        elsewhere = here.run(*PULL, *more, SYNCER_API__BASE_URL=f"{here.box.url}/elsewhere")
        assert (elsewhere.code, "is not the API" in elsewhere.document["error"]["message"]) == (5, True)


def test_no_csv_is_written_by_the_ledger_of_another_address(here):
    assert here.run(*PULL, "--out", "out").code == 0
    before = len(here.box.requests)
    with closing(sqlite3.connect(here.folder / "syncer.db")) as database, database:
        database.execute("UPDATE ledger SET base_url = 'https://elsewhere.example'")
    done = here.run(*PULL, "--raw-csv", "--out", "all.csv")
    assert (done.code, done.document["error"]["code"]) == (2, "target-changed")
    assert (len(here.box.requests), (here.folder / "all.csv").exists()) == (before, False)


def test_blanks_around_a_time_mean_nothing(here):
    for again in (30, 0):
        done = here.run(*PULL, "--from", " 2025-11-20", "--out", "out")
        assert (done.code, done.document["scans"]["delivered"]) == (0, again)


def test_a_day_alone_is_included_whole(here):
    here.box.scan(creation_date="2026-01-05T23:59:59.5Z")
    here.box.scan(creation_date="2026-01-06T00:00:00Z")
    for place, bounds in enumerate((("2026-01-05", "2026-01-05"), ("2026-01-05T12:00:00Z", "2026-01-05"))):
        done = here.run(*PULL, "--from", bounds[0], "--to", bounds[1], "--out", f"out{place}")
        assert done.document["scans"]["delivered"] == 1
    assert here.run(*PULL, "--to", "2026-01-05T00:00:00Z", "--out", "out").document["scans"]["delivered"] == 30


def test_after_a_restore_nothing_that_was_delivered_is_removed(here):
    pull = (*PULL, "--out", "out")
    assert here.run(*pull).code == 0
    assert here.run("ledger", "backup", "b.db").code == 0
    here.box.scan(creation_date="2026-01-01T00:00:01Z")
    assert here.run(*pull).document["parts"]["total"] == 2
    second = (here.folder / "out" / "part-000002.csv").read_bytes()
    assert here.run("ledger", "restore", "b.db").code == 0
    done = here.run(*pull)
    assert (done.code, "part-000002.csv" in done.document["error"]["message"]) == (2, True)
    assert (here.folder / "out" / "part-000002.csv").read_bytes() == second
    (here.folder / "out" / "part-000002.csv").rename(here.folder / "aside.csv")
    again = here.run(*pull)
    assert (again.document["scans"]["delivered"], "in parts beyond 1, come again" in again.err) == (1, True)
    assert (here.folder / "out" / "part-000002.csv").read_bytes() == second
    assert "come again" not in here.run(*pull).err


def test_a_pull_that_was_refused_or_found_nothing_leaves_its_folder_to_another(here):
    assert here.run("scans", "pull", "--campaign", "77", "--json", "--out", "out").document["complete"]
    here.box.faults.replace([{"kind": "status", "status_code": 400, "on": "scans", "every": 1}])
    assert here.run(*PULL, "--status", "active", "--out", "out").code == 2
    here.box.faults.replace([])
    assert here.run(*PULL, "--out", "out").document["scans"]["delivered"] == 30
    assert here.run(*PULL, "--status", "active", "--out", "out").code == 2


@pytest.mark.parametrize("fault", [{"kind": "status"}, {"kind": "status", "status_code": 429}, {"kind": "drop_before"}])
@pytest.mark.parametrize("more", [("--out", "out"), ("--raw-csv", "--out", "all.csv")])
def test_a_sku_that_cannot_be_looked_up_for_a_moment_is_looked_up_again(night, fault, more):
    faults = ({**fault, "on": "products", "nth": 1},)
    with night(scans=30, scans_end=SCANS_END, products=frozenset({"SAMPLE"}), faults=faults) as here:
        (sample,) = here.box.catalogue.select({})
        here.box.scan(product_id=sample["id"], product_name="S")
        done = here.run(*PULL, "--product", "SAMPLE", *more)
        assert done.code == 0
        assert [request.call for request in here.box.requests][:3] == [
            "products",
            "products",
            "scans" + "_csv" * len(more[2:]),
        ]
        assert (done.document.get("lines") or done.document["scans"]["delivered"]) == 1


@pytest.mark.parametrize(
    ("fault", "code", "error"),
    [({"kind": "status", "status_code": 503}, 5, "unreachable"), ({"kind": "html"}, 5, "unreachable"),
     ({"kind": "status", "status_code": 401}, 12, "access")],
)  # fmt: skip
def test_a_sku_that_can_never_be_looked_up_says_why_and_it_is_no_fault_of_the_command_line(night, fault, code, error):
    with night(scans=3, scans_end=SCANS_END, faults=({**fault, "on": "products", "every": 1},)) as here:
        done = here.run(*PULL, "--product", "SAMPLE", SYNCER_API__GIVE_UP_AFTER_S="0.5")
        assert (done.code, done.document["exit_code"], done.document["error"]["code"]) == (code, code, error)
        assert "resume" not in done.document["error"]["next"]
        assert not [request for request in here.box.requests if request.call == "scans"]


def test_a_token_without_product_view_asks_for_products_by_their_ids_alone(night):
    with night(scans=0, tokens={"canary-4f9a1c": frozenset({"scans_download"})}) as here:
        here.box.scan(product_id=332)
        assert here.run(*PULL, "--product", "332", "--out", "a").document["scans"]["delivered"] == 1
        assert here.run(*PULL, "--product", "id:332", "--out", "b").document["scans"]["delivered"] == 1
        done = here.run(*PULL, "--product", "SAMPLE")
        assert (done.code, done.document["error"]["code"]) == (12, "access")
        assert "product_view" in done.document["error"]["message"]
        assert "--product id:332" in done.document["error"]["message"]


def test_a_product_that_is_archived_has_scans_too(here):
    (sample,) = here.box.catalogue.select({})
    here.box.catalogue.change("SAMPLE", {"is_archived": True})
    here.box.scan(product_id=sample["id"])
    assert here.run(*PULL, "--product", "SAMPLE", "--out", "a").document["scans"]["delivered"] == 1


def test_the_sandboxs_made_up_scans_are_of_products_that_it_has(night):
    with night(scans=60, scans_end=SCANS_END) as here:
        for sku in ("TEA-GREEN", "SS001"):
            done = here.run(*PULL, "--product", sku, "--out", sku, "--format", "jsonl")
            assert done.document["scans"]["delivered"] > 0
            assert {row["product.sku"] for row in delivered(here.folder / sku)} == {sku}


def test_a_pull_that_never_found_a_scan_says_so(here):
    for _ in range(2):
        done = here.run("scans", "pull", "--campaign", "7")
        assert (done.code, "1 page," in done.out, "no scan so far" in done.out) == (0, True, True)
    assert "no scan so far" not in here.run("scans", "pull", "--campaign", "1").out


def test_on_a_terminal_the_number_of_scans_goes_up(here):
    seen = here.on_terminal("scans", "pull", "--campaign", "1", columns=120)
    assert "reading scans" in seen
    assert "rows read" not in seen
