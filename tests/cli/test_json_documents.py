"""Every command's JSON document is what docs/syncer.schema.json says: member by member, on success and on failure."""

from __future__ import annotations

import contextlib
import json
import shlex
import signal
import urllib.error
import urllib.request
from pathlib import Path

import click
import jsonschema
import pytest
from conftest import codes

from syncer.cli.program import cli

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "syncer.schema.json").read_text(encoding="utf-8"))
DEFINITIONS = SCHEMA["$defs"]
COMMANDS = sorted(DEFINITIONS[one["$ref"].rpartition("/")[2]]["title"] for one in SCHEMA["anyOf"])
COMMANDS.remove("a command that failed")
ENVELOPE = {*DEFINITIONS["envelope"]["properties"], "error", "command"}
HEADER = ("extended_id", "intended_market")


def leaves(group=cli, path=()):
    """The names of all commands that the program has."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield " ".join((*path, name))


def validator_of(schema):
    return jsonschema.Draft202012Validator({"$defs": DEFINITIONS, **schema})


def definition_of(document):
    name = document["command"].replace(" ", "_") or "failure"
    return {"$ref": f"#/$defs/{name}"}


def faults_of(document):
    """What is wrong with a document, by the definition of its command."""
    faults = validator_of(definition_of(document)).iter_errors(document)
    return [f"{fault.json_path}: {fault.message[:300]}" for fault in faults]


def knows_nothing(value):
    """Tell whether there is nothing in a value but null, 0, false and what is empty."""
    return all(map(knows_nothing, value.values())) if isinstance(value, dict) else not value


def named(schema):
    return schema["$ref"].rpartition("/")[2] if "$ref" in schema else ""


def members_seen(schema, value, place):
    """Yield where in the schema the members of a value are described: the definition, and the path in it."""
    if named(schema):
        yield from members_seen(DEFINITIONS[named(schema)], value, named(schema))
    for one in (*schema.get("allOf", ()), *schema.get("anyOf", ())):
        if "anyOf" not in schema or validator_of(one).is_valid(value):
            yield from members_seen(one, value, place)
    if isinstance(value, list):
        for one in value:
            yield from members_seen(schema.get("items", {}), one, f"{place}[]")
    if isinstance(value, dict):
        for name, member in schema.get("properties", {}).items():
            if name in value:
                yield f"{place}.{name}"
                yield from members_seen(member, value[name], f"{place}.{name}")


def members_described(schema, place):
    """Yield the same of everything that is described."""
    yield from members_described(schema["items"], f"{place}[]") if "items" in schema else ()
    for name, member in schema.get("properties", {}).items():
        yield f"{place}.{name}"
        yield from members_described(member, f"{place}.{name}")


class Collected:
    """The documents of a fortnight, each judged as it comes."""

    def __init__(self, here):
        self.here = here
        self.documents = []

    def run(self, *arguments, fails=False, **extra):
        done = self.here.run(*arguments, "--json", **extra)
        document = done.document
        assert done.code == document["exit_code"]
        assert (document["error"] is not None) == fails, (arguments, document["error"])
        assert faults_of(document) == [], arguments
        self.documents.append(document)
        return document


def nights(seen):
    """Runs of all kinds: rows of every bucket, guards, steps of fields, several files, a correction."""
    here = seen.here
    seen.run("no-such-command", fails=True)
    seen.run("init")
    seen.run("check")
    here.write("a.csv", HEADER, [*((f"K{n:06d}", "DE" if n < 150 else f"x{n}") for n in range(250)), ("", "DE")])
    seen.run("plan", "a.csv", "--diff")
    seen.run("sync", "a.csv")
    here.write("b.csv", HEADER, [("K000001", "FR"), ("NOBODY", "FR")])
    seen.run("plan", "b.csv", "--diff")
    seen.run("sync", "b.csv", "--approve")
    seen.run("sync", "--dry-run", "a.csv", fails=True)
    here.config('[jobs.erp.columns]\nextended_id = "extended_id"\nintended_market = "intended_market"\n'
                '[jobs.erp.fields.intended_market]\nmap = { FR = "France" }\nmap_else = "keep"\n[jobs.erp.constants]\nsite = "A"\n')  # fmt: skip
    seen.run("sync", "b.csv", "--approve", "--job", "erp")
    seen.run("resume")
    seen.run("status")
    seen.run("status", "1")
    seen.run("status", "1", "--rows")
    seen.run("audit", "show", "K000001")
    seen.run("audit", "show", "NEVER-SENT")
    seen.run("audit", "export", "--out", "history.csv")
    seen.run("audit", "pack", "K000001", "--out", "evidence.zip")
    seen.run("audit", "show", "--where", "intended_market=FR", "--out", "story.html")
    seen.run("audit", "seal")
    seen.run("audit", "verify")
    seen.run("report", "--out", "page.html")


def others(seen):
    """Products, scans, own codes, work orders, the night of steps."""
    here = seen.here
    seen.run("products", "pull", "--out", "products.csv")
    seen.run("products", "list")
    seen.run("products", "show", "SKU-1")
    here.box.scan(extended_id="K000002", scm_data={"intended_market": "by hand"})
    seen.run("scans", "pull", "--campaign", "1", "--out", "scans")
    seen.run("scans", "pull", "--campaign", "1", "--raw-csv", "--out", "raw.csv")
    seen.run("scans", "compare", "scans", "--skew", "0")
    here.write("own.csv", ("id", "intended_market"), [("BOTTLE-1", "DE"), ("BOTTLE-2", "DE")])
    seen.run("codes", "upload", "own.csv")
    here.write("more.csv", ("id", "intended_market"), [("EXISTING-1", "DE"), ("BOTTLE-3", "DE"), ("", "DE")])
    seen.run("codes", "upload", "more.csv", "--skip-invalid")
    seen.run("codes", "upload", "nowhere.csv", fails=True)
    seen.run("codes", "resume")
    seen.run("codes", "status")
    seen.run("codes", "list")
    here.write("late.csv", ("id", "intended_market"), [("BOTTLE-9", "DE")])
    late = seen.run("codes", "upload", "late.csv", "--deadline", "0.000001", fails=True)["upload"]["id"]
    seen.run("codes", "abandon", str(late))
    seen.run("audit", "show", "BOTTLE-1")
    order = seen.run("workorders", "list")["workorders"][0]["id"]
    seen.run("workorders", "download", str(order), "--out", "order")
    seen.run("completion", "bash")


def test_every_documented_command_is_one_of_the_program_and_every_one_is_documented():
    assert sorted(leaves()) == COMMANDS


def test_the_schema_is_valid_and_open_nowhere():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for name, schema in DEFINITIONS.items():
        closed = schema.get("unevaluatedProperties", schema.get("additionalProperties"))
        assert closed is False or name in {"envelope", "synced", "own_codes"}, name  # parts of others


def arrivals(seen):
    """Files that come by themselves, each with a run of its own; a night of steps, of which one fails."""
    here = seen.here
    here.config(
        '[jobs.erp.files]\npattern = "erp-*.csv"\ntake = "each"\nsettle_s = 0\n[jobs.erp]\nexport = "changes"\n'
        '[nightly]\nsteps = [{ products = {} }, { sync = { files = ["b.csv"], job = "erp" } }, '
        '{ scans = { campaign = 1, out = "scans" } }, { codes = { file = "own.csv" } }, '
        '{ sync = { files = ["nowhere.csv"], job = "erp" } }]\n'
    )
    here.write("erp-1.csv", HEADER, [("K000007", "IT")])
    here.write("erp-2.csv", HEADER, [("K000007", "ES")])
    seen.run("sync", "--job", "erp")
    seen.run("run", fails=True)
    seen.run("status")


def stuck(seen):
    """A task that never ends is let go of by hand, in a ledger that has just moved to another server."""
    here = seen.here
    here.config('[jobs.default]\nexport = "changes"\n')
    seen.run("ledger", "info", "--adopt-target")  # the newest task is not known there: all is forgotten
    here.write("late.csv", HEADER, [(f"K{n:06d}", "PT" if n < 125 else "ES") for n in range(250)])
    seen.run("sync", "late.csv", "--approve", SYNCER_API__TASK_TIMEOUT_S="0.5")
    run = seen.run("status", "--last", "1")["runs"][0]["id"]
    batches = seen.run("status", str(run))["batches"]
    seen.run("abandon", str(next(one["id"] for one in batches if one["state"] == "submitted")))


def ledgers(seen):
    """A copy, and the way back, with a task that has not ended."""
    seen.run("ledger", "upgrade")
    seen.run("ledger", "check")
    seen.run("ledger", "backup", "copy.db")
    (seen.here.folder / "backups").mkdir(mode=0o700)
    seen.run("ledger", "backup", "backups", "--keep", "1")
    seen.run("ledger", "prune", "--keep", "400d")
    seen.run("ledger", "info")
    seen.run("ledger", "recover")
    seen.run("ledger", "restore", "copy.db")


def hooks_and_sandbox(seen):
    """What listens, and what is told."""
    here = seen.here
    here.config(f'[notify]\nwebhook_url = "{here.box.url}/no-such-page"\n')
    seen.run("notify", "test")
    for command in ("sandbox", "browse"):
        until_stopped(seen, command)


def until_stopped(seen, command):
    """A command that prints its document when it is ready, and listens until it is stopped."""
    process = seen.here.start(command, "--json", "--port", "0")
    text = ""
    while not text.endswith("\n}\n"):
        line = process.stdout.readline()
        assert line, f"{command} ended before it was ready: {process.stderr.read()}"
        text += line
    with contextlib.suppress(urllib.error.HTTPError):  # any answer shows that it listens, and takes signals
        urllib.request.urlopen(json.loads(text)["url"], timeout=20).close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert process.stdout.read() == ""
    process.stdout.close()
    process.stderr.close()
    assert faults_of(json.loads(text)) == []
    seen.documents.append(json.loads(text))


RARE = {f"audit_show.entries[].origins[].{name}" for name in ("file", "line", "fields")}
RARE |= {f"ledger_prune.{name}" for name in ("run", "items", "events")}
"""Members that need a story of their own, told by the tests of their command: described all the same."""


def test_an_undocumented_member_is_found():
    document = {"schema": 1, "command": "ledger backup", "exit_code": 0, "file": "copy.db", "error": None}
    assert faults_of(document) == []
    assert faults_of({**document, "more": 1}) != []
    assert faults_of({**document, "error": {"code": "usage", "message": "", "next": "", "more": 1}}) != []
    assert faults_of({**document, "file": 7}) != []
    assert faults_of({**document, "exit_code": "0"}) != []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_fails_prints_its_own_document_with_nothing_known_in_it(night, command):
    with night() as here:
        done = here.run(*command.split(), "--no-such-option", "--json")
        assert (done.code, done.document["command"], done.document["error"]["code"]) == (2, command, "usage")
        assert done.document["error"]["next"] == f"syncer {command} --help"
        assert faults_of(done.document) == []
        own = {name: value for name, value in done.document.items() if name not in ENVELOPE}
        assert own
        assert knows_nothing(own), own


def test_every_command_prints_what_is_described_and_every_member_that_is_described_is_printed(night):
    with night(codes=(*codes(250), {"extended_id": "EXISTING-1"}), scans=50) as here:
        collected = Collected(here)
        nights(collected)
        others(collected)
        arrivals(collected)
        hooks_and_sandbox(collected)
    stalls = tuple({"kind": "task_stuck", "on": "async", "nth": nth} for nth in (1, 2))
    with night(codes=codes(250), faults=stalls, seed=7):  # another seed: tasks have ids of their own
        stuck(collected)
        ledgers(collected)
    documents = collected.documents
    assert sorted({document["command"] for document in documents} - {""}) == COMMANDS
    seen = set()
    for document in documents:
        seen |= set(members_seen(definition_of(document), document, ""))
    described = {member for name, schema in DEFINITIONS.items() for member in members_described(schema, name)}
    never, common = sorted(described - seen - RARE), sorted(RARE & seen)
    assert not never, "never printed: " + ", ".join(never)
    assert not common, "no longer rare: " + ", ".join(common)


def test_the_command_to_paste_has_what_the_one_that_was_stopped_had(night):
    """Another key would be other codes, another mode other calls; and who asked for results wants those of the retry."""
    world = tuple({"extended_id": f"K{n:06d}", "serial_number": f"S{n:06d}"} for n in range(30))
    options = ("--job", "a", "--key", "serial_number", "--mode", "sync", "--results", "my results")
    with night(codes=world) as here:
        here.config('[jobs.a]\n[jobs.b]\nkey = "serial_number"\n')
        for lot, code in (("A", 0), ("B", 4)):
            rows = [(key.replace("K", "S"), key, lot) for key in (one["extended_id"] for one in world)]
            here.write("a.csv", ("serial_number", "extended_id", "lot"), rows)
            done = here.run("sync", "a.csv", *options, "--force", "--json")
            assert done.code == code, done
        options = "--job a --key serial_number --mode sync --force --results 'my results'"
        assert done.document["error"]["next"] == f"syncer sync a.csv {options} --approve"
        pasted = shlex.split(done.document["error"]["next"])[1:]
        again = here.run(*pasted, "--json")
        assert (again.code, again.document["values"]["confirmed"]) == (0, 30)
        assert {code["lot"] for code in here.server().values()} == {"B"}
