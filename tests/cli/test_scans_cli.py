"""`syncer scans` at the command line: one document whatever happens, and the exit codes of the contract."""

from __future__ import annotations

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
        ("--into-ledger", "--out", "x"), ("--product", "NO-SUCH-SKU"), ("--status", "sleeping"), ("--timeframe", "soon"),
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
    done = here.run(*PULL, "--out", "file/scans")
    assert (done.code, done.document["error"]["code"]) == (13, "ledger-write")
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
