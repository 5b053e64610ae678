"""Alembic's entry: runs the migrations on the connection that `syncer ledger upgrade` hands over."""

from alembic import context

from syncer.ledger.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
context.run_migrations()
