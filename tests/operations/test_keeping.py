"""Backup, restore, retention, forgetting, and the trail of all that."""

import json
import stat
import zipfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import Engine, text
from sqlmodel import SQLModel

from backend.security import keys
from backend.services import keeping
from db import queries_backup, queries_operations
from db.migrate import check, downgrade
from db.session import connect, session_scope
from replybench.errors import Conflict, InvalidInput, NotFound
from tests.operations.conftest import FIRST_KEY, bearer, made_key

SECRET = "quokka"  # stands in every text that a person writes here
TICKET = {
    "subject": f"{SECRET} subject",
    "text": f"{SECRET}: I am ann.lee@example.org, call +44 20 7946 0958 please",
    "earlier": [{"role": "agent", "text": f"{SECRET} earlier"}],
    "external_id": "4711",
}
RATING = {
    "scores": {"content": 4, "grammar": 5, "structure": 3, "style": 2},
    "comment": f"{SECRET} comment",
    "corrected_text": f"{SECRET} corrected",
}


async def lived_in(client: httpx.AsyncClient, ticket: Mapping[str, Any] = TICKET) -> dict[str, Any]:
    """Ask, rate, and rate otherwise, as a person would."""
    olena = bearer(FIRST_KEY, "Olena Quokka-Rater")
    made = (await client.post("/api/suggestions", json=ticket, headers=olena)).json()
    await client.get(f"/api/suggestions/{made['id']}/events", headers=olena)
    for answer in made["answers"]:
        for content in (1, 4):
            scores = {**RATING["scores"], "content": content}  # type: ignore[dict-item]  # it is a dict
            path = f"/api/answers/{answer['id']}/rating"
            stored = await client.put(path, json={**RATING, "scores": scores}, headers=olena)
            assert stored.status_code == 200, stored.text
    whole: dict[str, object] = made
    return whole


def everything(database: Engine) -> str:
    """All that a database holds, in one text."""
    with session_scope(database) as session:
        connection = session.connection()
        tables = queries_backup.tables(connection)
        return "\n".join(
            f"{name}\n"
            + "\n".join(sorted(b"".join(queries_backup.copy_out(connection, name, columns)).decode().split("\n")))
            for name, columns in tables.items()
        )


async def results(client: httpx.AsyncClient) -> dict[str, object]:
    whole: dict[str, object] = (await client.get("/api/results", headers=bearer(FIRST_KEY))).json()
    return {key: value for key, value in whole.items() if key not in {"computed_at", "version", "etag"}}


def without_audit(content: str) -> str:
    return "\n".join(line for line in content.split("\n") if "database.restored" not in line)


async def test_a_backup_brings_everything_back(client: httpx.AsyncClient, db_engine: Engine, tmp_path: Path) -> None:
    await lived_in(client)
    made_key(db_engine, "rate")
    file = tmp_path / "today.zip"
    await results(client)  # so that the tallies are counted, and in the backup
    before = everything(db_engine)
    rows = keeping.backup(db_engine, file)
    assert rows["rating"] == 2
    assert rows["rating_revision"] == 2
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(Conflict, match="exists"):
        keeping.backup(db_engine, file)
    with pytest.raises(Conflict, match="not empty"):
        keeping.restore(db_engine, file, "operator:test", replace=False)
    with session_scope(db_engine) as session:
        session.execute(text("UPDATE rating SET comment = 'broken'"))
        session.execute(text("DELETE FROM api_key"))
    keeping.restore(db_engine, file, "operator:test", replace=True)
    assert without_audit(everything(db_engine)) == before
    check(db_engine)
    with session_scope(db_engine) as session:  # serial numbers go on, foreign keys and triggers hold again
        keys.create(session, "after", ["rate"], 1, 1)
        trail = queries_operations.events(session, since=None, entity=None, limit=9)
    assert [event.action for event in trail][-2:] == ["database.restored", "api_key.created"]
    with pytest.raises(Exception, match="foreign key"), session_scope(db_engine) as session:
        session.execute(text("INSERT INTO ticket_contact VALUES (:id, 'x')"), {"id": uuid4()})


