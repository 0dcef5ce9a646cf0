"""Fixtures of the widget's tests: the packed widget, a real backend, and a browser with Zoho stood in for."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from sqlalchemy import text

from db.session import connect
from tests.e2e.live_stack import SCRIPTED, LiveStack, live_stack
from tests.widget.helpdesk_page import SAME_SITE, Helpdesk, unpack
from tests.widget.packing import WIDGET, pack
from tests.widget.steps import Rows
from tests.widget.zoho import BACKEND, Zoho

OpenWidget = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and "open_widget" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The widget's packages, installed as its lock file says."""
    if shutil.which("npm") is None:
        pytest.skip("the widget is built with Node.js 20, which is not on this machine")
    folder = WIDGET / "node_modules"
    if not folder.exists():
        subprocess.run(["npm", "ci", "--loglevel=error"], cwd=WIDGET, check=True, timeout=280)
    return folder


@pytest.fixture(scope="session")
def packed(node_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the two zips, packed as an administrator would."""
    out = tmp_path_factory.mktemp("widget")
    done = pack(out, REPLYBENCH_URL=BACKEND)
    assert done.returncode == 0, done.stderr
    return out / "dist"


@pytest.fixture(scope="session")
def stack() -> Iterator[LiveStack]:
    with live_stack(SCRIPTED) as running:
        yield running


@pytest.fixture
def zoho(stack: LiveStack) -> Zoho:
    return Zoho(stack.backend_url, stack.api_key)


@pytest.fixture
def open_widget(browser: Browser, packed: Path, tmp_path: Path) -> Iterator[OpenWidget]:
    """Open a record of a helpdesk with the widget beside it. Whatever goes to another host fails the test."""
    contexts: list[BrowserContext] = []
    strangers: list[str] = []

    def open_record(
        zoho: Zoho, host: str, record: str, *, width: int = 300, beside: Page | None = None, origin: str = SAME_SITE
    ) -> Page:
        helpdesk = Helpdesk(host, zoho, unpack(packed, host, tmp_path), origin, strangers)
        if beside:
            return helpdesk.open(beside.context, record)
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, locale="en-GB"))
        contexts[-1].set_default_timeout(20_000)
        return helpdesk.open(contexts[-1], record)

    yield open_record
    for context in contexts:
        context.close()
    assert not strangers, f"the widget fetched from other hosts: {strangers}"


@pytest.fixture
def rows(stack: LiveStack) -> Iterator[Rows]:
    """Ask the database of the stack."""
    engine = connect(stack.database_url)

    def ask(sql: str, **values: Any) -> list[dict[str, Any]]:
        with engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(sql), values).mappings()]

    yield ask
    engine.dispose()


@pytest.fixture
def record() -> str:
    """The id of a record that no other test uses."""
    return str(uuid4().int)[:18]
