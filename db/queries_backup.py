"""SQL of backup and restore: every table, copied out of one moment and back into one transaction."""

from collections.abc import Iterator
from typing import Protocol, cast

import psycopg
from psycopg import sql
from sqlalchemy import Connection, text

_VERSION = "alembic_version"


def begin_snapshot(connection: Connection) -> None:
    """Make all that this connection reads one moment's state, and nothing that it does a change."""
    connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


def revision(connection: Connection) -> str | None:
    """Return the schema's revision, or None if the database has none of ours."""
    if connection.execute(text("SELECT to_regclass('alembic_version')")).scalar() is None:
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return str(found) if found else None


def tables(connection: Connection) -> dict[str, list[str]]:
    """Return table → its columns (those that are not computed), in the order of their names."""
    rows = connection.execute(
        text(
            "SELECT c.table_name, c.column_name FROM information_schema.columns c"
            " JOIN information_schema.tables t USING (table_schema, table_name)"
            " WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.is_generated = 'NEVER'"
            " AND c.table_name <> :version ORDER BY c.table_name, c.ordinal_position"
        ),
        {"version": _VERSION},
    ).all()
    found: dict[str, list[str]] = {}
    for table, column in rows:
        found.setdefault(table, []).append(column)
    return found


def count(connection: Connection, table: str) -> int:
    """Return how many rows a table has."""
    statement = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
    with _raw(connection).cursor() as cursor:
        row = cursor.execute(statement).fetchone()
    return int(str(row[0])) if row else 0


def copy_out(connection: Connection, table: str, columns: list[str]) -> Iterator[bytes]:
    """Yield a table in PostgreSQL's text format."""
    with _raw(connection).cursor() as cursor, cursor.copy(_copy(table, columns, "TO STDOUT")) as copy:
        for piece in copy:
            yield bytes(piece)


class Readable(Protocol):
    """What bytes can be read from."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next piece, empty at the end."""


def copy_in(connection: Connection, table: str, columns: list[str], source: Readable) -> None:
    """Fill a table from what `copy_out` gave."""
    with _raw(connection).cursor() as cursor, cursor.copy(_copy(table, columns, "FROM STDIN")) as copy:
        while piece := source.read(1 << 16):
            copy.write(piece)


def empty_all(connection: Connection, names: list[str]) -> None:
    """Empty these tables."""
    listed = sql.SQL(", ").join(map(sql.Identifier, names))
    _raw(connection).execute(sql.SQL("TRUNCATE {}").format(listed))


def foreign_keys(connection: Connection) -> list[tuple[str, str, str]]:
    """Return (table, name, definition) of all foreign keys."""
    rows = connection.execute(
        text(
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE contype = 'f' AND connamespace = 'public'::regnamespace ORDER BY 1, 2"
        )
    ).all()
    return [(table, name, definition) for table, name, definition in rows]


def drop_foreign_keys(connection: Connection, keys: list[tuple[str, str, str]]) -> None:
    """Take foreign keys away, so that tables can be filled in any order."""
    for table, name, _ in keys:
        _raw(connection).execute(
            sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(sql.Identifier(table), sql.Identifier(name))
        )


def add_foreign_keys(connection: Connection, keys: list[tuple[str, str, str]]) -> None:
    """Put them back; PostgreSQL checks every row."""
    for table, name, definition in keys:
        _raw(connection).execute(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                sql.Identifier(table),
                sql.Identifier(name),
                sql.SQL(definition),  # as PostgreSQL itself has just told it
            )
        )


def switch_triggers(connection: Connection, names: list[str], *, on: bool) -> None:
    """Let triggers of these tables fire, or not: what they would write is in the backup itself."""
    for name in names:
        _raw(connection).execute(
            sql.SQL("ALTER TABLE {} {} TRIGGER USER").format(
                sql.Identifier(name), sql.SQL("ENABLE") if on else sql.SQL("DISABLE")
            )
        )


def reset_sequences(connection: Connection) -> None:
    """Let every serial number go on after the highest one there is."""
    rows = connection.execute(
        text(
            "SELECT c.table_name, c.column_name, pg_get_serial_sequence(quote_ident(c.table_name), c.column_name)"
            " FROM information_schema.columns c WHERE c.table_schema = 'public'"
            " AND pg_get_serial_sequence(quote_ident(c.table_name), c.column_name) IS NOT NULL"
        )
    ).all()
    for table, column, sequence in rows:
        _raw(connection).execute(
            sql.SQL("SELECT setval({}, (SELECT coalesce(max({}), 0) + 1 FROM {}), false)").format(
                sql.Literal(sequence), sql.Identifier(column), sql.Identifier(table)
            )
        )


def _copy(table: str, columns: list[str], direction: str) -> sql.Composed:
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    way = sql.SQL("TO STDOUT") if direction == "TO STDOUT" else sql.SQL("FROM STDIN")
    return sql.SQL("COPY {} ({}) {}").format(sql.Identifier(table), listed, way)


def _raw(connection: Connection) -> "psycopg.Connection[tuple[object, ...]]":
    return cast("psycopg.Connection[tuple[object, ...]]", connection.connection.driver_connection)
