"""Keep what is needed and no more: backup, restore, retention, forgetting a person."""

import hashlib
import json
import os
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import sqlalchemy
from alembic.util import CommandError
from sqlmodel import Session

from db import migrate, queries_backup, queries_operations
from db.session import session_scope
from replybench import __version__
from replybench.errors import Conflict, InvalidInput, NotFound
from replybench.redaction.patterns import emails, phones

_MANIFEST = "manifest.json"
_FORM = 1
#: A manifest is a few kilobytes; what unpacks to more is not one.
_MANIFEST_BYTES = 1 << 20


def backup(database: sqlalchemy.Engine, path: Path) -> dict[str, int]:
    """Write all tables, as they are at one moment, to `path`; return rows per table.

    The service may go on working. The file appears under its name only when it is whole, and is its owner's alone.

    Raises:
        Conflict: the file exists, or the database has no schema of ours.
        Unavailable: the database is away.
    """
    if path.exists():
        raise Conflict(f"{path} exists. Choose another name, so that no backup is lost.")
    part = path.with_name(f"{path.name}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            rows = _write(database, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return rows


def _write(database: sqlalchemy.Engine, file: IO[bytes]) -> dict[str, int]:
    with (
        session_scope(database) as session,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive,
    ):
        connection = session.connection()
        queries_backup.begin_snapshot(connection)
        revision = queries_backup.revision(connection)
        if revision is None:
            raise Conflict("This database holds nothing of Replybench. Set DATABASE_URL to the one that does.")
        tables: dict[str, dict[str, Any]] = {}
        for table, columns in queries_backup.tables(connection).items():
            digest = hashlib.sha256()
            with archive.open(f"{table}.copy", "w", force_zip64=True) as entry:
                for piece in queries_backup.copy_out(connection, table, columns):
                    digest.update(piece)
                    entry.write(piece)
            rows = queries_backup.count(connection, table)
            tables[table] = {"columns": columns, "rows": rows, "sha256": digest.hexdigest()}
        manifest = {
            "form": _FORM,
            "made_by": f"replybench {__version__}",
            "made_at": datetime.now(UTC).isoformat(),
            "revision": revision,
            "tables": tables,
        }
        archive.writestr(_MANIFEST, json.dumps(manifest, indent=2))
    return {table: facts["rows"] for table, facts in tables.items()}


def restore(database: sqlalchemy.Engine, path: Path, actor: str, *, replace: bool) -> dict[str, int]:
    """Bring a backup into a database, all or nothing, and its schema up to date; return rows per table.

    Args:
        replace: throw away what the database holds.

    Raises:
        InvalidInput: the file is no backup, or is damaged.
        Conflict: the database is not empty and `replace` is not set.
    """
    with _opened(path) as archive, session_scope(database) as session:
        manifest = _manifest(archive, path)
        connection = session.connection()
        _check_empty(connection, replace=replace)
        try:
            migrate.upgrade_within(connection, manifest["revision"])
        except CommandError as error:
            raise InvalidInput(f"{path} was made by a newer version ({manifest['made_by']}). Upgrade first.") from error
        _fill(connection, archive, manifest)
        migrate.upgrade_within(connection)
        rows = {table: int(facts["rows"]) for table, facts in manifest["tables"].items()}
        detail = {"made_at": manifest["made_at"], "tickets": rows.get("ticket", 0), "ratings": rows.get("rating", 0)}
        queries_operations.note_event(session, actor, "database.restored", "database", "", detail)
    return rows


def _check_empty(connection: sqlalchemy.Connection, *, replace: bool) -> None:
    tables = queries_backup.tables(connection)
    held = sum(queries_backup.count(connection, name) for name in ("ticket", "rating", "api_key") if name in tables)
    if held and not replace:
        raise Conflict(
            "The database is not empty; nothing was changed. Restore into a new one, or say --replace to throw away "
            "what it holds."
        )
    if replace and tables:
        migrate.downgrade(connection)


def _fill(connection: sqlalchemy.Connection, archive: zipfile.ZipFile, manifest: dict[str, Any]) -> None:
    tables = queries_backup.tables(connection)
    if set(tables) != set(manifest["tables"]):
        raise InvalidInput("The backup's tables are not those of its schema. It was not made by this product.")
    keys = queries_backup.foreign_keys(connection)
    names = list(tables)
    queries_backup.switch_triggers(connection, names, on=False)
    queries_backup.drop_foreign_keys(connection, keys)
    queries_backup.empty_all(connection, names)
    for table, facts in manifest["tables"].items():
        with archive.open(f"{table}.copy") as entry:
            source = _Hashed(entry)
            queries_backup.copy_in(connection, table, facts["columns"], source)
        if source.hexdigest != facts["sha256"] or queries_backup.count(connection, table) != facts["rows"]:
            raise InvalidInput(f"The backup is damaged (table {table}); nothing was changed.")
    queries_backup.add_foreign_keys(connection, keys)
    queries_backup.reset_sequences(connection)
    queries_backup.switch_triggers(connection, names, on=True)


class _Hashed:
    """Reads through, and knows the hash of what was read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        """Read a piece."""
        piece = self._source.read(size)
        self._digest.update(piece)
        return piece

    @property
    def hexdigest(self) -> str:
        """The SHA-256 of all that was read."""
        return self._digest.hexdigest()


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.") from error
    except zipfile.BadZipFile as error:
        raise InvalidInput(f"{path} is not a backup, or only a part of one.") from error


def _manifest(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    try:
        fits = archive.getinfo(_MANIFEST).file_size <= _MANIFEST_BYTES
        manifest: dict[str, Any] = json.loads(archive.read(_MANIFEST)) if fits else {}
        known = manifest["form"] == _FORM and manifest["revision"] and manifest["tables"]
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InvalidInput(f"{path} is not a backup of Replybench.") from error
    if not known:
        raise InvalidInput(f"{path} was made by another version of Replybench: {manifest.get('made_by', 'unknown')}.")
    damaged = archive.testzip()
    if damaged:
        raise InvalidInput(f"{path} is damaged ({damaged}); nothing was changed.")
    return manifest


def purge(session: Session, actor: str, older_than: timedelta, *, dry_run: bool) -> tuple[int, dict[str, int]]:
    """Remove the texts of tickets older than `older_than`, of their answers and of what was written about them.

    Scores, times and who answered stay: every figure of the results is what it was.

    Returns:
        How many tickets there are, and how many rows of each kind were emptied (none if `dry_run`).
    """
    moment = datetime.now(UTC) - older_than
    ids = queries_operations.tickets_before(session, moment)
    if dry_run or not ids:
        return len(ids), {}
    emptied = queries_operations.remove_texts(session, ids)
    detail = {"before": moment.isoformat(), **emptied}
    queries_operations.note_event(session, actor, "texts.purged", "ticket", "", detail)
    return len(ids), emptied


def forget_contact(session: Session, actor: str, contact: str) -> dict[str, int]:
    """Erase what a customer wrote and was answered; return how many rows of each kind were emptied.

    Raises:
        NotFound: no ticket came with this address or number.
    """
    ids = queries_operations.tickets_of(session, contact)
    if not ids:
        raise NotFound(
            "No ticket is known to have come with this address or number. It must be written as the customer wrote it: "
            "a whole e-mail address, or a telephone number."
        )
    emptied = queries_operations.remove_texts(session, ids)
    queries_operations.note_event(session, actor, "person.forgotten", "ticket", "", dict(emptied))
    return emptied


def forget_rater(session: Session, actor: str, name: str) -> int:
    """Take a rater's name and words away, and keep the scores; return how many raters had the name.

    Raises:
        NotFound: there is none of this name.
    """
    raters = queries_operations.raters_named(session, name)
    if not raters:
        raise NotFound("There is no rater of this name.")
    for rater in raters:
        words = queries_operations.forget_rater(session, rater)
        detail = {"ratings_that_lost_words": words}
        queries_operations.note_event(session, actor, "person.forgotten", "rater", str(rater.id), detail)
    return len(raters)


def span(text: str) -> timedelta:
    """Read ``180d`` or ``26w``.

    Raises:
        InvalidInput: not of that form.
    """
    days = {"d": 1, "w": 7}.get(text[-1:].lower())
    if days is None or not text[:-1].isdecimal() or not 1 <= int(text[:-1]) <= 36_500:
        raise InvalidInput("Say an age in days or weeks, such as 180d or 26w.")
    return timedelta(days=days * int(text[:-1]))


def contacts_in(texts: Iterable[str]) -> set[str]:
    """Return the e-mail addresses and telephone numbers that stand in texts, before they are redacted."""
    return {text[entity.start : entity.end] for text in texts for find in (emails, phones) for entity in find(text)}
