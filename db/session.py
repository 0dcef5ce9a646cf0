"""Connections and the session scope: success commits, an exception rolls back. Nothing else commits."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session

from replybench.errors import Unavailable

#: Connections that a service keeps; PostgreSQL has a hundred by default, for all its clients.
POOL_SIZE = 20
#: A server that has silently gone (power, network) is noticed within seconds, not after TCP's two hours.
_DEAD_PEER = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 15_000}


def connect(database_url: str, *, pool_size: int = POOL_SIZE, statement_timeout_s: float | None = None) -> Engine:
    """Return an engine for `database_url` (``postgresql://…``), always with psycopg 3.

    With `statement_timeout_s` PostgreSQL ends a statement, or a transaction left open, that takes longer.

    A connection that has died while it lay in the pool is replaced before it is used, so the backend
    comes back by itself when PostgreSQL does.
    """
    url = database_url
    limits = {}
    if statement_timeout_s is not None:
        limit = round(statement_timeout_s * 1000)
        limits["options"] = f"-c statement_timeout={limit} -c idle_in_transaction_session_timeout={limit}"
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            url = f"postgresql+psycopg://{url.removeprefix(prefix)}"
    return create_engine(
        url,
        pool_pre_ping=True,
        pool_size=pool_size,
        max_overflow=10,
        pool_timeout=10,
        connect_args={"connect_timeout": 5, "application_name": "replybench", **_DEAD_PEER, **limits},
    )


@contextmanager
def session_scope(engine: Engine) -> Iterator[Session]:
    """Yield a session; commit when the block ends, roll back when it raises.

    Raises:
        Unavailable: the database cannot be reached, or all connections to it are taken.
    """
    try:
        with Session(engine, expire_on_commit=False) as session, session.begin():
            yield session
    except OperationalError as error:
        raise Unavailable("The database cannot be reached just now. Nothing was stored; try again.") from error
    except PoolTimeout as error:
        raise Unavailable("Too much is going on at once just now. Nothing was stored; try again.") from error
