"""Which database the commands about results work on."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sqlalchemy import Engine

from db import migrate
from db.embedded import embedded_postgres
from db.session import connect, session_scope
from replybench.stack import HOME, running_stack


@contextmanager
def results_database(url: str | None) -> Iterator[Engine]:
    """Yield a connected, migrated database: the one named, the running demo's, or the demo's own, started for this."""
    with ExitStack() as stack:
        running = running_stack()
        chosen = url or (running.database_url if running else stack.enter_context(embedded_postgres(HOME / "postgres")))
        database = connect(chosen)
        stack.callback(database.dispose)
        with session_scope(database):  # tells in one sentence if it is away
            migrate.upgrade(database)
        yield database
