"""Which files mutants are made of, and which tests have to find them: pure modules, each with a model of its rules."""

from __future__ import annotations

import json
from pathlib import Path

SUBJECTS = {
    "syncer/lifecycle/machine.py": ("tests/unit/test_lifecycle.py",),
    "syncer/lifecycle/batch.py": ("tests/unit/test_lifecycle.py",),
    "syncer/lifecycle/part.py": ("tests/unit/test_upload_lifecycle.py",),
    "syncer/execute/blame.py": ("tests/property/test_blame_and_sizes.py",),
    "syncer/execute/sizes.py": ("tests/property/test_blame_and_sizes.py",),
    "syncer/execute/reconcile.py": ("tests/property/test_reconcile.py",),
    "syncer/mirror/elsewhere.py": ("tests/property/test_plan_diff.py", "tests/property/test_mirror.py"),
    "syncer/mirror/words.py": ("tests/property/test_mirror.py",),
    "syncer/mirror/picture.py": ("tests/property/test_mirror.py",),
    "syncer/api/limits.py": ("tests/unit/test_api_limits.py", "tests/property/test_limits.py"),
    "syncer/plan/batching.py": ("tests/property/test_plan_batching.py",),
    "syncer/plan/canary.py": ("tests/property/test_canary.py",),
    "syncer/plan/columns.py": ("tests/unit/test_plan_records.py",),
    "syncer/plan/diff.py": ("tests/unit/test_plan_diff.py", "tests/property/test_plan_diff.py"),
    "syncer/plan/merging.py": ("tests/property/test_plan_merging.py",),
    "syncer/plan/records.py": ("tests/unit/test_plan_records.py",),
    "syncer/plan/units.py": ("tests/property/test_plan_units.py",),
    "syncer/rows/transform.py": ("tests/unit/test_rows_transform.py", "tests/property/test_rows_transform.py"),
    "syncer/rows/validate.py": (
        "tests/unit/test_validate_files.py",
        "tests/unit/test_validate_rows.py",
        "tests/unit/test_rows_truth.py",
        "tests/unit/test_rows_transform.py",
        "tests/property/test_rows_transform.py",
    ),
}
"""The tests of each subject, and no others, are run against its mutants: that is what makes it fast."""
SURVIVORS = Path(__file__).with_name("survivors.json")
SHARE_MAX = 0.03
"""How many of a subject's mutants may survive; each of them is listed with the reason why it is no defect."""


def survivors() -> dict[str, dict[str, str]]:
    """Return, by file and name of the mutant, why those that no test finds are no defects."""
    found: dict[str, dict[str, str]] = json.loads(SURVIVORS.read_text(encoding="utf-8"))
    return found
