"""Two keys for one code, of which one links to the other: what is known of it is not asked for again, nor believed too long."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import codes, open_night
from plans import plan_of
from sim.scenes import SOURCE
from two_keys import CASES

from syncer.ledger.knowledge import Knowledge
from syncer.ledger.ledger import Ledger
from syncer.ledger.untaken import AskedValue, newest_words
from syncer.mirror.picture import Picture
from syncer.mirror.words import canonical
from syncer.process.clock import Uptime

AT = "2026-11-20T05:00:00.000Z"
KEYS = {"erp": "extended_id", "karton": "case_no"}
FIELDS = {"erp": ("case_no", "lot", "shipment"), "karton": ("shipment", "weight")}


class Books:
    """A ledger with two jobs, of which the calls end as a test says."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.jobs = {name: ledger.ensure_job(name, (key,)) for name, key in KEYS.items()}

    def sent(self, job, keys, data, *, task=False):
        """Return a batch that is under way, and its writer; ``keys``: one, or several with blanks between."""
        run = self.ledger.begin_run(self.jobs[job], at=AT, mode="auto", campaign=None, unique=job == "erp", program="t")
        plan = plan_of(keys.split(), varying=[0 if task else -1], payloads=[data], key=(KEYS[job],), fields=FIELDS[job])
        plan = replace(plan, items=replace(plan.items, before=self.numbers(job, keys.split())))
        self.ledger.store_plan(run, plan, [SOURCE], at=AT)
        writer = self.ledger.writer(run.id)
        (batch,) = self.ledger.batches(run_id=run.id)
        return writer, *writer.start(batch, f"r{batch.id}", AT)

    def numbers(self, job, keys):
        """Return the pictures that the plan of a real run would have compared with."""
        with self.ledger.transaction() as connection:
            statement = "SELECT key, picture FROM mirror WHERE space_id = ?"
            rows = connection.exec_driver_sql(statement, (self.jobs[job].space_id,)).all()
            found = dict(map(tuple, rows))
        return np.array([found.get(key, 0) for key in keys], np.int32)

    def confirm(self, job, keys, data, *, task=False, named=True):
        writer, batch, attempt = self.sent(job, keys, data, task=task)
        writer.confirmed(batch, batch.size, AT, attempt_id=attempt, named=named)

    def known(self, job, key):
        with self.ledger.transaction() as connection:
            return Knowledge(connection, self.jobs[job].space_id, self.ledger.disjoint).view([key])[key]


@pytest.fixture
def books(tmp_path):
    with Ledger.open_to_write(f"sqlite:///{tmp_path}/l.db", at=AT) as ledger:
        yield Books(ledger)


@pytest.mark.parametrize("order", [("karton", "erp"), ("erp", "karton")])
def test_of_two_keys_calls_that_are_seen_to_end_at_once_the_one_does_not_revive_what_the_other_wrote(books, order):
    """The case's call gives the code another shipment; the code's own call is about its lot alone."""
    books.confirm("karton", "C0", '{"shipment":"S0"}')
    books.confirm("erp", "K0", '{"case_no":"C0","shipment":"S1"}')
    words = {"karton": ("C0", '{"shipment":"S2"}'), "erp": ("K0", '{"lot":"L1"}')}
    under_way = {job: books.sent(job, *word) for job, word in words.items()}
    with under_way["erp"][0].together():
        for job in order:
            writer, batch, attempt = under_way["erp"][0], *under_way[job][1:]
            writer.confirmed(batch, 1, AT, attempt_id=attempt)
    uncertain, told = (
        Picture('{"case_no":"C0","lot":"L1"}', uncertain=("shipment",)),
        '{"case_no":"C0","lot":"L1","shipment":"S2"}',
    )
    assert books.known("erp", "K0") == (uncertain if order[-1] == "erp" else Picture(told))


@pytest.mark.parametrize(("task", "named"), [(True, True), (False, False), (False, True)])
def test_what_a_code_holds_by_its_case_is_counted_where_the_cases_own_call_was(books, task, named):
    books.confirm("erp", "K0", '{"case_no":"C0","lot":"L1"}')
    books.confirm("karton", "C0", '{"shipment":"S2"}', task=task, named=named)
    books.confirm("erp", "K0", '{"lot":"L2"}')
    by_count = () if named and not task else ("shipment",)
    assert books.known("erp", "K0") == Picture('{"case_no":"C0","lot":"L2","shipment":"S2"}', counted=by_count)


