"""What all tests share: a migrated real PostgreSQL."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import Engine, text
from sqlmodel import Session

from db.embedded import start_embedded
from db.migrate import upgrade
from db.session import connect
from tests.e2e.live_stack import launch

_MAIN = sys.modules["__main__"]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of an embedded PostgreSQL of this test session alone."""
    with tempfile.TemporaryDirectory(prefix="replybench-pg-", ignore_cleanup_errors=True) as folder:
        yield start_embedded(Path(folder) / "data")


def _database(url: str, name: str) -> str:
    head, _, query = url.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{name}{'?' if query else ''}{query}"


@pytest.fixture(scope="session")
def template_database(postgres_url: str) -> str:
    """The name of a migrated, empty database, from which each test's own is copied."""
    server = connect(postgres_url)
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE DATABASE replybench_template"))
    server.dispose()
    engine = connect(_database(postgres_url, "replybench_template"))
    upgrade(engine)
    engine.dispose()
    return "replybench_template"


@pytest.fixture
def database_url(postgres_url: str, template_database: str) -> Iterator[str]:
    """A migrated database of this test alone, for code that commits (services, the API, several processes)."""
    name = f"test_{uuid4().hex[:12]}"
    server = connect(postgres_url)
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template_database}"))
    yield _database(postgres_url, name)
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture
def db_engine(database_url: str) -> Iterator[Engine]:
    """A connected engine on this test's own database."""
    engine = connect(database_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def shared_engine(postgres_url: str, template_database: str) -> Iterator[Engine]:
    """An engine on one migrated database that tests only use inside `session`, which rolls back."""
    server = connect(postgres_url)
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE replybench_shared TEMPLATE {template_database}"))
    server.dispose()
    engine = connect(_database(postgres_url, "replybench_shared"))
    yield engine
    engine.dispose()


@pytest.fixture
def session(shared_engine: Engine) -> Iterator[Session]:
    """A session whose work is rolled back after the test, for queries and services."""
    with shared_engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False) as own:
            yield own
        outer.rollback()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the browser tests last: while Playwright lives, its event loop lets no other one run in this thread."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is not None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, one for all browser tests: a thread can have only one Playwright."""
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """Put the main module back: Streamlit's AppTest leaves a page in its place, which every process that a later test
    spawns would try to import, and die of."""
    yield
    sys.modules["__main__"] = _MAIN
