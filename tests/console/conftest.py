"""The console against a backend in memory."""

from collections.abc import Iterator

import pytest
import streamlit as st

from console import state
from console.backend_client import BackendClient
from console.settings import ConsoleSettings
from tests.console.fake_backend import FakeBackend


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def client(backend: FakeBackend) -> BackendClient:
    return BackendClient(ConsoleSettings(api_key="k" * 20, _env_file=None), transport=backend)


@pytest.fixture
def wired(client: BackendClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pages speak to the backend in memory."""
    monkeypatch.setattr(state, "backend", lambda: client)
    st.cache_data.clear()
    st.cache_resource.clear()
    yield
    st.cache_data.clear()
    st.cache_resource.clear()
