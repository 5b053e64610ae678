"""The sync job over HTTP: from file to confirmed, with the server's state compared in full."""

from __future__ import annotations

import csv

from conftest import codes
from listeners import wait_for


def market_rows(count, markets=3):
    return [(f"K{n:06d}", f"m{n % markets}", "2026-01-01") for n in range(count)]


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


HEADER = ("extended_id", "intended_market", "production_date")


def expected(rows, header=HEADER):
    return {
        row[0]: {
            "activation_status": "0",
            **{name: cell for name, cell in zip(header[1:], row[1:], strict=True) if cell},
        }
        for row in rows
    }


def test_every_row_arrives_in_the_fewest_calls_and_a_second_run_sends_nothing(night):
    rows = market_rows(2500) + [(f"K{n:06d}", f"single{n}", "2026-02-02") for n in range(2500, 2700)]
    with night(codes=codes(2700)) as here:
        done = here.sync(here.write("a.csv", HEADER, rows))
        assert done.code == 0, done.err
        assert done.document["values"]["confirmed"] == 2700
        assert done.document["requests"]["updates"] == done.document["requests"]["minimum_updates"] == 5
        assert done.document["batches"] == {"sync": 2, "async": 3}
        assert here.server() == expected(rows)
        updates = len(here.box.calls("async")) + len(here.box.calls("sync"))
        again = here.sync("a.csv")
        assert again.code == 0
        assert again.document["rows"] == {
            "read": 2700, "new": 0, "changed": 0, "unchanged": 2700, "duplicate": 0, "invalid": 0, "held": 0,
        }  # fmt: skip
        assert again.document["requests"]["updates"] == 0
        assert len(here.box.calls("async")) + len(here.box.calls("sync")) == updates
        assert here.box.world.violations == []
        assert here.run("ledger", "check").code == 0


def test_only_what_changed_is_sent(night):
    rows = market_rows(300)
    with night(codes=codes(301)) as here:
        here.sync(here.write("a.csv", HEADER, rows))
        rows[7] = ("K000007", "changed", "2026-01-01")
        rows.append(("K000300", "new", "2026-01-01"))
        done = here.sync(here.write("b.csv", HEADER, rows))
        assert (done.document["rows"]["changed"], done.document["rows"]["new"]) == (1, 1)
        assert done.document["requests"]["updates"] == 1
        assert here.server() == expected(rows)


def test_force_sends_unchanged_rows_too(night):
    with night(codes=codes(10)) as here:
        here.sync(here.write("a.csv", HEADER, market_rows(10)))
        done = here.sync("a.csv", "--force")
        assert done.document["rows"]["unchanged"] == 10
        assert done.document["values"]["confirmed"] == 10
        assert done.document["requests"]["updates"] == 1


def test_cells_travel_as_they_are_from_file_to_server(night):
    cells = [
        "007",
        "NA",
        "null",
        "None",
        "1E5",
        "12345678901234567890",
        " x ",
        "=1+1",
        "ümläut",
        'q"q',
        "a,b",
        "l1\nl2",
    ]
    rows = [(f"K{n:06d}", cell) for n, cell in enumerate(cells)]
    with night(codes=codes(len(cells))) as here:
        done = here.sync(here.write("a.csv", ("extended_id", "note"), rows))
        assert done.code == 0, done.err
        assert here.server() == expected(rows, ("extended_id", "note"))


def test_an_export_keyed_by_case_number_reaches_every_code_of_each_case(night):
    world = tuple({"extended_id": f"K{n:06d}", "case_no": f"C{n // 24:04d}"} for n in range(24 * 120))
    rows = [(f"C{n:04d}", "DE" if n < 110 else f"x{n}") for n in range(120)]
    with night(codes=world, sync_keys=None) as here:
        here.config('[jobs.cases]\nkey = "case_no"\nexpect = 24\n')
        done = here.sync(here.write("a.csv", ("case_no", "intended_market"), rows))
        assert done.code == 0, (done.document["error"], done.err)
        assert done.document["values"]["confirmed"] == 120
        assert done.document["requests"]["updates"] == done.document["requests"]["minimum_updates"] == 2
        markets = dict(rows)
        assert all(code["intended_market"] == markets[code["case_no"]] for code in here.box.codes())


