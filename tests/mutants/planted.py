"""Deliberate bugs, each one line long, and the test that finds it. test_planted.py puts each into a copy of the package.

A bug whose old text is gone from the source, or stands there twice, fails that test: it is then planted anew where its
meaning went, or leaves with it.
"""

from __future__ import annotations

from dataclasses import dataclass

PLANTED = "tests/integration/test_planted.py"
SCENES = "tests/unit/test_engine_scenes.py"
CORNERS = "tests/unit/test_execute_corners.py"
WAITS = "tests/unit/test_case_waits.py"
FAULTS = "tests/unit/test_case_faults.py"
RARE = "tests/integration/test_ledger_rare.py"
LEDGER = "tests/integration/test_ledger.py"
BATCHING = "tests/property/test_plan_batching.py"
DIFF = "tests/property/test_plan_diff.py"
RECONCILE = "tests/property/test_reconcile.py"
ROWS = "tests/unit/test_validate_rows.py"
LIMITS = "tests/unit/test_api_limits.py"
MIRROR = "tests/property/test_mirror.py"
SLIPS = "tests/unit/test_engine_slips.py"
TAKEN = "tests/integration/test_fields_taken.py"
EDGES = "tests/integration/test_ledger_edges.py"


@dataclass(frozen=True)
class Bug:
    """What is wrong, where, and which test finds it (as pytest names it; without `::`: any of the file)."""

    words: str
    file: str
    old: str
    new: str
    test: str


