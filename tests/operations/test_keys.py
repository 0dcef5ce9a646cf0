"""Keys: shown once, stored hashed, limited, revocable, found again quickly."""

import asyncio
import hashlib
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, text

from backend.security.keys import BELIEVED_S, Keyring
from backend.security.limits import Limiter
from backend.settings import Settings
from db import queries_operations
from db.session import connect, session_scope
from replybench.cli import main
from replybench.errors import Busy, Unavailable
from tests.operations.conftest import bearer, made_key


@pytest.fixture
def cli(database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator["Cli"]:
    monkeypatch.setenv("DATABASE_URL", database_url)
    yield Cli(capsys)


class Cli:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([*arguments])
        shown = self._capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err


async def test_a_key_is_made_shown_once_used_listed_and_revoked(
    cli: Cli, client: httpx.AsyncClient, db_engine: Engine
) -> None:
    status, out, _ = cli("keys", "create", "widget", "--scope", "suggest", "--scope", "rate")
    key = out.strip()
    assert status == 0
    assert key.startswith("rb_")
    assert (await client.get("/api/rubric", headers=bearer(key))).status_code == 200
    with db_engine.connect() as connection:
        stored = connection.execute(text("SELECT to_jsonb(api_key)::text FROM api_key")).scalar_one()
    assert key not in stored
    assert hashlib.sha256(key.encode()).hexdigest() in stored
    _, listed, _ = cli("keys", "list")
    assert "widget" in listed
    assert "suggest rate" in listed
    assert key not in listed
    assert cli("keys", "revoke", "widget")[0] == 0
    assert cli("keys", "revoke", "widget")[0] == 1
    await asyncio.sleep(BELIEVED_S + 0.2)
    assert (await client.get("/api/rubric", headers=bearer(key))).status_code == 401


def test_wrong_calls_say_what_is_right(cli: Cli) -> None:
    status, _, err = cli("keys", "create", "x", "--scope", "everything")
    assert status == 1
    assert "no scope everything" in err
    assert "act_as" in err
    assert cli("keys", "create", "x", "--scope", "rate")[0] == 0
    assert "already" in cli("keys", "create", "x", "--scope", "rate")[2]
    assert "no key 'y'" in cli("keys", "revoke", "y")[2]


def test_the_last_use_is_recorded_at_most_once_a_minute(db_engine: Engine, settings: Settings) -> None:
    secret = made_key(db_engine, "rate")
    ring = Keyring(db_engine, settings.api_key, rate_per_minute=1, max_concurrent=1, believed_s=0)

    def last_used() -> object:
        with session_scope(db_engine) as session:
            return queries_operations.keys(session)[0].last_used_at

    assert last_used() is None
    assert ring.find(secret) is not None
    first = last_used()
    assert first is not None
    ring.find(secret)
    assert last_used() == first
    with db_engine.begin() as connection:
        connection.execute(
            text("UPDATE api_key SET last_used_at = last_used_at - :gone"), {"gone": timedelta(minutes=2)}
        )
    ring.find(secret)
    assert last_used() >= first  # type: ignore[operator]  # both are times by now


def test_wrong_keys_do_not_fill_the_memory(db_engine: Engine, settings: Settings) -> None:
    ring = Keyring(db_engine, settings.api_key, rate_per_minute=1, max_concurrent=1)
    ring._known.update({str(number): (9e9, None) for number in range(4096)})
    assert ring.find("rb_wrong") is None
    assert len(ring._known) == 4096


def test_without_a_database_the_first_key_still_works_and_others_are_told(settings: Settings) -> None:
    away = connect("postgresql://nobody@127.0.0.1:1/nothing")
    ring = Keyring(away, settings.api_key, rate_per_minute=1, max_concurrent=1)
    assert ring.find(settings.api_key.get_secret_value()) is not None
    with pytest.raises(Unavailable):
        ring.find("rb_any")


def test_the_rate_is_held_and_comes_back_with_time() -> None:
    time = [0.0]
    limiter = Limiter(clock=lambda: time[0])

    def ask() -> None:
        with limiter.admitted("key", 60, 10):
            pass

    for _ in range(6):  # a tenth of a minute's worth at once
        ask()
    with pytest.raises(Busy) as refused:
        ask()
    assert refused.value.retry_after_s == 1
    time[0] += refused.value.retry_after_s
    ask()
    with limiter.admitted("another key", 60, 10):
        pass


def test_the_number_at_once_is_held_and_given_back_after_an_error() -> None:
    limiter = Limiter()
    with limiter.admitted("key", 6000, 1), pytest.raises(Busy), limiter.admitted("key", 6000, 1):
        pass
    with pytest.raises(ValueError, match="inside"), limiter.admitted("key", 6000, 1):
        raise ValueError("inside")
    with limiter.admitted("key", 6000, 1):
        pass


async def test_a_key_over_its_rate_gets_429_with_retry_after(client: httpx.AsyncClient, db_engine: Engine) -> None:
    key = made_key(db_engine, "rate", rate=20)
    answers = [await client.get("/api/rubric", headers=bearer(key)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 3
    assert answers[2].json()["code"] == "busy"


async def test_an_open_stream_counts_until_it_ends(app: FastAPI, client: httpx.AsyncClient, db_engine: Engine) -> None:
    key = made_key(db_engine, "suggest", concurrent=1)
    made = await client.post("/api/suggestions", json={"text": "Hello?"}, headers=bearer(key, "Olena"))
    assert made.status_code == 202
    stream = asyncio.create_task(client.get(f"/api/suggestions/{made.json()['id']}/events", headers=bearer(key, "O")))
    await asyncio.sleep(0.15)  # it is under way
    refused = 0
    while not stream.done():
        refused += (await client.get("/api/rubric", headers=bearer(key))).status_code == 429
        await asyncio.sleep(0.005)
    assert refused
    assert stream.result().status_code == 200
    assert (await client.get("/api/rubric", headers=bearer(key))).status_code == 200


async def test_headers_forbid_framing_sniffing_and_other_sites(client: httpx.AsyncClient) -> None:
    response = await client.get("/healthz", headers={"Origin": "https://elsewhere.example"})
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "access-control-allow-origin" not in response.headers
    assert "server" not in response.headers
    preflight = await client.options(
        "/api/suggestions", headers={"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    )
    assert "access-control-allow-origin" not in preflight.headers
