"""What the operator's commands share: the database they work on, and their name in the audit trail."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import Engine
from sqlmodel import Session

from db import queries_operations
from db.session import connect, session_scope
from replybench.errors import ConfigError
from replybench.secrets import secrets_dir


class _Settings(BaseSettings):
    """What the commands share with the backend, when no other setting of it is at hand."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", secrets_dir=secrets_dir())

    database_url: str | None = None
    embedding_model: str | None = None


@contextmanager
def operator_database() -> Iterator[Engine]:
    """Yield DATABASE_URL's database, or the one of the demo that runs from this folder.

    Raises:
        ConfigError: neither is there.
    """
    database = connect(_database_url(), pool_size=2)
    try:
        yield database
    finally:
        database.dispose()


@contextmanager
def operator_session() -> Iterator[Session]:
    """Yield a session whose changes the audit trail puts down to this operator."""
    with operator_database() as database, session_scope(database) as session:
        queries_operations.set_actor(session, operator())
        yield session


def operator() -> str:
    """Return how the audit trail names who runs this command."""
    return f"operator:{getpass.getuser()}"


def embedding_model() -> str | None:
    """Return the model by which passages are embedded, if one is set."""
    return _Settings().embedding_model or None


def _database_url() -> str:
    if url := _Settings().database_url:
        return url
    try:
        from replybench.stack import running_stack
    except ImportError:  # an image without the one-machine stack
        stack = None
    else:
        stack = running_stack()
    if stack is None:
        raise ConfigError("Set DATABASE_URL, or start the demo in this folder (make demo).")
    return stack.database_url