def test_a_case_that_no_code_bears_is_found_among_cases_of_many_codes(night):
    world = tuple({"extended_id": f"K{n:06d}", "case_no": f"C{n // 24:04d}"} for n in range(24 * 150))
    rows = [(f"C{n:04d}", "DE") for n in range(150)] + [("C-missing", "DE")]
    with night(codes=world, sync_keys=None) as here:
        here.config('[jobs.cases]\nkey = "case_no"\n')
        done = here.sync(here.write("a.csv", ("case_no", "intended_market"), rows))
        assert done.code == 3
        assert (done.document["values"]["confirmed"], done.document["values"]["unmatched"]) == (150, 1)
        assert [concern["example"] for concern in done.document["concerns"]] == ["C-missing"]


def test_two_key_columns_select_only_the_pairs_that_rows_name(night):
    world = tuple(
        {"extended_id": f"K{case:03d}{lot}", "case_no": f"C{case:03d}", "lot": f"L{lot}"}
        for case in range(40)
        for lot in range(3)
    )
    rows = [(f"C{case:03d}", f"L{case % 3}", f"m{case % 2}") for case in range(40)]
    with night(codes=world) as here:
        here.config('[jobs.pairs]\nkey = ["case_no", "lot"]\nexpect = 1\n')
        done = here.sync(here.write("a.csv", ("case_no", "lot", "intended_market"), rows))
        assert done.code == 0, (done.document["error"], done.err)
        assert done.document["requests"]["updates"] == done.document["requests"]["minimum_updates"] == 6
        wanted = {(case, lot): market for case, lot, market in rows}
        for code in here.box.codes():
            assert code.get("intended_market") == wanted.get((code["case_no"], code["lot"]))
        assert here.box.world.violations == []


def test_product_and_activation_changes_arrive(night):
    rows = [(f"K{n:06d}", "SKU-2" if n % 2 else "SKU-1", ("active", "Inactive", "2")[n % 3], "4" if n % 3 == 2 else "")
            for n in range(30)]  # fmt: skip
    with night(codes=codes(30), products=frozenset({"SKU-1", "SKU-2"})) as here:
        header = ("extended_id", "product", "activation_status", "blacklist_reason")
        done = here.sync(here.write("a.csv", header, rows))
        assert done.code == 0, (done.document["error"], done.err)
        status = {"active": "1", "Inactive": "0", "2": "2"}
        for n, code in enumerate(here.box.codes()):
            assert code["product"] == rows[n][1]
            assert code["activation_status"] == status[rows[n][2]]
            assert code.get("blacklist_reason") == (rows[n][3] or None)


def test_blank_clear_empties_fields_and_omit_leaves_them_alone(night):
    with night(codes=codes(4, intended_market="old", lot="L1")) as here:
        rows = [("K000000", "", "L2"), ("K000001", "new", ""), ("K000002", "", ""), ("K000003", "x", "y")]
        here.write("a.csv", ("extended_id", "intended_market", "lot"), rows)
        here.config('[jobs.default]\nblank = "clear"\n')
        assert here.sync("a.csv").code == 0
        server = here.server()
        assert "intended_market" not in server["K000000"]
        assert server["K000000"]["lot"] == "L2"
        assert server["K000001"] == {"activation_status": "0", "intended_market": "new"}
        assert server["K000002"] == {"activation_status": "0"}
        here.config('[jobs.default]\nblank = "omit"\n')
        done = here.sync(
            here.write("b.csv", ("extended_id", "intended_market", "lot"), [("K000003", "", "z"), ("K000001", "", "")])
        )
        assert done.document["rows"]["unchanged"] == 1  # a row that says nothing
        assert here.server()["K000003"] == {"activation_status": "0", "intended_market": "x", "lot": "z"}


def test_discarded_fields_are_named_and_the_run_is_not_green(night):
    with night(codes=codes(20), campaigns={1: frozenset({"lot"})}) as here:
        done = here.sync(
            here.write("a.csv", ("extended_id", "lot", "colour"), [(f"K{n:06d}", f"L{n}", "red") for n in range(20)])
        )
        assert done.document["discarded_fields"] == ["colour"]
        assert done.code == 3
        assert done.document["values"]["confirmed"] == 20