BUGS = (
    # ── rows and sources ─────────────────────────────────────────────────────────────────────────────────────────────
    Bug(
        "a cell of one blank is sent as text",
        "syncer/rows/validate.py",
        "        if not cell.strip():\n            if rule.required",
        "        if not cell:\n            if rule.required",
        f"{PLANTED}::test_a_cell_of_one_blank_is_empty_and_is_never_sent_as_text",
    ),
    Bug(
        "an inactive code is activated",
        "syncer/rows/validate.py",
        '    return status, None, ""',
        '    return max(status, "1"), None, ""',
        f"{ROWS}::test_a_status_is_sent_as_its_number_and_as_no_other",
    ),
    Bug("reason 10 is refused", "syncer/rows/validate.py", "int(reason) <= 10)", "int(reason) < 10)", ROWS),
    Bug(
        "a length at the limit is refused",
        "syncer/rows/validate.py",
        "len(cell) > rule.max_length:",
        "len(cell) >= rule.max_length:",
        ROWS,
    ),
    Bug(
        "a blank cell clears the field with omit",
        "syncer/rows/validate.py",
        'return (None if blank == "omit" else ""), None, ""',
        'return (None if blank == "clear" else ""), None, ""',
        f"{ROWS}::test_blank_means_what_the_job_says",
    ),
    Bug(
        "rejected rows keep their neighbours' lines",
        "syncer/rows/validate.py",
        "            lines = lines[good]",
        "            lines = lines[: len(lines) - len(bad)]",
        ROWS,
    ),
    Bug(
        "a rejected row is not counted as read",
        "syncer/rows/validate.py",
        "read = rows + len(chunk.rejections)",
        "read = rows - len(bad)",
        ROWS,
    ),
    Bug(
        "white space around a key goes to the API",
        "syncer/rows/validate.py",
        "    if value != value.strip():",
        "    if value != value.lstrip():",
        ROWS,
    ),
    Bug(
        "the first of two different rows wins",
        "syncer/plan/diff.py",
        "verdicts[self._conflict] = Standing.CONFLICT",
        "verdicts[self._conflict] = Standing.NEW",
        DIFF,
    ),
    # ── plan ─────────────────────────────────────────────────────────────────────────────────────────────────────────
    Bug(
        "a composite call carries 1,001 values",
        "syncer/plan/batching.py",
        "most = ASYNC_VALUES_MAX - (len(columns) - 1)",
        "most = ASYNC_VALUES_MAX",
        f"{PLANTED}::test_the_fixed_values_of_a_composite_call_count_among_its_thousand",
    ),
    Bug(
        "an async call carries 1,001 values",
        "syncer/plan/batching.py",
        "ASYNC_VALUES_MAX = 1000",
        "ASYNC_VALUES_MAX = 1001",
        f"{BATCHING}::test_the_real_limits_at_their_edges",
    ),
    Bug(
        "a remainder of 100 is pooled",
        "syncer/plan/batching.py",
        "np.where(rest < SYNC_ITEMS_MAX, rest, 0)",
        "np.where(rest <= SYNC_ITEMS_MAX, rest, 0)",
        BATCHING,
    ),
    Bug(
        "held rows are sent",
        "syncer/plan/diff.py",
        "verdicts[self.rows.states.held] = Standing.HELD",
        "verdicts[self.rows.states.held & self.rows.known] = Standing.HELD",
        DIFF,
    ),
    Bug(
        "older words lie over newer ones",
        "syncer/plan/merging.py",
        "self._payloads.number(laid_over(left, data[newer]))",
        "self._payloads.number(laid_over(data[newer], data[older]))",
        DIFF,
    ),
    Bug(
        "a carried value gets the line of another",
        "syncer/plan/planner.py",
        "items = Items(self.texts, rows, payload[groups], source, carried.line[groups], before)",
        "items = Items(self.texts, rows, payload[groups], source, carried.line[groups][::-1], before)",
        f"{PLANTED}::test_a_value_that_is_carried_into_the_next_night_keeps_its_file_and_line",
    ),
    Bug(
        "a row's line is that of the first rows",
        "syncer/plan/planner.py",
        "items = Items(self.texts, rows, payload[groups], source, records.line[rows], before)",
        "items = Items(self.texts, rows, payload[groups], source, records.line[: len(rows)], before)",
        DIFF,
    ),
    Bug(
        "a key whose rows contradict each other takes its wish along",
        "syncer/plan/diff.py",
        "np.flatnonzero((found >= 0) & ~self._conflict[found])",
        "np.flatnonzero(found >= 0)",
        DIFF,
    ),
    Bug(
        "the canary asks with values of an earlier run",
        "syncer/plan/canary.py",
        "places = np.flatnonzero(own & named.any_of([field])[payload])",
        "places = np.flatnonzero(named.any_of([field])[payload])",
        "tests/property/test_canary.py",
    ),
    Bug(
        "the canary asks with the first values alone",
        "syncer/plan/canary.py",
        "    return places[np.unique(np.linspace(0, len(places) - 1, most).astype(np.int64))]",
        "    return places[:most]",
        "tests/property/test_canary.py",
    ),
    # ── what is known ────────────────────────────────────────────────────────────────────────────────────────────────
    Bug(
        "a doubt leaves what was known",
        "syncer/mirror/picture.py",
        "return replace(before, known=without(before.known, chosen), uncertain=uncertain)",
        "return replace(before, uncertain=uncertain)",
        MIRROR,
    ),
    Bug(
        "status and reason travel apart",
        "syncer/mirror/picture.py",
        "return only(wanted, {*fields_of(text), *TOGETHER})",
        "return text",
        MIRROR,
    ),
    Bug(
        "a field that is not taken is sent every night",
        "syncer/mirror/picture.py",
        "        missing = [word for word in missing if field_of(word) not in picture.refused]",
        "        missing = [word for word in missing if word not in picture.refused]",
        MIRROR,
    ),
    Bug(
        "a lone comma takes texts apart",
        "syncer/mirror/words.py",
        "return _ESCAPED in text or ':\",\"' in text",
        "return _ESCAPED in text",
        f"{PLANTED}::test_a_cell_that_looks_like_the_ledgers_own_delimiters_is_a_cell_like_any_other",
    ),
    Bug(
        "a product that moves a code leaves fields known",
        "syncer/mirror/picture.py",
        "        known = NOTHING\n",
        "        known = before.known\n",
        MIRROR,
    ),
    # ── execute ──────────────────────────────────────────────────────────────────────────────────────────────────────
    Bug(
        "a task's time-out starts anew each night",
        "syncer/execute/watch.py",
        "self._context.settings.task_timeout_s - (entry.watched.waited_s or 0.0))",
        "self._context.settings.task_timeout_s)",
        f"{PLANTED}::test_a_task_that_has_had_its_time_is_not_waited_for_again_the_next_night",
    ),
    Bug(
        "absence counts after one look",
        "syncer/execute/registry.py",
        "if looked_s - self.first_absent_s >= settle_s:",
        "if looked_s - self.first_absent_s >= 0:",
        f"{CORNERS}::test_absence_is_shown_by_two_looks_far_enough_apart",
    ),
    Bug(
        "a task with other details is adopted",
        "syncer/execute/doubt.py",
        "dict(details.scm_data)) == sent:",
        "dict(details.scm_data)) != {}:",
        f"{CORNERS}::test_a_task_of_our_reference_with_other_details_stays_in_doubt",
    ),
    Bug(
        "somebody else's task is looked into",
        "syncer/execute/doubt.py",
        "            if task.reference != reference:",
        "            if task.reference is None:",
        CORNERS,
    ),
    Bug(
        "a value that stands aside is taken in hand anew",
        "syncer/execute/send.py",
        "                if batch not in context.registry:",
        "                if batch.id:",
        f"{SCENES}::test_a_value_that_stands_aside_is_not_taken_in_hand_anew_when_more_of_the_plan_is_read",
    ),
    Bug(
        "a single value is blamed at once",
        "syncer/execute/refusals.py",
        "        if self._in_a_row == 1 and self._is_open_since(entry):",
        "        if self._in_a_row >= 1:",
        f"{SCENES}::test_a_single_value_that_is_refused_first_waits_for_others_to_get_through_before_it_is_blamed",
    ),
    Bug(
        "the same refusal of everything goes on for ever",
        "syncer/execute/refusals.py",
        "UNEXPLAINED_MAX = 8",
        "UNEXPLAINED_MAX = 80",
        FAULTS,
    ),
    Bug(
        "values are blamed though a call without values was refused, too",
        "syncer/execute/refusals.py",
        "if answer.verdict is Verdict.OK or (answer.status_code in JUDGED and not answer.page):",
        "if answer.status_code is not None:",
        FAULTS,
    ),
    Bug(
        "a list of tasks that is cut short is taken for whole",
        "syncer/execute/doubt.py",
        "or not listed.complete:",
        "or not listed.tasks:",
        CORNERS,
    ),
    Bug(
        "a task that another account sent is shown absent",
        "syncer/execute/doubt.py",
        "elif look.absent and context.ledger.sent_by_others(batch, context.writer.account):",
        "elif look.absent and context.ledger.sent_by_others(batch, None):",
        "tests/integration/test_place_in_time.py::test_absence_counts_only_for_the_account_that_sent",
    ),
    Bug(
        "a batch goes out with tonight's campaign",
        "syncer/execute/batch_call.py",
        "self.constraints(), self.scm_data(), self.batch.campaign",
        "self.constraints(), self.scm_data(), None",
        SCENES,
    ),
    Bug(
        "two constraints of a call vary",
        "syncer/execute/batch_call.py",
        "if place != self.batch.varying and len(distinct) > 1:",
        "if place != self.batch.varying and len(distinct) > 2:",
        f"{CORNERS}::test_a_batch_in_which_two_columns_vary_is_never_sent",
    ),
    Bug(
        "a job that the guard stopped goes on",
        "syncer/execute/engine.py",
        "            if job.id == context.run.job.id:",
        "            if job.id != context.run.job.id:",
        SCENES,
    ),
    Bug(
        "what was let go of is looked at again and again",
        "syncer/execute/let_go.py",
        "        for entry in asked.values():\n            entry.is_looking = True",
        "        for entry in asked.values():\n            entry.is_looking = False",
        WAITS,
    ),
    Bug(
        "what ended late stays known",
        "syncer/ledger/writer.py",
        "            wish_what_is_known(self._connection, changed, at)\n            self._step(MirrorStep.DOUBTED, changed)",
        "            wish_what_is_known(self._connection, changed, at)",
        SCENES,
    ),
    Bug(
        "a call is cut where it was answered in time",
        "syncer/execute/sizes.py",
        "        return min(size, self._refused.get(kind, size), self._slow.get(kind, size))",
        "        return min(size, self._refused.get(kind, size), *self._slow.values())",
        "tests/property/test_blame_and_sizes.py",
    ),
    Bug(
        "a conflict is no judgement of the request",
        "syncer/api/classify.py",
        "JUDGED = frozenset({400, 406, 422})",
        "JUDGED = frozenset({400, 422})",
        "tests/property/test_blame_and_sizes.py",
    ),
    Bug(
        "a count of keys of many codes proves anything",
        "syncer/execute/reconcile.py",
        "    if values == 1 or codes_affected == expected:",
        "    if values == 1 or codes_affected >= values:",
        RECONCILE,
    ),
    Bug(
        "names that nobody asked for prove something",
        "syncer/execute/reconcile.py",
        "    if not agree or affected < len(named):",
        "    if not agree:",
        RECONCILE,
    ),
    Bug(
        "special fields are not taken",
        "syncer/execute/reconcile.py",
        "asked = frozenset(sent.get(key, ())) - SPECIAL_FIELDS",
        "asked = frozenset(sent.get(key, ()))",
        RECONCILE,
    ),
    Bug(
        "an answer that contradicts itself proves fields",
        "syncer/execute/send.py",
        "if judgement.finding is not Finding.UNCLEAR:",
        "if judgement.finding is not Finding.SOME:",
        SLIPS,
    ),
    Bug(
        "reach is learned from what fits nothing",
        "syncer/execute/outcome.py",
        "learn=judgement.finding is Finding.ALL)",
        "learn=True)",
        SLIPS,
    ),
    Bug(
        "the names of a repeated call refuse what all take",
        "syncer/execute/outcome.py",
        "if missing and batch.attempts > 1",
        "if missing and batch.attempts > 9",
        SLIPS,
    ),
    Bug(
        "a task that is shown again stays unknown",
        "syncer/execute/watch.py",
        "watched.looked, watched.missed, watched.unknown_since_s = True, 0, None",
        "watched.looked, watched.missed = True, 0",
        SLIPS,
    ),
    Bug(
        "a count that is not there yet is judged at once",
        "syncer/execute/watch.py",
        "if now_s - watched.uncounted_since_s < self._context.settings.settle_s:",
        "if now_s - watched.uncounted_since_s < 0:",
        SLIPS,
    ),
    Bug(
        "a part of a batch loses its campaign",
        "syncer/ledger/splitting.py",
        "parent.campaign, parent.unique)",
        "None, parent.unique)",
        SLIPS,
    ),
    Bug(
        "a part of a batch varies in its first column",
        "syncer/ledger/splitting.py",
        "payload_id, parent.varying, first",
        "payload_id, 0, first",
        SLIPS,
    ),
    Bug(
        "a part forgets the picture it was made against",
        "syncer/ledger/splitting.py",
        "i.line, i.before_id\n",
        "i.line, 0\n",
        EDGES,
    ),
    Bug(
        "a batch that goes on in parts leaves what was known",
        "syncer/ledger/writer.py",
        "            if pieces:\n                self._step(MirrorStep.DOUBTED, changed)",
        "            if pieces:\n                pass",
        EDGES,
    ),
    Bug(
        "a list that is cut into pages counts as whole",
        "syncer/execute/watch.py",
        "whole = answer.complete or not shown",
        "whole = True",
        CORNERS,
    ),
    Bug(
        "a task is gone after one look",
        "syncer/execute/watch.py",
        "elif now_s - watched.unknown_since_s >= context.settings.settle_s:",
        "elif now_s - watched.unknown_since_s >= 0:",
        CORNERS,
    ),
    Bug(
        "unmatched values count as confirmed",
        "syncer/execute/outcome.py",
        "context.tally.confirmed += batch.size - len(unmatched)",
        "context.tally.confirmed += batch.size",
        SLIPS,
    ),
    Bug(
        "a part of a batch does not know its whole",
        "syncer/ledger/splitting.py",
        "parent.space_id, parent.id,",
        "parent.space_id, None,",
        LEDGER,
    ),
    Bug(
        "a part of a batch selects other codes",
        "syncer/ledger/splitting.py",
        "parent.campaign, parent.unique)",
        "parent.campaign, True)",
        CORNERS,
    ),
    Bug(
        "a contradiction about one value makes it absent",
        "syncer/ledger/writer.py",
        "elif batch.size == 1 and unmatched and codes_affected:",
        "elif batch.size == 0:",
        SCENES,
    ),
    Bug(
        "what matched nothing stays known",
        "syncer/ledger/writer.py",
        "                mirror.mark_absent(self._connection, changed.space_id, unmatched)\n",
        "",
        LEDGER,
    ),
    Bug(
        "a failed task's values are wanted no more",
        "syncer/ledger/writer.py",
        "message=message, wanted=True)\n            self._step(MirrorStep.DOUBTED, changed)\n            return changed\n\n    def repack",
        "message=message, wanted=False)\n            self._step(MirrorStep.DOUBTED, changed)\n            return changed\n\n    def repack",
        EDGES,
    ),
    Bug(
        "what was let go of is wanted no more",
        "syncer/ledger/writer.py",
        "message=message, wanted=True)\n            self._step(MirrorStep.DOUBTED, changed)\n            return changed\n\n    def late_end",
        "message=message, wanted=False)\n            self._step(MirrorStep.DOUBTED, changed)\n            return changed\n\n    def late_end",
        EDGES,
    ),
    Bug(
        "a refusal leaves what was known",
        "syncer/ledger/writer.py",
        "message=message, split=bool(pieces))\n            self._step(MirrorStep.DOUBTED, changed)\n            return changed, self._split",
        "message=message, split=bool(pieces))\n            return changed, self._split",
        EDGES,
    ),
    Bug(
        "a failed task leaves what was known",
        "syncer/ledger/writer.py",
        "message=message, wanted=True)\n            self._step(MirrorStep.DOUBTED, changed)\n            return changed\n\n    def repack",
        "message=message, wanted=True)\n            return changed\n\n    def repack",
        EDGES,
    ),
    Bug(
        "what a run's campaign did not take is not recorded",
        "syncer/ledger/writer.py",
        "json.dumps(sorted(discarded_fields))",
        "json.dumps([])",
        EDGES,
    ),
    Bug(
        "a held row wants its delta alone",
        "syncer/plan/planner.py",
        "_places(verdicts == Standing.HELD), rows.wanted)",
        "_places(verdicts == Standing.HELD), rows.send)",
        DIFF,
    ),
    Bug(
        "a wish that is held is sent",
        "syncer/plan/planner.py",
        "_places(~held & ((carried.send != SAME) | probing))",
        "_places((carried.send != SAME) | probing)",
        DIFF,
    ),
    Bug(
        "a carried value has the file of another",
        "syncer/plan/planner.py",
        "source = -carried.source_id[groups].astype(np.int32)",
        "source = -carried.source_id[groups][::-1].astype(np.int32)",
        DIFF,
    ),
    Bug(
        "whose token sent a call is not recorded",
        "syncer/ledger/writer.py",
        '"account": self.account}',
        '"account": None}',
        "tests/integration/test_place_in_time.py",
    ),
    Bug(
        "one guard's finding hides the others",
        "syncer/guards/export.py",
        "found = list(_findings(guards, tonight, past))",
        "found = list(_findings(guards, tonight, past))[:1]",
        "tests/property/test_guards.py",
    ),
    Bug(
        "the limit of missing codes is one off",
        "syncer/guards/export.py",
        "PERCENT * (usual - here) > guards.missing_percent * usual",
        "PERCENT * (usual - here) >= guards.missing_percent * usual",
        "tests/property/test_guards.py",
    ),
    Bug(
        "fields that a job wrote earlier are forgotten",
        "syncer/ledger/plans.py",
        "fields = sorted({*run.job.fields, *plan.fields})",
        "fields = sorted({*plan.fields})",
        EDGES,
    ),
    Bug(
        "a run that is planned again forgets its calls",
        "syncer/ledger/plans.py",
        "run.rows, run.minimum_updates + minimum",
        "run.rows, minimum",
        EDGES,
    ),
    # ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────────
    Bug(
        "eleven calls fit in a second",
        "syncer/api/limits.py",
        "        places = max(1, int(per_second))",
        "        places = max(1, int(per_second)) + 1",
        LIMITS,
    ),
    Bug(
        "a throttled call is made again at once",
        "syncer/api/limits.py",
        "earliest_s = max(now_s, self._throttled_until_s, self._last_start_s + self._gap_s)",
        "earliest_s = max(now_s, self._last_start_s + self._gap_s)",
        LIMITS,
    ),
    Bug(
        "calls of the process before are not counted",
        "syncer/api/limits.py",
        "for at_s in sorted(started_s)[-self._places :]:",
        "for at_s in sorted(started_s)[: -self._places]:",
        LIMITS,
    ),
    # ── ledger ───────────────────────────────────────────────────────────────────────────────────────────────────────
    Bug(
        "a state changes whatever it was",
        "syncer/ledger/transitions.py",
        "    if changed.rowcount != 1:",
        "    if changed.rowcount > 1:",
        LEDGER,
    ),
    Bug(
        "a stale attempt may change a batch",
        "syncer/ledger/transitions.py",
        '            t.batches.c.attempts == bindparam("old_attempts"),',
        '            t.batches.c.attempts >= bindparam("old_attempts") * 0,',
        LEDGER,
    ),
    Bug(
        "a dead process's calls count as never made",
        "syncer/ledger/door_writes.py",
        "        found = self.batches(states=[State.SENDING])",
        "        found = self.batches(states=[State.SENDING], most=1)",
        LEDGER,
    ),
    Bug(
        "a lost call leaves its fields known",
        "syncer/ledger/writer.py",
        "            changed = self._change(batch, Event.ANSWER_LOST, at, attempt_id, message)\n            self._step(MirrorStep.DOUBTED, changed)",
        "            changed = self._change(batch, Event.ANSWER_LOST, at, attempt_id, message)",
        SCENES,
    ),
    Bug(
        "parts of a batch are written over its items",
        "syncer/ledger/splitting.py",
        "i.line, i.before_id\n",
        "i.line + 1, i.before_id\n",
        LEDGER,
    ),
    Bug(
        "a part forgets which file a field came from",
        "syncer/ledger/splitting.py",
        "j.key, o.source_id, o.line, o.fields FROM",
        "j.key, o.source_id, o.line + 1, o.fields FROM",
        LEDGER,
    ),
    Bug(
        "a resumed run's end is not recorded",
        "syncer/ledger/writer.py",
        '    .where(t.runs.c.id == bindparam("run_id"))\n    .values(\n        {name: bindparam(f"new_{name}")',
        '    .where(t.runs.c.id == bindparam("run_id"), t.runs.c.ended_at.is_(None))\n    .values(\n        {name: bindparam(f"new_{name}")',
        f"{PLANTED}::test_the_end_of_a_resumed_run_is_recorded_in_that_run",
    ),
    Bug(
        "a case number that was written again makes its case uncertain",
        "syncer/ledger/crossing.py",
        "        if old != new or is_moved:",
        "        if old == new or is_moved:",
        f"{RARE}::test_a_case_number_that_was_written_again_moves_no_code",
    ),
    Bug(
        "a pair stays known when a code comes under it",
        "syncer/ledger/crossing.py",
        "    if len(other.key) > 1:\n        return None",
        "    if len(other.key) > 1:\n        return set()",
        f"{RARE}::test_a_code_that_comes_under_a_pair_makes_all_pairs_uncertain",
    ),
    Bug(
        "wishes of another space are dropped",
        "syncer/ledger/buckets.py",
        "WHERE kind = 'wish' AND state = 'planned' AND NOT split AND (?1 IS NULL OR space_id = ?1)",
        "WHERE kind = 'wish' AND state = 'planned' AND NOT split AND ?1 IS NULL",
        EDGES,
    ),
    Bug(
        "words of the API stand at the value before",
        "syncer/runs/results_folder.py",
        "number[own] = self._words[places[own]]",
        "number[own] = self._words[places[own] - 1]",
        "tests/unit/test_results_fates.py",
    ),
    Bug(
        "rows that wait stand among the confirmed",
        "syncer/runs/results_folder.py",
        "number[self._verdicts[groups] == Standing.HELD] = self._held",
        "pass",
        "tests/unit/test_results_fates.py",
    ),
    Bug(
        "a row bears the fault of another file's line",
        "syncer/runs/results_folder.py",
        "intake.plan.rejections.of_source(position)",
        "intake.plan.rejections",
        "tests/cli/test_results_folder.py",
    ),
    Bug(
        "the words of errors stand at unmatched rows",
        "syncer/runs/results_folder.py",
        "number[~refused] = len(told) + of_rest",
        "number[~refused] = of_rest",
        "tests/cli/test_results_folder.py",
    ),
    # ── what is told ─────────────────────────────────────────────────────────────────────────────────────────────────
    Bug(
        '"earlier in doubt" does not make exit 3',
        "syncer/results.py",
        "of_others = self.earlier_in_doubt or any(",
        "of_others = any(",
        f"{PLANTED}::test_each_thing_that_is_left_makes_exit_3_by_itself",
    ),
    Bug(
        "rows that wait do not make exit 3",
        "syncer/results.py",
        'held = self.rows.held if self.command == "plan" else self.waiting',
        'held = self.rows.held if self.command == "plan" else 0',
        f"{PLANTED}::test_each_thing_that_is_left_makes_exit_3_by_itself",
    ),
    Bug(
        "fields that were not taken do not make exit 3",
        "syncer/results.py",
        "or unsettled or self.discarded_fields",
        "or unsettled",
        f"{PLANTED}::test_each_thing_that_is_left_makes_exit_3_by_itself",
    ),
    Bug(
        "what a campaign did not take is not wanted once it does",
        "syncer/ledger/proofs.py",
        "        want_again(connection, refused, at)\n",
        "",
        f"{TAKEN}::test_what_earlier_files_named_is_sent_once_the_field_is_defined_though_no_later_file_names_it",
    ),
    Bug(
        "a newer word for a field that is not taken is forgotten",
        "syncer/ledger/plans.py",
        "place in not_said(connection, space_id, keys, texts)]",
        "place in ()]",
        f"{TAKEN}::test_what_earlier_files_named_is_sent_once_the_field_is_defined_though_no_later_file_names_it",
    ),
    Bug(
        "a word that may have been overwritten since is sent once its field is taken",
        "syncer/ledger/untaken.py",
        "return newest > 0 and newest > self._place(batch_id)",
        "return False",
        f"{TAKEN}::test_a_word_from_before_a_ledger_was_put_back_is_not_sent_once_its_field_is_defined",
    ),
    Bug(
        "a field is asked for only by values that tonight's file names",
        "syncer/runs/intake.py",
        "for asking in knowledge.untaken(fields):",
        "for asking in knowledge.untaken(()):",
        f"{TAKEN}::test_what_earlier_files_named_is_sent_once_the_field_is_defined_though_no_later_file_names_it",
    ),
)
