"""The house: imports run one way, start-up stays light, and the wheel works alone."""

from __future__ import annotations

import ast
import functools
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from syncer.config.settings import ENVIRONMENT_PREFIX
from tools import figures
from tools.figures import circles, imports

ROOT = Path(__file__).parents[2]
trees = functools.cache(figures.trees)
LONG_MODULES = ["syncer.ledger.schema", "syncer.source.rows"]
"""Modules of over 400 lines, and why they stay whole: docs/decisions.md, 15."""
HEAVY = {"pandas", "pyarrow", "numpy", "sqlalchemy", "alembic", "requests", "rich", "msgspec"}
SENDING = {"pandas", "pyarrow", "numpy", "requests", "msgspec"}


def lint_imports(folder):
    script = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    return subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)


def test_imports_run_one_way_and_a_wrong_one_is_found(tmp_path):
    assert lint_imports(ROOT).returncode == 0
    shutil.copytree(ROOT / "syncer", tmp_path / "syncer")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    reconcile = tmp_path / "syncer" / "execute" / "reconcile.py"
    reconcile.write_text(reconcile.read_text() + "\nimport syncer.ledger.ledger\n")
    found = lint_imports(tmp_path)
    assert found.returncode != 0
    assert "syncer.execute.reconcile" in found.stdout


@pytest.mark.parametrize("everywhere", [False, True])
def test_no_modules_import_each_other_in_a_circle_at_load_or_late_or_for_types(everywhere):
    graph = imports(trees(ROOT), everywhere=everywhere)
    assert sum(map(len, graph.values())) > 1_000
    assert circles(graph) == []


def test_a_circle_is_found_and_modules_outside_of_it_are_not_in_it():
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": set(), "e": {"a"}, "f": {"g"}, "g": {"f"}}
    assert circles(graph) == [["a", "b", "c"], ["f", "g"]]


def test_functions_stay_short_and_modules_too():
    lines = {}
    for name, (tree, count) in trees(ROOT).items():
        lines[name] = count
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 60, f"{name}.{node.name} is too long"
    assert sorted(name for name, count in lines.items() if count > 400) == LONG_MODULES


@pytest.mark.parametrize("module", ["syncer", "syncer.cli", "syncer.config"])
def test_nothing_heavy_is_imported_at_start_up(module):
    script = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [("status", SENDING), ("audit show K000001", SENDING), ("plan --json night.csv", {"rich.console", "pandas"})],
)
def test_commands_load_nothing_that_they_have_no_use_for(command, unwanted, tmp_path):
    (tmp_path / "night.csv").write_text("extended_id,lot\nK000001,L1\n")
    for arguments in (["init"], command.split()):
        script = (
            f"import sys; sys.argv = ['syncer', *{arguments!r}]\nfrom syncer.cli import main\n"
            "try: main()\nfinally: print(*sys.modules, file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode in {0, 3}, done.stderr  # 3: nothing was ever sent for the value
    assert not unwanted & set(done.stderr.split())


def test_no_variable_of_the_tests_is_named_like_a_setting():
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "tools").rglob("*.py")]
    read = re.compile(r"""environ(?:\.get\(|\[)"(\w+)"(?!\] = )""")  # a setting may be given to the program
    names = {name for file in files for name in read.findall(file.read_text(encoding="utf-8"))}
    names.update(re.findall(r"\b([A-Z_]+)=", (ROOT / "Makefile").read_text(encoding="utf-8")))
    assert "TESTS_SEED" in names
    assert not [name for name in names if name.startswith(ENVIRONMENT_PREFIX)]
    assert not [name for name in os.environ if name.startswith(ENVIRONMENT_PREFIX)]  # tests/conftest.py saw to it


BUILDERS = {"select", "insert", "update", "delete", "exists"}
SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH|CREATE|DROP|PRAGMA)\s")


