"""What helps can be pasted: it names the files and the job."""

from __future__ import annotations

import pytest

from syncer.commands import arrivals
from syncer.commands.environment import Environment
from syncer.config.building import build
from syncer.errors import AGAIN, GuardError, SignalError, SourceError, Stop
from syncer.process import help as helps
from syncer.process.signals import Interrupt
from syncer.request import SyncRequest
from syncer.runs.paste import pasteable, say_next


def test_files_and_job_stand_in_the_command_as_a_shell_takes_them():
    words = "syncer sync FILE --approve  # or jobs.<name>.export"
    done = pasteable(words, ["a b.csv", "c.csv"], "erp", job_named=True)
    assert done == "syncer sync 'a b.csv' c.csv --job erp --approve  # or jobs.erp.export"
    assert pasteable("syncer plan FILE", ["a.csv"], "default", job_named=False) == "syncer plan a.csv"
    assert pasteable("syncer sync FILE --job erp", ["a.csv"], "erp", job_named=True) == "syncer sync a.csv --job erp"


def test_a_name_that_looks_like_an_option_is_written_as_a_path_and_standard_input_stays_it():
    assert pasteable("syncer sync FILE", ["-x.csv"], "erp", job_named=False) == "syncer sync ./-x.csv"
    assert pasteable("syncer sync FILE", ["-"], "erp", job_named=False) == "syncer sync -"


def test_what_is_piped_has_the_job_and_the_options_of_the_command():
    words = "cat /dev/fd7 | syncer sync -"
    done = pasteable(words, ["/dev/fd7"], "erp", job_named=True, options=["--results", "r"])
    assert done == "cat /dev/fd7 | syncer sync - --job erp --results r"


def test_rows_of_a_query_have_no_file():
    assert pasteable("syncer sync FILE --approve", [], "erp", job_named=True) == "syncer sync --job erp --approve"


def test_an_error_and_each_of_its_guards_say_it():
    stop = Stop("missing", "half of it", "one of changes is told by jobs.<name>.export")
    error = GuardError("stopped", stops=[stop])
    say_next(error, ["a.csv"], "x", job_named=False)
    assert (error.next, error.stops[0].remedy) == (
        "syncer sync a.csv --approve", "one of changes is told by jobs.x.export",
    )  # fmt: skip
    plain = SourceError("odd", file="a.csv")
    say_next(plain, ["a.csv"], "x", job_named=False)
    assert (plain.remedy, plain.next) == ("correct the file, or declare its form in jobs.x.csv", AGAIN)


def test_the_same_again_is_what_was_typed(monkeypatch):
    error = SourceError("odd", file="a b.csv")
    monkeypatch.setattr(helps, "_typed", [])
    assert (helps.next_of(error), list(helps.help_lines(error))) == (None, [f"remedy: {error.remedy}"])
    helps.remember(["plan", "a b.csv"])
    assert helps.next_of(error) == "syncer plan 'a b.csv'"
    assert list(helps.help_lines(GuardError("stopped")))[1] == "next: syncer sync FILE --approve"


def test_every_word_about_a_setting_names_the_job(tmp_path):
    (tmp_path / "a.csv").write_text('extended_id,lot,n\nK1,x,1\nK2\nK3,="1",2\n' + "K4,x,1\n" * 20)
    columns = {"extended_id": "extended_id", "lot": "lot"}
    settings = build(
        {"jobs": {"erp": {"sheet": "S", "columns": columns}}, "ledger": {"url": f"sqlite:///{tmp_path}/l"}}, []
    )
    request = SyncRequest(files=(str(tmp_path / "a.csv"),), results=tmp_path / "out")
    done = arrivals.plan(settings, request, Environment())
    said = [*done.notes, *(one.message for one in done.rejections), (tmp_path / "out" / "error.csv").read_text()]
    assert [one.code for one in done.rejections] == ["E101", "E108"]
    assert [text for text in said if "<name>" in text] == []
    assert all("jobs.erp." in one.message for one in done.rejections)


def test_a_signal_before_anything_is_sent_leads_back_to_the_same_command_u10():
    interrupt = Interrupt()
    with pytest.raises(SignalError, match="stopped at once") as reading:
        interrupt.arrived(2)
    with pytest.raises(SignalError, match="while planning") as planning:
        interrupt.check("while planning; nothing was sent")
    assert (reading.value.next, planning.value.next) == (AGAIN, AGAIN)
