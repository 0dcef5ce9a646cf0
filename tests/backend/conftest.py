"""A running backend on a port of its own, with whatever lineup a test writes down."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import text

from backend.main import create_app
from backend.services.tickets import Redactor
from backend.settings import Settings
from db.session import connect
from tests.backend.events import Event, read_events
from tests.conftest import _database as sibling_database

API_KEY = "a-key-for-the-tests-only"

SCRIPTED = """
name = "scripted"
title = "Scripted"
[[candidates]]
key = "quick"
name = "Quick Model"
engine = "scripted"
script = '''
text = "Quick words for you."
chars_per_s = 100000
'''
[[candidates]]
key = "steady"
name = "Steady Model"
engine = "scripted"
script = '''
text = "Steady words, one after another."
chars_per_s = 2000
'''
[[candidates]]
key = "late"
name = "Late Model"
engine = "scripted"
script = '''
text = "Late words."
delay_s = 0.1
chars_per_s = 2000
'''
"""


def scripted(**scripts: str) -> str:
    """Return a lineup with one scripted candidate per keyword."""
    blocks = [
        f'[[candidates]]\nkey = "{key}"\nname = "{key.title()} Model"\nengine = "scripted"\ntimeout_s = 20\n'
        f"script = '''\n{script}\n'''\n"
        for key, script in scripts.items()
    ]
    return 'name = "scripted"\ntitle = "Scripted"\n' + "\n".join(blocks)


@dataclass
class Backend:
    """A backend that answers at `url`."""

    url: str
    app: FastAPI

    def client(self, rater: str = "Olena", key: str = API_KEY) -> httpx.Client:
        """Return a client of one person."""
        headers = {"Authorization": f"Bearer {key}", "X-Rater": quote(rater)}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, verify=False)  # noqa: S501  # no TLS here

    @property
    def runner(self) -> Any:
        return self.app.state.desk.runner

    @property
    def database(self) -> Any:
        return self.app.state.desk.database


@contextmanager
def serving(settings: Settings, redactor: Redactor | None = None) -> Iterator[Backend]:
    """Run the application under uvicorn in a thread."""
    app = create_app(settings, redactor=redactor)
    config = uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        _wait(lambda: server.started or not thread.is_alive(), 60)
        assert server.started, "the application did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        backend = Backend(f"http://127.0.0.1:{port}", app)
        with backend.client() as client:
            _wait(lambda: client.get("/readyz").json()["status"] != "starting", 60)
        yield backend
    finally:
        server.should_exit = True
        thread.join(20)


def _wait(condition: Callable[[], object], limit_s: float) -> None:
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.02)


wait_until = _wait


def make_settings(database_url: str, folder: Path, lineup: str, **others: Any) -> Settings:
    """Return settings for a lineup's text; other settings by keyword."""
    path = folder / "lineup.toml"
    path.write_text(lineup, "utf-8")
    values: dict[str, Any] = {"database_url": database_url, "api_key": API_KEY, "lineup": path, "lease_s": 1.0}
    values["redaction"] = "off"  # its models take seconds to load; the tests that are about it turn it on
    return Settings(_env_file=None, **{**values, **others})


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Callable[..., Settings]:
    """Return a maker of settings on this test's own database."""

    def make(lineup: str = SCRIPTED, **others: Any) -> Settings:
        return make_settings(database_url, tmp_path, lineup, **others)

    return make


@pytest.fixture
def serve(settings: Callable[..., Settings]) -> Callable[..., Any]:
    """Return a context manager that serves a lineup on this test's own database."""

    def start(lineup: str = SCRIPTED, **others: Any) -> Any:
        return serving(settings(lineup, **others))

    return start


@pytest.fixture(scope="session")
def backend(postgres_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A backend with three scripted candidates, which all tests share that need nothing else: each has people of
    its own in it."""
    name = f"shared_backend_{uuid4().hex[:8]}"
    server = connect(postgres_url)
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template_database}"))
    server.dispose()
    own_url = sibling_database(postgres_url, name)
    with serving(make_settings(own_url, tmp_path_factory.mktemp("backend"), SCRIPTED)) as running:
        yield running


@pytest.fixture
def olena(backend: Backend) -> Iterator[httpx.Client]:
    """A person who asks and rates; another one in every test."""
    with backend.client(f"Олена {uuid4().hex[:8]}") as client:
        yield client


@pytest.fixture
def marek(backend: Backend) -> Iterator[httpx.Client]:
    """A second person."""
    with backend.client(f"Marek {uuid4().hex[:8]}") as client:
        yield client


def asked(client: httpx.Client, words: str = "I forgot my password.", **fields: Any) -> dict[str, Any]:
    """Ask a ticket; return the suggestion as it was accepted."""
    response = client.post("/api/suggestions", json={"text": words, **fields})
    assert response.status_code == 202, response.text
    accepted: dict[str, Any] = response.json()
    return accepted


def finished(client: httpx.Client, suggestion_id: str) -> dict[str, Any]:
    """Poll until all answers have ended; return the suggestion."""
    found: dict[str, Any] = {}

    def complete() -> object:
        found.update(client.get(f"/api/suggestions/{suggestion_id}").json())
        return found["is_complete"]

    _wait(complete, 90)
    return found


def streamed(client: httpx.Client, suggestion_id: str) -> list[Event]:
    """Read the whole stream of a suggestion."""
    with client.stream("GET", f"/api/suggestions/{suggestion_id}/events") as response:
        assert response.status_code == 200
        return list(read_events(response))


GOOD = {"content": 5, "grammar": 4, "structure": 3, "style": 2}


def rate(client: httpx.Client, answer_id: str, scores: dict[str, int] | None = None, **fields: Any) -> httpx.Response:
    """Put a rating."""
    return client.put(f"/api/answers/{answer_id}/rating", json={"scores": scores or GOOD, **fields})