def dialects_of(tree):
    """How a module speaks to the database: with SQLAlchemy's builders, with SQL as text, or both."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "sqlalchemy":
            names = {one.name for one in node.names}
            found |= ({"builders"} if BUILDERS & names else set()) | ({"text"} if "text" in names else set())
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value):
            found.add("text")
    return found


def test_each_file_of_the_ledger_speaks_one_dialect_of_sql():
    spoken = {name: dialects_of(tree) for name, (tree, _) in trees(ROOT).items() if name.startswith("syncer.ledger.")}
    assert [name for name, dialects in spoken.items() if len(dialects) > 1] == []
    assert sum(dialects == {"text"} for dialects in spoken.values()) > 5
    assert sum(dialects == {"builders"} for dialects in spoken.values()) > 5


def test_answers_are_typed_and_one_place_outside_the_engine_says_which_are_waited_for():
    sources = {name: ast.unparse(tree) for name, (tree, _) in trees(ROOT).items()}
    assert [name for name, text in sources.items() if name.startswith("syncer.api") and "dict[str, Any]" in text] == []
    waiting = {name for name, text in sources.items() if "Verdict.NOT_PROCESSED" in text}
    assert waiting == {"syncer.api.classify", "syncer.api.reading", "syncer.execute.context", "syncer.execute.send"}


def texts_of_next(tree):
    """The literal texts in what is given as ``next=``, or stands as `default_next`."""
    for node in ast.walk(tree):
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        if (isinstance(node, ast.keyword) and node.arg == "next") or (
            isinstance(node, ast.Assign | ast.AnnAssign)
            and any(getattr(t, "id", "") == "default_next" for t in targets)
        ):
            yield from (
                one.value
                for one in ast.walk(node.value)
                if isinstance(one, ast.Constant) and isinstance(one.value, str)
            )


def test_every_command_that_is_to_be_typed_next_can_be_pasted():
    """`syncer.runs.paste` puts the files in the place of ``syncer sync FILE``; nothing else is left to be filled in."""
    filled = re.compile(r"\bsyncer (sync|plan) FILE(?= |$)|\bsyncer codes upload FILE")
    left = [
        f"{path.relative_to(ROOT)}: {text}"
        for path in (ROOT / "syncer").rglob("*.py")
        for text in texts_of_next(ast.parse(path.read_text(encoding="utf-8")))
        if re.search(r"\bsyncer [^,;:]*\b(FILE|VALUE|RUN|TEXT|BATCH|DIR|SEAL|NAME|FIELD)\b", filled.sub("", text))
    ]
    assert left == []


def test_the_wheel_works_alone_in_an_empty_folder(tmp_path):
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", tmp_path, ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "syncer/migrations/env.py" in names
    assert {"syncer/config.example.toml", "syncer/syncer.schema.json"} <= {*names}
    assert all(name.startswith(("syncer/", "syncer-")) for name in names)
    subprocess.run(
        [*pip, "install", "--no-deps", "--no-index", "--target", tmp_path / "site", wheel],
        check=True,
        capture_output=True,
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    variables = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    for arguments in (["--version"], ["init"], ["ledger", "check"]):
        done = subprocess.run(
            [sys.executable, "-m", "syncer", *arguments],
            cwd=empty,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    script = "import syncer; print(syncer.__file__)"
    where = subprocess.run(
        [sys.executable, "-c", script], cwd=empty, env=variables, capture_output=True, text=True, check=True
    )
    assert str(tmp_path) in where.stdout
    assert sorted(path.name for path in empty.iterdir()) == ["config.toml", "syncer.db", "syncer.db.lock"]


COMMAND = re.compile(r"(?:syncer|chmod|mkdir -p|pip install|python3|mv|ls|df|cat|cp|iconv|jq) ")
OPEN_WORDS = re.compile(r"\b(?!FILE\b)[A-Z]{3,}\b|…|\.\.\.| \(|, or\b|; |, then\b")


def commands_that_help():
    """Every literal that stands behind ``next=`` and ``default_next =``: its place, and its text."""
    for path in sorted((ROOT / "syncer").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.keyword) and node.arg == "next"
            default = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "default_next"
            if (
                (named or default)
                and isinstance(node.value, ast.Constant | ast.JoinedStr)
                and ast.unparse(node.value) != "None"
            ):
                parts = node.value.values if isinstance(node.value, ast.JoinedStr) else [node.value]
                words = ["x" if isinstance(part, ast.FormattedValue) else str(part.value) for part in parts]
                yield f"{path.name}:{node.value.lineno}", "".join(words)


def test_what_helps_is_a_command_that_can_be_pasted():
    found = list(commands_that_help())
    assert len(found) > 80
    wrong = [f"{place}: {text}" for place, text in found if not COMMAND.match(text) or OPEN_WORDS.search(text)]
    # A row's file is filled in where files were named (syncer/runs/paste.py).
    assert [one for one in wrong if "sandbox" not in one] == []
    assert all("FILE" not in text or text.startswith("syncer sync FILE") for _, text in found)
