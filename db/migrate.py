"""Bring a database's schema up to date, by Alembic, from anywhere (no alembic.ini to be found first)."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text

#: One process migrates at a time; the others wait, and then find nothing to do.
_LOCK = 0x7265706C79


def config() -> Config:
    """Return Alembic's configuration for our migrations."""
    alembic = Config()
    alembic.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return alembic


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Run all migrations up to `revision`, in one transaction."""
    with engine.begin() as connection:
        upgrade_within(connection, revision)


def upgrade_within(connection: Connection, revision: str = "head") -> None:
    """Run all migrations up to `revision` in the connection's own transaction.

    Raises:
        alembic.util.CommandError: there is no such revision here.
    """
    alembic = config()
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    alembic.attributes["connection"] = connection
    command.upgrade(alembic, revision)


def downgrade(connection: Connection) -> None:
    """Take our whole schema away, and with it all that it holds, in the connection's transaction."""
    alembic = config()
    alembic.attributes["connection"] = connection
    command.downgrade(alembic, "base")


def check(engine: Engine) -> None:
    """Raise alembic.util.CommandError if the models and the migrated schema differ."""
    alembic = config()
    with engine.begin() as connection:
        alembic.attributes["connection"] = connection
        command.check(alembic)
