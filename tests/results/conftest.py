"""A real backend over a real database, asked in process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from console import state
from console.backend_client import BackendClient
from console.settings import ConsoleSettings

KEY = "a-key-of-more-than-16"
LINEUP = Path(__file__).resolve().parents[2] / "lineups" / "scripted.toml"


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
    client = BackendClient(settings, transport=api._transport)
    monkeypatch.setattr(state, "backend", lambda: client)
    st.cache_data.clear()
    yield client
    st.cache_data.clear()