@pytest.mark.parametrize("named", [True, False])
def test_what_a_task_had_counted_stays_so_under_a_sync_call_of_another_field(books, named):
    books.confirm("erp", "K0", '{"case_no":"C0","shipment":"S1"}', task=True)
    assert books.known("erp", "K0").counted == ()  # its place tells
    books.confirm("erp", "K0", '{"lot":"L1","shipment":"S2"}', named=named)
    expected = ("case_no",) if named else ("case_no", "lot", "shipment")
    assert books.known("erp", "K0") == Picture('{"case_no":"C0","lot":"L1","shipment":"S2"}', counted=expected)
    assert books.ledger.problems() == []


class Nights:
    """A company whose two exports always agree: codes with their case's shipment and a lot, and the cases."""

    def __init__(self, here):
        self.here = here
        self.shipment = {f"C{case}": "S-1" for case in range(6)}
        self.lot = dict.fromkeys(range(24), "L-1")
        here.config(
            CASES.replace('case_no = "case_no"\n[jobs.karton]', 'case_no = "case_no"\nlot = "lot"\n[jobs.karton]')
        )

    def erp(self):
        """Sync the export of the codes; return how many rows it had to send, and by how many calls."""
        rows = [(f"K{n:06d}", self.shipment[f"C{n // 4}"], f"C{n // 4}", lot) for n, lot in self.lot.items()]
        return self._sync("erp", ("extended_id", "shipment", "case_no", "lot"), rows)

    def karton(self):
        """Sync the export of the cases; return how many rows it had to send, and by how many calls."""
        return self._sync("karton", ("case_no", "shipment"), sorted(self.shipment.items()))

    def _sync(self, job, header, rows):
        done = self.here.sync("--job", job, self.here.write(f"{job}.csv", header, rows), "--approve")
        assert done.code == 0, done
        for code in self.here.box.codes():
            assert code["shipment"] == self.shipment[code["case_no"]]
        return done.document["values"]["confirmed"], done.document["requests"]["updates"]


def test_what_a_case_wrote_stays_known_of_its_codes_when_another_field_of_theirs_changes(tmp_path):
    """Where a code's place in time moves on, what its case wrote goes along: none of it is sent once more the next night."""
    with open_night(tmp_path, codes=codes(24)) as here:
        nights = Nights(here)
        nights.erp()
        nights.karton()
        nights.shipment["C0"] = "S-2"
        assert nights.karton() == (1, 1)
        nights.lot.update({0: "L-2", 5: "L-2"})  # one in the case that changed, one in another
        assert nights.erp() == (2, 1)
        assert [nights.erp(), nights.karton(), nights.erp()] == [(0, 0)] * 3
        nights.shipment["C1"] = "S-3"  # and once more over what was folded in
        assert nights.karton() == (1, 1)
        assert nights.erp() == (0, 0)
        nights.lot[5] = "L-3"
        assert nights.erp() == (1, 1)
        assert [nights.erp(), nights.karton()] == [(0, 0)] * 2


def test_a_code_that_is_written_costs_the_other_export_its_own_case_and_no_other(tmp_path):
    """Six rows in three calls were sent for the one case, and night by night that of every ledger's cases."""
    with open_night(tmp_path, codes=codes(24)) as here:
        nights = Nights(here)
        nights.erp()
        nights.karton()
        assert [nights.erp(), nights.karton()] == [(0, 0)] * 2
        nights.shipment["C0"] = "S-2"
        nights.lot[20] = "L-2"  # in the same call: a code of another case, of which the field stays as it was
        assert nights.erp() == (5, 1)
        assert nights.karton() == (1, 1)
        assert [nights.erp(), nights.karton()] == [(0, 0)] * 2


