"""Connections and the session scope: success commits, an exception rolls back. Nothing else commits."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from replybench.errors import Unavailable


def connect(database_url: str, *, pool_size: int = 10) -> Engine:
    """Return an engine for `database_url` (``postgresql://…``), always with psycopg 3.

    A connection that has died while it lay in the pool is replaced before it is used, so the backend
    comes back by itself when PostgreSQL does.
    """
    url = database_url
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            url = f"postgresql+psycopg://{url.removeprefix(prefix)}"
    return create_engine(
        url,
        pool_pre_ping=True,
        pool_size=pool_size,
        max_overflow=10,
        pool_timeout=10,
        connect_args={"connect_timeout": 5, "application_name": "replybench"},
    )


@contextmanager
def session_scope(engine: Engine) -> Iterator[Session]:
    """Yield a session; commit when the block ends, roll back when it raises.

    Raises:
        Unavailable: the database cannot be reached.
    """
    try:
        with Session(engine, expire_on_commit=False) as session, session.begin():
            yield session
    except OperationalError as error:
        raise Unavailable("The database cannot be reached just now. Nothing was stored; try again.") from error
