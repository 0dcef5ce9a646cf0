"""Alembic's environment: the address comes from `db.migrate`, the schema from `db.models*`."""

from alembic import context
from sqlalchemy import Connection
from sqlmodel import SQLModel

import db.models_queue  # importing it (and with it db.models) is what registers the tables
import db.models_results  # noqa: F401  # as above
from db.session import connect


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=SQLModel.metadata, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    url = context.config.get_main_option("sqlalchemy.url")
    if not url:
        raise SystemExit("Run migrations with: replybench db upgrade")
    with connect(url).connect() as own:
        _run(own)