def test_unmatched_values_of_an_async_batch_are_found_exactly(night):
    rows = [(f"K{n:06d}", "DE") for n in range(1000)]
    missing = {3, 500, 999}
    world = tuple(code for n, code in enumerate(codes(1000)) if n not in missing)
    with night(codes=world) as here:
        done = here.sync(here.write("a.csv", ("extended_id", "intended_market"), rows))
        assert done.code == 3
        assert done.document["values"]["unmatched"] == 3
        assert done.document["values"]["confirmed"] == 997
        history = {n: here.run("audit", "show", "--json", f"K{n:06d}").document["entries"] for n in (3, 4)}
        assert history[3][-1]["outcome"] == "unmatched"
        assert (history[4][-1]["outcome"], history[4][-1]["confirmed_now"]) == ("confirmed", True)


def test_a_serial_number_that_two_codes_share_is_told_as_that_and_not_as_a_code_that_is_missing(night):
    with night(codes=[{"extended_id": f"K{n}", "serial_number": f"S{n // 2}"} for n in range(2)]) as here:
        here.write("n.csv", ["serial_number", "market"], [("S0", "DE")])
        done = here.run("sync", "n.csv")
        assert done.code == 3
        assert "the API counts 2 codes for this value" in " ".join(done.out.split())
        assert "unique = false" in done.out
        assert "the API has no code" not in done.out
        here.config("[jobs.default]\nunique = false\n")
        assert here.sync("n.csv").code == 0


def test_one_defective_item_does_not_stop_the_other_ninety_nine(night):
    rows = [(f"K{n:06d}", f"SKU-{n}") for n in range(100)]
    known = frozenset(f"SKU-{n}" for n in range(100) if n != 42)
    with night(codes=codes(100), products=known) as here:
        done = here.sync(here.write("a.csv", ("extended_id", "product"), rows), SYNCER_PRODUCTS__CHECK="false")
        assert done.code == 3
        assert (done.document["values"]["confirmed"], done.document["values"]["rejected"]) == (99, 1)
        assert "SKU-42" in done.document["concerns"][0]["message"]


def test_a_refused_async_batch_carries_the_apis_words_to_every_row(night):
    rows = [(f"K{n:06d}", "SKU-1") for n in range(150)]
    with night(codes=codes(150), products=frozenset({"other"})) as here:
        name = here.write("a.csv", ("extended_id", "product"), rows)
        done = here.sync(name, "--results", "out", SYNCER_PRODUCTS__CHECK="false")
        assert done.document["values"]["rejected"] == 150
        errors = rows_of(here.folder / "out" / "error.csv")
        assert len(errors) == 150
        assert all("does not exist" in row["_message"] for row in errors)


def test_the_results_folder_accounts_for_every_row_and_errors_can_be_mended_and_fed_again(night):
    rows = [
        ("K000000", "DE"),
        ("K000001", "FR"),
        ("K000001", "FR"),
        ("", "IT"),
        ("K-none", "US"),
        ("K000002", "a"),
        ("K000002", "b"),
    ]
    with night(codes=codes(3)) as here:
        (here.folder / "a.csv").write_text(
            "extended_id,intended_market\n" + "".join(f"{k},{m}\n" for k, m in rows) + "K000000,x,y\n"
        )
        done = here.sync("a.csv", "--results", "out")
        assert done.code == 3
        assert done.document["rows"] == {
            "read": 8, "new": 3, "changed": 0, "unchanged": 0, "duplicate": 1, "invalid": 4, "held": 0,
        }  # fmt: skip
        found = {}
        for name in ("confirmed", "error", "unprocessed"):
            for row in rows_of(here.folder / "out" / f"{name}.csv"):
                found[int(row["_line"])] = (name, row["_code"])
                assert row["_file"] == "a.csv"
        assert found == {
            2: ("confirmed", "confirmed"), 3: ("confirmed", "confirmed"), 4: ("confirmed", "confirmed"),
            5: ("error", "E201"), 6: ("error", "unmatched"), 7: ("error", "E210"), 8: ("error", "E210"),
            9: ("error", "E101"),
        }  # fmt: skip
        text = (here.folder / "out" / "error.csv").read_text()
        mended = [line for line in text.splitlines() if line.startswith(("extended_id", "K000002,b"))]
        (here.folder / "mended.csv").write_text("\n".join(mended) + "\n")
        done = here.sync("mended.csv")
        assert done.code == 0, (done.document["error"], done.err)
        assert here.server()["K000002"]["intended_market"] == "b"
        assert "_file" not in here.server()["K000002"]


