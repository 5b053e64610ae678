"""What helps can be pasted: it names the files and the job."""

from __future__ import annotations

from syncer.errors import GuardError, SourceError, Stop
from syncer.runs.paste import pasteable, say_next


def test_files_and_job_stand_in_the_command_as_a_shell_takes_them():
    words = "if it is right: syncer sync FILE --approve; or jobs.<name>.export"
    done = pasteable(words, ["a b.csv", "c.csv"], "erp", job_named=True)
    assert done == "if it is right: syncer sync 'a b.csv' c.csv --job erp --approve; or jobs.erp.export"
    assert pasteable("syncer plan FILE", ["a.csv"], "default", job_named=False) == "syncer plan a.csv"
    assert pasteable("syncer sync FILE --job erp", ["a.csv"], "erp", job_named=True) == "syncer sync a.csv --job erp"


def test_without_files_the_word_stays():
    assert pasteable("syncer sync FILE", [], "default", job_named=False) == "syncer sync FILE"


def test_an_error_and_each_of_its_guards_say_it():
    stop = Stop("missing", "half of it", "syncer sync FILE --approve")
    error = GuardError("stopped", next="syncer sync FILE", stops=[stop])
    say_next(error, ["a.csv"], "x", job_named=False)
    assert (error.next, error.stops[0].next) == ("syncer sync a.csv", "syncer sync a.csv --approve")
    plain = SourceError("odd", file="a.csv")
    say_next(plain, ["a.csv"], "x", job_named=False)
    assert plain.next == "correct the file or declare its form in jobs.x.csv, then: syncer plan a.csv"