def test_of_the_cases_whose_codes_were_written_alone_the_field_is_uncertain(books):
    """All of them were before: the next file of cases was sent whole because of one code."""
    books.confirm("karton", "C0 C1 C2", '{"shipment":"S1","weight":"9"}')
    books.confirm("erp", "K0 K1", '{"case_no":"C0","lot":"L1"}')
    books.confirm("karton", "C0", '{"shipment":"S1","weight":"9"}')  # the code came to it
    books.confirm("erp", "K0", '{"shipment":"S2"}')
    assert [books.known("karton", case) for case in ("C0", "C1", "C2")] == [
        Picture('{"weight":"9"}', uncertain=("shipment",)), *[Picture('{"shipment":"S1","weight":"9"}')] * 2
    ]  # fmt: skip
    books.confirm("erp", "K1", '{"case_no":"C1","shipment":"S3"}')
    assert books.known("karton", "C1") == Picture("{}", uncertain=("shipment", "weight"))  # it came to this case
    assert books.known("karton", "C2") == Picture('{"shipment":"S1","weight":"9"}')
    books.confirm("erp", "K5", '{"case_no":"C1","shipment":"S3"}')  # it may have left any of them
    assert books.known("karton", "C2") == Picture('{"weight":"9"}', uncertain=("shipment",))


def test_a_case_whose_code_is_given_what_the_case_holds_stays_known(books):
    books.confirm("erp", "K0 K1", '{"case_no":"C0"}')
    books.confirm("karton", "C0", '{"shipment":"S1"}')
    books.confirm("erp", "K0", '{"shipment":"S1"}')
    assert books.known("karton", "C0") == Picture('{"shipment":"S1"}')


@pytest.mark.parametrize(("case", "doubted"), [(None, "C0 C1"), ("", ""), ("C1", "C1")], ids=["unknown", "none", "C1"])
def test_a_code_whose_case_is_not_known_may_be_of_every_case(books, case, doubted):
    books.confirm("erp", "K9", '{"case_no":"C9"}')
    if case is not None:
        books.confirm("erp", "K0", canonical({"case_no": case}))
    books.confirm("karton", "C0 C1", '{"shipment":"S1"}')
    books.confirm("erp", "K0", '{"shipment":"S2"}')
    uncertain = [key for key in ("C0", "C1") if books.known("karton", key).uncertain]
    assert uncertain == doubted.split()


def test_an_older_word_of_a_case_is_not_sent_over_a_newer_one_of_its_code(books):
    """The words that wait are older than the code's own, though of the other cases the field stays known."""
    books.confirm("erp", "K0", '{"case_no":"C0"}')
    books.confirm("karton", "C0 C1", '{"shipment":"S1"}')
    asked = [AskedValue("C0", frozenset({"shipment"}))]
    for word, words in (("", {"shipment": '{"shipment":"S1"}'}), ('{"shipment":"S2"}', {})):
        if word:
            books.confirm("erp", "K0", word)
        with books.ledger.transaction() as connection:
            (found,) = newest_words(connection, books.jobs["karton"].space_id, asked, {})
        assert {name: one.text for name, one in found.items()} == words


@pytest.mark.parametrize("since", [True, False])
def test_what_ends_late_over_what_a_code_said_since_is_in_doubt(books, since):
    """What was known of the case before is in no picture any more: nobody knows what is wanted of its codes."""
    books.confirm("erp", "K0", '{"case_no":"C0"}')
    writer, batch, attempt = books.sent("karton", "C0", '{"shipment":"S1"}', task=True)
    batch = writer.let_go(writer.accepted(batch, attempt, "t", AT), AT, message="m")
    books.confirm("karton", "C0", '{"shipment":"S2"}')
    if since:
        books.confirm("erp", "K0", '{"shipment":"S3"}')
    assert writer.late_end(batch, AT, message="it has ended").unmatched == since
    with books.ledger.transaction() as connection:
        wishes = "SELECT count(*) FROM items i JOIN batches b ON b.id = i.batch_id WHERE b.kind = 'wish' AND b.state = 'planned'"
        assert connection.exec_driver_sql(wishes).scalar_one() == (not since)


def test_what_ends_late_may_have_reached_the_case_that_its_code_is_in_by_now(books):
    books.confirm("erp", "K0", '{"case_no":"C0"}')
    writer, batch, attempt = books.sent("erp", "K0", '{"shipment":"S1"}', task=True)
    batch = writer.let_go(writer.accepted(batch, attempt, "t", AT), AT, message="m")
    books.confirm("erp", "K0", '{"case_no":"C1","shipment":"S2"}')
    books.confirm("karton", "C0 C1", '{"shipment":"S2"}')
    writer.late_end(batch, AT, message="it has ended")
    assert books.known("karton", "C1") == Picture("{}", uncertain=("shipment",))