def test_a_backup_goes_into_an_empty_database_as_well(db_engine: Engine, tmp_path: Path) -> None:
    made_key(db_engine, "rate")
    keeping.backup(db_engine, tmp_path / "b.zip")
    with db_engine.begin() as connection:
        downgrade(connection)
        connection.execute(text("DROP TABLE alembic_version"))
    keeping.restore(db_engine, tmp_path / "b.zip", "operator:test", replace=False)
    with session_scope(db_engine) as session:
        assert [key.name for key in queries_operations.keys(session)] == ["made"]
    check(db_engine)


def test_a_damaged_or_strange_file_changes_nothing(db_engine: Engine, tmp_path: Path) -> None:
    made_key(db_engine, "rate")
    good = tmp_path / "good.zip"
    keeping.backup(db_engine, good)
    before = everything(db_engine)

    def rewritten(name: str, **changes: bytes) -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(good) as old, zipfile.ZipFile(path, "w") as new:
            for entry in old.namelist():
                new.writestr(entry, changes.get(entry.split(".")[0], old.read(entry)))
        return path

    with zipfile.ZipFile(good) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    newer = json.dumps({**manifest, "revision": "9999", "made_by": "replybench 9"}).encode()
    (tmp_path / "cut.zip").write_bytes(good.read_bytes()[:-200])
    (tmp_path / "other.zip").write_bytes(b"not a zip")
    for path, said in (
        (rewritten("changed.zip", api_key=b""), "damaged"),
        (rewritten("newer.zip", manifest=newer), "newer version"),
        (rewritten("none.zip", manifest=b"{}"), "not a backup"),
        (tmp_path / "cut.zip", "not a backup"),
        (tmp_path / "other.zip", "not a backup"),
    ):
        with pytest.raises(InvalidInput, match=said):
            keeping.restore(db_engine, path, "operator:test", replace=True)
    with pytest.raises(NotFound):
        keeping.restore(db_engine, tmp_path / "nowhere.zip", "operator:test", replace=True)
    assert everything(db_engine) == before


