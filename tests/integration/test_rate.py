"""The rate over HTTP, against a sandbox whose network delays.

How few refusals a network costs is shown on a virtual clock (tests/property/test_rates.py): a machine that is busy sends
late, and is refused more often. What holds on any machine is shown here.
"""

from __future__ import annotations

from conftest import codes


def test_a_network_that_varies_is_called_within_its_limit_and_every_refusal_is_made_good(night):
    rows = [(f"K{number:06d}", f"x{number}") for number in range(3000)]
    with night(codes=codes(3000), way="75±19", updates_per_second=10, seed=3) as here:
        name = here.write("a.csv", ("extended_id", "lot"), rows)
        done = here.sync(name, SYNCER_API__UPDATES_PER_SECOND="10", SYNCER_API__TIMEOUT_S="10")
        assert (done.code, done.document["values"]["confirmed"]) == (0, 3000)
        requests = done.document["requests"]
        assert requests["updates"] == 30 + requests["throttled"]
        admitted = [call.at_s for call in here.box.calls("sync") if call.status_code == 200]
        assert all(later - earlier >= 1.0 for earlier, later in zip(admitted, admitted[10:], strict=False))


def test_the_sandbox_names_what_a_way_looks_like(night):
    with night() as here:
        done = here.run("sandbox", "--port", "0", "--way", "soon")
        assert done.code == 2
        assert "75±19" in done.err
