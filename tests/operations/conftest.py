"""A backend in this process: scripted candidates, a database of the test's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from asgi_lifespan import LifespanManager
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import Engine

from backend.main import create_app
from backend.security import keys
from backend.settings import Settings
from db.session import session_scope

FIRST_KEY = "the-first-key-of-these-tests"
LINEUP = """
name = "quick"
title = "Quick scripts"
[[candidates]]
key = "one"
name = "Script one"
engine = "scripted"
script = 'text = "Hello, here is the answer."'
[[candidates]]
key = "two"
name = "Script two"
engine = "scripted"
script = '''
text = "Hi, do it like this."
delay_s = 0.5
'''
"""


@pytest.fixture
def lineup(tmp_path: Path) -> Path:
    path = tmp_path / "quick.toml"
    path.write_text(LINEUP)
    return path


@pytest.fixture
def settings(database_url: str, lineup: Path) -> Settings:
    return Settings(
        database_url=database_url, api_key=SecretStr(FIRST_KEY), lineup=lineup, redaction="off", _env_file=None
    )


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    application = create_app(settings)
    async with LifespanManager(application):
        await application.state.desk.roster.start()  # scripted engines: at once
        yield application


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Sends no key of itself."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://backend") as asking:
        yield asking


def made_key(database: Engine, *scopes: str, name: str = "made", rate: int = 6000, concurrent: int = 100) -> str:
    with session_scope(database) as session:
        return keys.create(session, name, scopes, rate, concurrent)[1]


def bearer(key: str, rater: str | None = None, **more: str) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {key}"}
    if rater:
        headers["X-Rater"] = rater
    return {**headers, **{name.replace("_", "-"): value for name, value in more.items()}}