def test_a_backup_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    away = connect("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(Exception, match="cannot be reached"):
        keeping.backup(away, tmp_path / "b.zip")
    assert list(tmp_path.iterdir()) == []


async def test_purge_removes_every_text_and_keeps_every_figure(client: httpx.AsyncClient, db_engine: Engine) -> None:
    made = await lived_in(client)
    figures = await results(client)
    assert SECRET in everything(db_engine)
    with session_scope(db_engine) as session:
        assert keeping.purge(session, "operator:test", timedelta(days=1), dry_run=False) == (0, {})
        session.execute(text("UPDATE ticket SET created_at = created_at - interval '200 days'"))
    with session_scope(db_engine) as session:
        assert keeping.purge(session, "operator:test", timedelta(days=180), dry_run=True) == (1, {})
        tickets, emptied = keeping.purge(session, "operator:test", timedelta(days=180), dry_run=False)
    assert tickets == 1
    assert emptied == {"ticket": 1, "answer": 2, "rating": 2, "rating_revision": 2, "ticket_contact": 2}
    left = everything(db_engine)
    assert f"{SECRET} " not in left, "a person's words survived the purge"
    for words in ("4711", "20 7946", "example.org"):
        assert words not in left
    with db_engine.connect() as connection:
        assert set(connection.execute(text("SELECT text FROM answer")).scalars()) == {""}
    assert await results(client) == figures
    with session_scope(db_engine) as session:
        assert keeping.purge(session, "operator:test", timedelta(days=180), dry_run=False) == (0, {})
        event = queries_operations.events(session, since=None, entity="ticket", limit=1)[0]
    assert (event.actor, event.action, event.detail["answer"]) == ("operator:test", "texts.purged", 2)
    shown = await client.get(f"/api/suggestions/{made['id']}", headers=bearer(FIRST_KEY, "Olena Quokka-Rater"))
    assert shown.status_code == 200
    assert shown.json()["ticket"]["text"] == ""


@pytest.mark.parametrize("contact", ["ann.lee@example.org", " Ann.Lee@Example.ORG", "+442079460958", "020 7946 0958"])
async def test_a_customer_is_forgotten_by_what_stood_in_the_ticket(
    contact: str, client: httpx.AsyncClient, db_engine: Engine
) -> None:
    await lived_in(client)
    await lived_in(client, {"text": "somebody else: bo@example.org"})
    figures = await results(client)
    with session_scope(db_engine) as session:
        assert keeping.forget_contact(session, "operator:test", contact)["ticket"] == 1
    left = everything(db_engine)
    assert f"{SECRET} subject" not in left
    assert "somebody else" in left
    assert await results(client) == figures
    with pytest.raises(NotFound), session_scope(db_engine) as session:
        keeping.forget_contact(session, "operator:test", contact)


async def test_a_customer_is_forgotten_by_the_contact_that_the_helpdesk_named(
    client: httpx.AsyncClient, db_engine: Engine
) -> None:
    await lived_in(client, {"text": "no address in here", "contacts": ["cy@example.org"]})
    assert "cy@example.org" not in everything(db_engine)
    with session_scope(db_engine) as session:
        assert keeping.forget_contact(session, "operator:test", "CY@example.org")["ticket"] == 1
    assert "no address in here" not in everything(db_engine)


async def test_a_rater_is_forgotten_and_the_scores_stay(client: httpx.AsyncClient, db_engine: Engine) -> None:
    await lived_in(client)
    figures = await results(client)
    with session_scope(db_engine) as session:
        assert keeping.forget_rater(session, "operator:test", "olena quokka-rater") == 1
    left = everything(db_engine).lower()
    assert "quokka-rater" not in left
    assert f"{SECRET} comment" not in left
    after = await results(client)
    assert json.dumps(after).count("forgotten ") == json.dumps(figures).count("Olena Quokka-Rater")
    with pytest.raises(NotFound), session_scope(db_engine) as session:
        keeping.forget_rater(session, "operator:test", "Olena Quokka-Rater")


async def test_the_trail_says_who_changed_a_rating_a_study_and_a_key(
    client: httpx.AsyncClient, db_engine: Engine
) -> None:
    await lived_in(client)
    with session_scope(db_engine) as session:
        queries_operations.set_actor(session, "operator:ira")
        session.execute(text("UPDATE study SET closed_at = now() WHERE name = 'quick'"))
    made_key(db_engine, "rate")
    with session_scope(db_engine) as session:
        queries_operations.set_actor(session, "operator:ira")
        keys.revoke(session, "made")
        trail = queries_operations.events(session, since=None, entity=None, limit=100)
    by_action = {event.action: event for event in trail}
    assert by_action["rating.changed"].actor == "key:API_KEY"
    changed = by_action["rating.changed"].detail["scores"]
    assert (changed["from"]["content"], changed["to"]["content"]) == (1, 4)
    assert by_action["study.changed"].actor == "operator:ira"
    assert by_action["study.changed"].detail["closed_at"]["from"] is None
    assert by_action["api_key.created"].actor.startswith("database:")
    assert by_action["api_key.changed"].actor == "operator:ira"
    assert SECRET not in str([event.detail for event in trail])


def test_the_trail_can_be_neither_changed_nor_shortened(db_engine: Engine) -> None:
    made_key(db_engine, "rate")
    for statement in ("DELETE FROM audit_event", "UPDATE audit_event SET actor = 'nobody'"):
        with pytest.raises(Exception, match="takes no update"), session_scope(db_engine) as session:
            session.execute(text(statement))


def test_every_column_for_words_is_emptied_or_known_to_hold_none() -> None:
    """A table that another part adds must be thought of here: does a person's text get into it?"""
    emptied = {
        "ticket": {"subject", "text", "text_sha256", "earlier", "external_id", "redactions"},
        "answer": {"text", "sources", "error_message"},
        "rating": {"comment", "corrected_text"},
        "rating_revision": {"comment", "corrected_text"},
        "rater": {"name", "name_key"},
        "ticket_contact": {"contact_hmac"},
    }
    of_people = {
        f"{table.name}.{column.name}"
        for table in SQLModel.metadata.tables.values()
        for column in table.columns
        if column.name in {"text", "subject", "comment", "corrected_text", "earlier", "message"}
    }
    not_of_people = {"passage.text"}  # the help centre's own
    known = not_of_people | {f"{table}.{column}" for table, columns in emptied.items() for column in columns}
    assert of_people <= known, f"decide what purge and forget do with {of_people - known}"


@pytest.mark.parametrize("wrong", ["", "d", "0d", "180", "1.5d", "-3d", "99999999d"])
def test_an_age_is_days_or_weeks(wrong: str) -> None:
    assert keeping.span("180d") == keeping.span("180D") == timedelta(days=180)
    assert keeping.span("2w") == timedelta(days=14)
    with pytest.raises(InvalidInput):
        keeping.span(wrong)
