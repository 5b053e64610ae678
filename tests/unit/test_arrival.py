"""Waiting for a job's files, on a virtual clock: newest, each, all; written, ready, too old; each content once."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
from dataclasses import dataclass, field

import pytest

from syncer.config.input_settings import FilesSettings
from syncer.errors import ArrivalError, DeadlineError, OutputError, SignalError, UsageError
from syncer.ledger.past_runs import Reading
from syncer.process.signals import Interrupt
from syncer.runs.arrival import Arrival, Newest, named_files
from syncer.runs.places import ChangedError, LocalPlace
from syncer.safe.files import Folder

NOW_S = 1_800_000_000


@dataclass
class Clock:
    now_s: float = 0.0
    at: dict[float, list] = field(default_factory=dict)
    """What happens at which second."""

    def monotonic_s(self):
        return self.now_s

    def wall_s(self):
        return NOW_S + self.now_s

    def sleep_s(self, seconds):
        assert seconds > 0
        self.now_s += seconds
        for moment in [one for one in self.at if one <= self.now_s]:
            for act in self.at.pop(moment):
                act()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "in"


def write(folder, name, text="x", age_s=3600.0):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    os.utime(folder / name, (NOW_S - age_s, NOW_S - age_s))


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def arrival(folder, known=(), clock=None, newest_run=lambda: None, changes=False, stayed=True, **settings):
    """``known`` are the contents that runs have read, one each; `stayed`: from the very files that are there."""
    files = FilesSettings(**{"pattern": "in/*.csv", **settings})
    times = frozenset(path.stat().st_mtime_ns / 1e9 for path in folder.glob("*")) if stayed else frozenset()
    runs = {sha(text): Reading(number, number == len(known), times) for number, text in enumerate(known, 1)}
    look = lambda contents: {one: runs[one] for one in contents if one in runs}  # noqa: E731
    place = LocalPlace(files, folder.parent)
    return Arrival("erp", files, place, look, clock or Clock(), Interrupt(), newest_run, changes)


def names(groups):
    return [tuple(os.path.basename(path) for path in group) for group in groups]


def test_the_newest_is_taken_by_the_time_it_was_written_not_by_its_name(folder):
    write(folder, "b.csv", "old", 7200)
    write(folder, "a.csv", "new", 3600)
    assert names(arrival(folder).wait()) == [("a.csv",)]


def test_each_is_taken_in_the_order_of_the_names_and_every_content_once(folder):
    for name, text in (("1.csv", "a"), ("2.csv", "b"), ("3.csv", "a"), ("4.csv", "c")):
        write(folder, name, text)
    assert names(arrival(folder, ["b"], take="each").wait()) == [("3.csv",), ("4.csv",)]


@pytest.mark.parametrize(
    ("take", "known", "stayed", "taken"),
    [
        ("newest", ["a", "b"], False, [("3.csv",)]),
        ("newest", ["b", "a"], False, []),  # the newest run has read it
        ("newest", ["a", "b"], True, []),  # it has stayed where it was: a file was named by hand since
        ("each", ["a", "b"], False, [("3.csv",)]),
        ("each", ["b", "a"], False, []),  # the last file says what the newest run has read
        ("each", ["a", "b"], True, []),
        ("each", ["b"], True, [("3.csv",)]),
        ("each", ["a"], True, [("2.csv",), ("3.csv",)]),  # what comes after one that is new
        ("all", ["a", "b"], False, [("1.csv", "2.csv", "3.csv")]),
        ("all", ["a", "b"], True, []),
        ("all", ["a"], True, [("1.csv", "2.csv", "3.csv")]),
    ],
)
def test_what_comes_back_after_a_run_has_read_something_else_is_read_again(folder, take, known, stayed, taken):
    for age_s, (name, text) in enumerate((("3.csv", "a"), ("2.csv", "b"), ("1.csv", "a"))):
        write(folder, name, text, 3600.0 + age_s)
    assert names(arrival(folder, known, stayed=stayed, take=take).wait()) == taken


def test_any_file_of_changes_may_bring_something_back(folder):
    """Each says something of its own, so the last one does not tell what those before it did."""
    for age_s, (name, text) in enumerate((("4.csv", "c"), ("3.csv", "a"), ("2.csv", "b"), ("1.csv", "a"))):
        write(folder, name, text, 3600.0 + age_s)
    waiting = arrival(folder, ["a", "c", "b"], stayed=False, take="each", changes=True)
    assert names(waiting.wait()) == [("3.csv",), ("4.csv",)]
    assert waiting.synced == (str(folder / "1.csv"), str(folder / "2.csv"))
    assert names(arrival(folder, ["a", "b", "c"], stayed=False, take="each").wait()) == []


@pytest.mark.parametrize(
    ("take", "known", "taken"),
    [
        ("newest", ["b", "a"], [("3.csv",)]),
        ("newest", ["a", "b"], []),  # the newest run read another file
        ("each", ["b", "a"], [("3.csv",)]),  # once, though two files hold it
        ("each", ["a", "b"], [("2.csv",)]),
        ("all", ["a", "b"], [("1.csv", "2.csv", "3.csv")]),
        ("all", ["a", "b", "by hand"], []),
    ],
)
@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize("wait_s", [0, 60])
def test_the_files_of_the_newest_run_are_read_again_until_it_is_complete(folder, take, known, taken, complete, wait_s):
    for age_s, (name, text) in enumerate((("3.csv", "a"), ("2.csv", "b"), ("1.csv", "a"))):
        write(folder, name, text, 3600.0 + age_s)
    newest = lambda: Newest(len(known), NOW_S, complete)  # noqa: E731
    waiting = arrival(folder, known, newest_run=newest, take=take, wait_s=wait_s)
    if wait_s:  # a new file is expected: the old one is not taken for it
        with pytest.raises(ArrivalError, match="no newer file has come"):
            waiting.wait()
    else:
        assert names(waiting.wait()) == ([] if complete else taken)


def test_a_folder_of_the_configuration_is_no_pattern(folder):
    inside = folder.parent / "erp [prod]*" / "in"
    inside.mkdir(parents=True)
    write(inside, "a.csv")
    place = LocalPlace(FilesSettings(pattern="in/*.csv"), inside.parent)
    assert [one.path for one in place.look()] == [str(inside / "a.csv")]


def test_what_is_passed_over_for_a_newer_file_goes_with_it_and_is_never_taken(folder):
    """A day was missed: two exports lie there in the night, and none comes in the next one."""
    for name, age_s in (("a.csv", 9000.0), ("b.csv", 60.0), ("c.csv", 6000.0)):
        write(folder, name, name, age_s)
        write(folder, f"{name}.done", age_s=age_s)
    write(folder, "0.csv", "not ready")
    since = lambda: Newest(7, NOW_S - 7200.0, True)  # noqa: E731
    waiting = arrival(folder, newest_run=since, ready="{name}.done", done="in/done")
    groups = waiting.wait()
    assert names(groups) == [("b.csv",)]
    assert [os.path.basename(path) for path in waiting.unread()] == ["c.csv"]  # a run was, since `a` was written
    write(folder, "c.csv", "written again", 30.0)
    write(folder, "c.csv.done", age_s=29.0)
    waiting.done(groups[0])
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == ["0.csv", "c.csv", "c.csv.done"]
    assert names(arrival(folder, ready="{name}.done", done="in/done").wait()) == [("c.csv",)]


def test_where_no_run_has_been_nobody_has_read_what_is_older(folder):
    write(folder, "a.csv", "a", 7200.0)
    write(folder, "b.csv", "b")
    waiting = arrival(folder)
    groups = waiting.wait()
    assert names(groups) == [("b.csv",)]
    assert [os.path.basename(path) for path in waiting.unread()] == ["a.csv"]
    waiting.done(groups[0])  # without a folder for it nothing is moved
    assert len([*folder.iterdir()]) == 2


def test_all_are_the_parts_of_one_export_even_if_some_were_the_same_before(folder):
    write(folder, "1.csv", "a")
    write(folder, "2.csv", "b")
    assert names(arrival(folder, ["a"], take="all").wait()) == [("1.csv", "2.csv")]
    assert arrival(folder, ["a", "b"], take="all").wait() == []


def test_what_was_synced_before_is_nothing_to_do_unless_a_new_file_is_expected(folder):
    write(folder, "a.csv", "a", 30 * 3600)
    assert arrival(folder, ["a"]).wait() == []
    for expected in ({"max_age_h": 26.0}, {"wait_s": 60.0}):
        with pytest.raises(ArrivalError) as raised:
            arrival(folder, ["a"], **expected).wait()
        assert raised.value.exit_code == 14


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "no file matches in/*.csv"),
        ({"ready": "{name}.done"}, "no file matches"),
    ],
)
def test_nothing_there_is_said_at_once(folder, settings, words):
    clock = Clock()
    with pytest.raises(ArrivalError, match="job erp") as raised:
        arrival(folder, clock=clock, **settings).wait()
    assert words in raised.value.message
    assert clock.now_s == 0
    assert raised.value.next.endswith("syncer sync --job erp")


def test_a_file_that_comes_while_it_waits_is_taken_once_it_is_whole(folder):
    clock = Clock()
    clock.at[100.0] = [lambda: write(folder, "a.csv", "half", -100)]
    clock.at[104.0] = [lambda: write(folder, "a.csv", "whole", -104)]
    assert names(arrival(folder, clock=clock, wait_s=600.0).wait()) == [("a.csv",)]
    assert 113 <= clock.now_s <= 116


@pytest.mark.parametrize("written", [False, True])
def test_a_deadline_ends_the_wait_for_a_file(folder, written):
    clock = Clock()
    if written:
        write(folder, "a.csv", "x", 0)  # and not settled before the deadline
    waiting = arrival(folder, clock=clock, wait_s=600.0, settle_s=90.0)
    waiting.deadline_s = 42.5
    with pytest.raises(DeadlineError, match="is still being written" if written else "no file matches") as raised:
        waiting.wait()
    assert (clock.now_s, raised.value.next) == (42.5, "syncer sync --job erp")


def test_a_file_that_never_stops_growing_is_given_up(folder):
    clock = Clock()
    write(folder, "a.csv", "x", 0)
    for second in range(200):
        clock.at[second + 0.5] = [lambda second=second: write(folder, "a.csv", "x" * second, -second)]
    with pytest.raises(ArrivalError, match="still being written"):
        arrival(folder, clock=clock).wait()
    assert clock.now_s <= 11


def test_a_file_whose_time_lies_ahead_is_watched_and_taken(folder):
    clock = Clock()
    write(folder, "a.csv", "x", -86_400)
    assert names(arrival(folder, clock=clock).wait()) == [("a.csv",)]
    assert clock.now_s <= 11
    assert names(arrival(folder, settle_s=0.0).wait()) == [("a.csv",)]


@pytest.mark.parametrize("take", ["each", "all"])
def test_several_files_whose_time_lies_ahead_are_watched_together(folder, take):
    for name in ("a.csv", "b.csv", "c.csv"):
        write(folder, name, name, -86_400.0)
    clock = Clock()
    assert len([*itertools.chain(*arrival(folder, clock=clock, take=take).wait())]) == 3
    assert clock.now_s <= 11


@pytest.mark.parametrize(("take", "behind"), [("newest", []), ("each", [("z.csv",)])])
def test_a_file_that_a_wrong_clock_dated_ahead_hides_none_that_comes_after_it_was_read(folder, take, behind):
    """Every night ended with 0, since the newest file was synced before, until that day had come."""
    begun = lambda: Newest(1, NOW_S - 86_400.0, True)  # noqa: E731
    write(folder, "z.csv", "read last night", -9 * 86_400.0)
    assert arrival(folder, ["read last night"], newest_run=begun, take=take).wait() == []
    with pytest.raises(ArrivalError, match=r"z\.csv, was written 24\.0 h ago"):
        arrival(folder, ["read last night"], newest_run=begun, take=take, max_age_h=20.0).wait()
    write(folder, "b.csv", "tonight's", 60.0)
    waiting = arrival(folder, ["read last night"], newest_run=begun, take=take, max_age_h=20.0)
    assert (names(waiting.wait()), waiting.unread()) == ([("b.csv",), *behind], ())
    write(folder, "y.csv", "not read yet", -8 * 86_400.0)
    assert names(arrival(folder, ["read last night"], newest_run=begun, take=take).wait())[-1 - len(behind)] == (
        "y.csv",
    )


def test_a_file_that_is_dated_ahead_and_still_being_written_is_waited_for(folder, monkeypatch):
    write(folder, "z.csv", "growing", -86_400.0)
    monkeypatch.setattr(LocalPlace, "content", raised(ChangedError("z.csv")))
    with pytest.raises(ArrivalError, match="still being written"):
        arrival(folder, newest_run=lambda: Newest(1, NOW_S, True)).wait()


def raised(error):
    def call(*arguments):
        raise error

    return call


@pytest.mark.parametrize(
    ("mark", "name"), [("{name}.done", "a.csv.done"), ("{stem}.ok", "a.ok"), ("{stem}-ok.csv", "a-ok.csv")]
)
def test_a_file_without_its_mark_is_not_there_and_a_mark_is_no_export(folder, mark, name):
    write(folder, "a.csv")
    with pytest.raises(ArrivalError, match="not its ready mark"):
        arrival(folder, ready=mark).wait()
    write(folder, name)
    if name.endswith(".csv"):
        write(folder, "a-ok-ok.csv")  # not even a mark that has one
    assert names(arrival(folder, ready=mark).wait()) == [("a.csv",)]


def test_what_waits_for_its_mark_is_not_arrived_though_all_else_was_synced_and_no_part_goes_without_another(folder):
    write(folder, "a.csv", "a")
    write(folder, "a.csv.done")
    write(folder, "b.csv", "b")
    for settings in ({}, {"take": "each"}, {"take": "all"}):
        with pytest.raises(ArrivalError, match=r"b\.csv is there, but not its ready mark"):
            arrival(folder, ["a"], ready="{name}.done", **settings).wait()
    assert names(arrival(folder, ready="{name}.done", take="each").wait()) == [("a.csv",)]


@pytest.mark.parametrize("take", ["newest", "each", "all"])
def test_a_mark_that_is_older_than_its_file_stands_for_what_was_there_before(folder, take):
    """An export of one name, every night: yesterday's mark is there while tonight's file is being written."""
    clock = Clock()
    write(folder, "a.csv.done", age_s=86_400.0)
    write(folder, "a.csv", "half", 60.0)
    for wait_s in (0.0, 30.0):
        with pytest.raises(
            ArrivalError, match=r"a\.csv was written again after its ready mark .*in/a\.csv\.done"
        ) as raised:
            arrival(folder, ready="{name}.done", take=take, wait_s=wait_s).wait()
        assert raised.value.exit_code == 14
    clock.at[40.0] = [lambda: write(folder, "a.csv", "whole", -39.0), lambda: write(folder, "a.csv.done", age_s=-40.0)]
    assert names(arrival(folder, ready="{name}.done", take=take, wait_s=300.0, clock=clock).wait()) == [("a.csv",)]
    assert clock.now_s >= 40


@pytest.mark.parametrize("age_s", [3598.5, -600.0])
def test_a_mark_of_a_coarse_clock_or_beside_a_file_of_a_wrong_one_counts(folder, age_s):
    write(folder, "a.csv", age_s=age_s)
    write(folder, "a.csv.done", age_s=3600.0)
    assert names(arrival(folder, ready="{name}.done", settle_s=0.0).wait()) == [("a.csv",)]


def moved(waiting):
    for group in waiting.wait() or [waiting.synced]:
        waiting.done(group)


@pytest.mark.parametrize("other_disk", [False, True])
def test_done_moves_the_files_and_their_marks_and_overwrites_nothing(folder, monkeypatch, other_disk):
    rename = Folder.move

    def move(self, name, to, *, into=None, new=False):
        if other_disk and into is not self:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(self, name, to, into=into, new=new)

    monkeypatch.setattr(Folder, "move", move)
    write(folder, "a.csv", "1")
    write(folder, "a.csv.done")
    waiting = arrival(folder, ready="{name}.done", done="in/done")
    moved(waiting)
    write(folder, "a.csv", "2")
    write(folder, "a.csv.done")
    moved(arrival(folder, ["2"], ready="{name}.done", done="in/done"))  # synced, but not moved: the move failed then
    there = sorted(path.name for path in (folder / "done").iterdir())
    assert there == ["a.csv", "a.csv.1", "a.csv.done", "a.csv.done.1"]
    assert [(folder / "done" / name).read_text() for name in there[:2]] == ["1", "2"]
    assert (folder / "done" / "a.csv").stat().st_mtime == NOW_S - 3600
    assert [path.name for path in folder.iterdir()] == ["done"]
    with pytest.raises(OutputError, match="cannot be moved"):
        waiting.done([str(folder / "gone.csv")])


def test_a_file_that_another_replaced_since_it_was_read_stays_for_the_next_run(folder):
    write(folder, "a.csv", "1")
    waiting = arrival(folder, done="in/done")
    groups = waiting.wait()
    write(folder, "a.csv", "2", 60)
    waiting.done(groups[0])
    assert (folder / "a.csv").read_text() == "2"
    assert names(arrival(folder, ["1"], done="in/done").wait()) == [("a.csv",)]


def test_a_signal_ends_the_wait(folder):
    waiting = arrival(folder, wait_s=600.0)
    waiting.interrupt.signal_number, waiting.interrupt.graceful = 15, True
    with pytest.raises(SignalError):
        waiting.wait()


def test_a_pattern_of_several_full_exports_is_refused_and_names_the_newest(folder, monkeypatch):
    write(folder, "a.csv", age_s=60)
    write(folder, "b.csv", age_s=7200)
    write(folder, "[x].csv")
    monkeypatch.chdir(folder.parent)
    with pytest.raises(UsageError, match=r"3 files match in/\*\.csv.*the newest is in/a\.csv") as raised:
        named_files(["in/*.csv"], several=False, job="erp")
    assert raised.value.next == "syncer sync --job erp in/a.csv"
    assert named_files(["in/*.csv"], several=True, job="erp") == ("in/[x].csv", "in/a.csv", "in/b.csv")
    assert named_files(["in/[x].csv", "in/b*"], several=False, job="erp") == ("in/[x].csv", "in/b.csv")
    with pytest.raises(UsageError, match="no file matches"):
        named_files(["in/*.txt"], several=True, job="erp")
