"""Known keys that are alike to a key: of what the mirror has, those of which a field is known."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, insert

from syncer.ledger import known_keys, schema


@pytest.mark.parametrize("known", [True, False])
def test_a_key_of_which_nothing_is_known_is_no_example_of_a_right_one(known):
    engine = create_engine("sqlite://")
    schema.metadata.create_all(engine, tables=[schema.mirror, schema.pictures])
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO pictures (id, known_payload_id, uncertain, refused, absent, counted) "
            f"VALUES (1, {int(known)}, '[]', '[]', 0, '[]')"
        )
        rows = [{"space_id": 1, "key": key, "picture": at, "batch_id": 1} for key, at in (("ABC1", 1), ("aBC1", -1))]
        connection.execute(insert(schema.mirror), rows)
        assert sorted(known_keys.known_alike(connection, 1, "abc1")) == ["ABC1", "aBC1"][: 1 + known]
    engine.dispose()
