"""A database that is slow or away is told in one sentence, in time."""

import time

import pytest
from sqlalchemy import text

from db.session import connect, session_scope
from replybench.errors import Unavailable


def test_a_statement_that_takes_too_long_is_ended(postgres_url: str) -> None:
    database = connect(postgres_url, statement_timeout_s=0.3)
    began = time.monotonic()
    with pytest.raises(Unavailable), session_scope(database) as session:
        session.execute(text("SELECT pg_sleep(30)"))
    assert time.monotonic() - began < 10
    database.dispose()


def test_a_database_that_is_away_is_told_in_time() -> None:
    began = time.monotonic()
    away = connect("postgresql://x@127.0.0.1:1/x")
    with pytest.raises(Unavailable, match="cannot be reached"), session_scope(away) as session:
        session.execute(text("SELECT 1"))
    assert time.monotonic() - began < 10


def test_when_all_connections_are_taken_it_is_told(database_url: str) -> None:
    engine = connect(database_url, pool_size=1)
    engine.pool._timeout = 0.1  # type: ignore[attr-defined]  # a QueuePool's; ten seconds are long for a test
    engine.pool._max_overflow = 0  # type: ignore[attr-defined]  # as above
    with engine.connect(), pytest.raises(Unavailable, match="at once"), session_scope(engine) as session:
        session.execute(text("SELECT 1"))
    engine.dispose()