def test_what_is_written_to_the_codes_of_a_case_is_about_it_whatever_was_declared(books):
    """Of K0 it is known which case it is in; of K1 it is not, so what that means is judged by the declaration of then."""
    books.confirm("erp", "K0", '{"case_no":"C0"}')
    books.confirm("karton", "C0 C1", '{"shipment":"S1"}')
    books.ledger.disjoint = {"erp": ["karton"], "karton": ["erp"]}
    books.confirm("erp", "K0", '{"shipment":"S2"}')
    assert [books.known("karton", case).uncertain for case in ("C0", "C1")] == [("shipment",), ()]
    books.confirm("erp", "K1", '{"shipment":"S2"}')
    assert [books.known("karton", case).uncertain for case in ("C0", "C1")] == [("shipment",), ()]
    books.ledger.disjoint = {}
    assert [books.known("karton", case).uncertain for case in ("C0", "C1")] == [("shipment",)] * 2


def test_what_a_case_wrote_is_known_of_a_code_whose_other_field_is_confirmed_since(books):
    books.confirm("erp", "K0", '{"case_no":"C0","shipment":"S1"}')
    books.confirm("karton", "C0", '{"shipment":"S2"}')
    books.confirm("erp", "K0", '{"lot":"L1"}')
    books.confirm("erp", "K0", '{"lot":"L2"}')
    assert books.known("erp", "K0") == Picture('{"case_no":"C0","lot":"L2","shipment":"S2"}')


def test_what_an_unknown_case_may_have_written_stays_uncertain_of_a_code_whose_other_field_is_confirmed_since(books):
    books.confirm("erp", "K0", '{"shipment":"S1"}')
    books.confirm("karton", "C0", '{"shipment":"S2"}')
    books.confirm("erp", "K0", '{"lot":"L1"}')
    assert books.known("erp", "K0") == Picture('{"lot":"L1"}', uncertain=("shipment",))


def test_a_code_that_leaves_a_case_keeps_what_that_case_wrote_while_it_was_in_it(books):
    books.confirm("erp", "K0", '{"case_no":"C0","shipment":"S1"}')
    books.confirm("karton", "C0", '{"shipment":"S2"}')
    books.confirm("karton", "C1", '{"shipment":"S3"}')
    books.confirm("erp", "K0", '{"case_no":"C1"}')
    assert books.known("erp", "K0") == Picture('{"case_no":"C1","shipment":"S2"}')


def test_what_a_case_wrote_is_uncertain_of_its_codes_once_the_case_is_in_doubt_or_matches_nothing(books):
    """Steps that were worked out before that are forgotten: each code's own call is confirmed by the same process."""
    books.confirm("erp", "K0 K1 K2", '{"case_no":"C0","shipment":"S1"}')
    books.confirm("karton", "C0", '{"shipment":"S2"}')
    books.confirm("erp", "K0", '{"lot":"L1"}')
    assert "shipment" not in books.known("erp", "K0").uncertain
    writer, batch, attempt = books.sent("karton", "C0", '{"weight":"1"}')
    writer.miscounted(batch, 0, AT, message="m", unmatched=[batch.first_item_id], attempt_id=attempt)
    books.confirm("erp", "K1", '{"lot":"L1"}')
    assert books.known("erp", "K1") == Picture('{"case_no":"C0","lot":"L1"}', uncertain=("shipment",))
    books.confirm("karton", "C0", '{"shipment":"S4"}')
    writer, batch, attempt = books.sent("karton", "C0", '{"shipment":"S5"}')
    writer.lost(batch, attempt, AT, uptime=Uptime("a boot", 1.0), message="m")
    books.confirm("erp", "K2", '{"lot":"L1"}')
    assert books.known("erp", "K2") == Picture('{"case_no":"C0","lot":"L1"}', uncertain=("shipment",))


def test_what_a_job_wrote_that_never_reaches_the_same_codes_stays_out_when_another_field_is_confirmed(books):
    books.ledger.disjoint = {"erp": ["karton"], "karton": ["erp"]}
    books.confirm("erp", "K0", '{"shipment":"S1"}')
    books.confirm("karton", "C0", '{"shipment":"S2"}')
    books.confirm("erp", "K0", '{"lot":"L1"}')
    with books.ledger.knowledge(books.jobs["erp"].space_id) as knowledge:
        assert knowledge.view(["K0"]) == {"K0": Picture('{"lot":"L1","shipment":"S1"}')}
