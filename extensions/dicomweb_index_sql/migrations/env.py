"""Called by Alembic; the connection comes from `dicomweb_index_sql.migration`."""

from alembic import context

from dicomweb_index_sql.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
connection.commit()
