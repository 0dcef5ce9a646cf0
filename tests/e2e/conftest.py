"""Fixtures of the browser tests: one scripted stack for all, and a fresh browser session for each."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.live_stack import SCRIPTED, LiveStack, live_stack, pages_of


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def stack() -> Iterator[LiveStack]:
    with live_stack(SCRIPTED) as running:
        yield running


@pytest.fixture
def new_page(browser: Browser, stack: LiveStack) -> Iterator[Callable[..., Page]]:
    """Open the console in a browser session of its own."""
    with pages_of(browser, stack) as open_page:
        yield open_page
