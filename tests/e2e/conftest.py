"""Fixtures of the browser tests: one scripted stack for all, and a fresh browser session for each."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.live_stack import SCRIPTED, LiveStack, live_stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    with live_stack(tmp_path_factory.mktemp("stack"), SCRIPTED) as running:
        yield running


@pytest.fixture
def new_page(browser: Browser, stack: LiveStack) -> Iterator[Callable[..., Page]]:
    """Open the console in a browser session of its own. Whatever it fetches from another host fails the test."""
    contexts = []
    strangers: list[str] = []

    def watch(url: str) -> None:
        if url.startswith(("http:", "https:", "ws:", "wss:")) and "//127.0.0.1:" not in url:
            strangers.append(url)

    def open_page(
        path: str = "/", *, width: int = 1440, height: int = 900, locale: str = "en-GB", scheme: str = "light"
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, locale=locale, color_scheme=scheme, timezone_id="Europe/Kyiv"
        )
        contexts.append(context)
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.on("request", lambda request: watch(request.url))
        page.goto(stack.console_url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not strangers, f"the console fetched from other hosts: {strangers}"
