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
    "syncer/execute/left_out.py": ("tests/unit/test_left_out_rules.py",),
    "syncer/mirror/elsewhere.py": ("tests/property/test_plan_diff.py", "tests/property/test_mirror.py"),
    "syncer/mirror/words.py": ("tests/property/test_mirror.py",),
    "syncer/mirror/picture.py": ("tests/property/test_mirror.py",),
    "syncer/api/limits.py": ("tests/unit/test_api_limits.py", "tests/property/test_limits.py"),
    "syncer/plan/batching.py": ("tests/property/test_plan_batching.py",),
    "syncer/plan/canary.py": ("tests/property/test_canary.py",),
    "syncer/plan/columns.py": ("tests/unit/test_plan_records.py",),
    "syncer/plan/diff.py": ("tests/unit/test_plan_diff.py", "tests/property/test_plan_diff.py"),
    "syncer/plan/keys.py": (
        "tests/property/test_plan_keys.py::test_groups_are_exact_and_keys_are_found",
        "tests/property/test_plan_keys.py::test_a_hash_depends_on_the_text_alone",
        "tests/property/test_plan_keys.py::test_a_text_has_the_same_hash_in_every_process_and_version",
        "tests/property/test_plan_large.py::test_any_number_of_keys_is_looked_up_in_steps",
    ),
    "syncer/plan/merging.py": ("tests/property/test_plan_merging.py",),
    "syncer/plan/ordering.py": ("tests/property/test_plan_ordering.py",),
    "syncer/plan/payloads.py": ("tests/unit/test_plan_payloads.py",),
    "syncer/plan/planner.py": ("tests/unit/test_planner.py",),
    "syncer/plan/records.py": ("tests/unit/test_plan_records.py",),
    "syncer/plan/states.py": (
        "tests/property/test_plan_large.py::test_deltas_are_the_same_whatever_a_step_holds_and_however_many_pairs_are_kept",
        "tests/property/test_plan_large.py::test_of_data_that_the_ledger_knows_as_it_is_wanted_nothing_is_read",
        "tests/property/test_plan_large.py::test_where_a_product_moves_a_code_all_that_is_wanted_of_it_is_sent",
        "tests/property/test_plan_large.py::test_of_a_ledger_that_is_not_there_nothing_is_known",
        "tests/property/test_plan_large.py::test_what_the_ledger_and_open_batches_say_of_other_keys_changes_nothing",
        "tests/property/test_plan_large.py::test_keys_that_are_known_absent_or_uncertain_are_told_apart",
    ),
    "syncer/plan/units.py": ("tests/property/test_plan_units.py",),
    "syncer/config/cell_rules.py": (
        "tests/unit/test_validate_rows.py",
        "tests/unit/test_rows_truth.py",
        "tests/unit/test_rows_transform.py",
        "tests/unit/test_field_rules.py",
    ),
    "syncer/rows/changes.py": ("tests/unit/test_rows_changes.py",),
    "syncer/rows/codes.py": ("tests/cli/test_documents.py::test_every_setting_rejection_code_and_fault_is_documented",),
    "syncer/rows/columns.py": ("tests/unit/test_rows_columns.py",),
    "syncer/rows/faults.py": (
        "tests/property/test_rejections.py::test_kinds_are_counted_as_a_counter_would_count_them",
    ),
    "syncer/rows/headers.py": ("tests/unit/test_rows_headers.py",),
    "syncer/rows/noting.py": (
        "tests/property/test_rejections.py::test_of_a_row_the_first_cause_counts_and_the_words_of_all_are_told",
    ),
    "syncer/rows/rules.py": ("tests/unit/test_rows_rules.py",),
    "syncer/rows/transform.py": ("tests/unit/test_rows_transform.py", "tests/property/test_rows_transform.py"),
    "syncer/rows/validate.py": (
        "tests/unit/test_validate_files.py",
        "tests/unit/test_validate_rows.py",
        "tests/unit/test_rows_truth.py",
        "tests/unit/test_rows_days.py",
        "tests/unit/test_rows_transform.py",
        "tests/unit/test_field_rules.py",
        "tests/property/test_rows_transform.py",
    ),
    "syncer/rows/sound.py": (
        "tests/unit/test_validate_files.py",
        "tests/unit/test_validate_rows.py",
        "tests/unit/test_rows_truth.py",
        "tests/unit/test_rows_days.py",
        "tests/unit/test_rows_transform.py",
        "tests/unit/test_field_rules.py",
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
