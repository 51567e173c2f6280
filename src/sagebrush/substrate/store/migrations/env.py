"""Alembic's entry point; run by sagebrush.substrate.store.migrating with a transaction in hand."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
    transactional_ddl=False,  # the store's transaction is the transaction
)
context.run_migrations()