def test_standard_input_and_several_files_are_one_run(night):
    with night(codes=codes(4)) as here:
        here.write("b.csv", ("lot", "extended_id"), [("L2", "K000002"), ("L3", "K000003")])
        done = here.run("sync", "--json", "-", "b.csv", stdin="extended_id,lot\nK000000,L0\nK000001,L1\n")
        assert done.code == 0, done.err
        assert [code["lot"] for code in here.box.codes()] == ["L0", "L1", "L2", "L3"]


def test_plan_sends_and_records_nothing(night):
    with night(codes=codes(5)) as here:
        here.write("a.csv", HEADER, market_rows(5))
        done = here.run("plan", "--json", "a.csv")
        assert done.code == 0
        assert (done.document["run"], done.document["rows"]["new"]) == (None, 5)
        assert done.document["requests"] == {
            "updates": 0,
            "reads": 0,
            "throttled": 0,
            "retries": 0,
            "minimum_updates": 1,
        }
        assert not (here.folder / "syncer.db").exists()
        assert len(here.box.requests) == 0
        dry = here.sync("a.csv", "--dry-run")
        assert dry.document["command"] == "plan"
        assert len(here.box.requests) == 0


def test_columns_of_the_configuration_rename_and_leave_out(night):
    with night(codes=codes(2)) as here:
        here.config(
            '[jobs.erp]\nkey = "Serial"\n[jobs.erp.columns]\nSerial = "extended_id"\nLand = "intended_market"\n'
        )
        done = here.sync(
            here.write("a.csv", ("Serial", "Land", "Geheim"), [("K000000", "DE", "x"), ("K000001", "FR", "y")])
        )
        assert done.code == 0, (done.document["error"], done.err)
        assert here.server()["K000001"] == {"activation_status": "0", "intended_market": "FR"}


def test_resume_finishes_the_last_run_that_has_a_plan(night):
    with night(codes=codes(250), latency_s=1.2) as here:
        here.write("a.csv", ("extended_id", "lot"), [(f"K{n:06d}", f"L{n}") for n in range(250)])
        assert here.sync("a.csv", "--deadline", "2", SYNCER_API__CONCURRENCY="1", SYNCER_API__TIMEOUT_S="9").code == 10
        # Its first rows are right, so that it is refused only while the run reads it.
        (here.folder / "b.csv").write_text("extended_id,lot\n" + "K000000,L0\n" * 200 + "cut\n" * 50)
        assert here.sync("b.csv").code == 2
        done = here.run("resume", "--json")
        assert (done.code, done.document["run"]["id"], done.document["values"]["confirmed"]) == (3, 1, 250)
        assert "run 2" in done.document["notes"][0]
        assert [run["id"] for run in done.document["unplanned"]] == [2]


def test_a_run_that_died_is_recorded_as_stopped(night):
    with night(codes=codes(250), faults=({"kind": "hang", "on": "sync", "every": 1, "seconds": 30},)) as here:
        here.write("a.csv", ("extended_id", "lot"), [(f"K{n:06d}", f"L{n}") for n in range(250)])
        process = here.start("sync", "a.csv")
        wait_for(lambda: here.box.calls("sync"))
        process.kill()
        process.communicate()
        here.box.faults.replace([])
        here.sync("a.csv")
        runs = here.run("status", "--json").document["runs"]
        assert [run["state"] for run in runs] == ["complete", "stopped"]
        assert "died before" in runs[1]["stopped_by"]
