"""Alembic's entrance. Law: `stock_worker.store.migrate` is the only caller; it has opened the connection and the lock.

Alembic's own table stands in our schema, since a database may be shared with others who use Alembic too.
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table_schema="stock")
with context.begin_transaction():
    context.run_migrations()
