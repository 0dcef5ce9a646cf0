"""A real backend over a real database, asked in process."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import streamlit as st
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from console import state
from console.backend_client import BackendClient
from console.settings import ConsoleSettings

KEY = "a-key-of-more-than-16"
LINEUP = Path(__file__).resolve().parents[2] / "lineups" / "scripted.toml"


class InProcess(httpx.BaseTransport):
    """Hands the console's requests to the backend's test client."""

    def __init__(self, api: TestClient) -> None:
        self._api = api

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._api.request(
            request.method, request.url.raw_path.decode(), content=request.read(), headers=dict(request.headers)
        )
        headers = {name: value for name, value in answer.headers.items() if name.lower() != "content-encoding"}
        return httpx.Response(answer.status_code, headers=headers, content=answer.content)


@pytest.fixture
def api(db_engine: Engine, database_url: str) -> Iterator[TestClient]:
    """A client of the API with its key."""
    from backend.main import create_app  # the whole backend takes long to import, and most tests here do without
    from backend.settings import Settings

    app = create_app(Settings(database_url=database_url, api_key=KEY, lineup=LINEUP, _env_file=None))
    with TestClient(app, headers={"Authorization": f"Bearer {KEY}"}) as client:
        yield client
        board = getattr(app.state, "results_board", None)
        if board is not None:
            board.close()


@pytest.fixture
def console(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[BackendClient]:
    """The console's pages speak to that backend."""
    settings = ConsoleSettings(backend_url="http://testserver", api_key=KEY, _env_file=None)
    client = BackendClient(settings, transport=InProcess(api))
    monkeypatch.setattr(state, "backend", lambda: client)
    st.cache_data.clear()
    yield client
    st.cache_data.clear()
