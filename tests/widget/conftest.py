"""Fixtures of the widget's tests: the packed widget, a real backend, and a browser with Zoho stood in for."""

import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.e2e.live_stack import SCRIPTED, LiveStack, live_stack
from tests.widget.packing import WIDGET, pack
from tests.widget.zoho import BACKEND, Zoho

STANDINS = Path(__file__).parent / "standins"
#: Where Zoho hosts widgets is another site than the helpdesk's; a browser may deny it storage and locks there.
OTHER_SITE = "https://widget.zappsusercontent.com"
SAME_SITE = "https://widget.zoho.com"
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
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    with live_stack(tmp_path_factory.mktemp("widget-stack"), SCRIPTED) as running:
        yield running


@pytest.fixture
def zoho(stack: LiveStack) -> Zoho:
    return Zoho(stack.backend_url, stack.api_key)


@pytest.fixture
def open_widget(browser: Browser, packed: Path, tmp_path: Path) -> Iterator[OpenWidget]:
    """Open a record of a helpdesk with the widget beside it. Whatever goes to another host fails the test."""
    contexts, strangers = [], []
    for host in ("crm", "desk"):
        with zipfile.ZipFile(packed / f"replybench-{host}.zip") as archive:
            archive.extractall(tmp_path / host)

    def open_record(
        zoho: Zoho, host: str, record: str, *, width: int = 300, beside: Page | None = None, origin: str = SAME_SITE
    ) -> Page:
        def answer(route: Route) -> None:
            url = route.request.url.partition("?")[0]
            if url == f"https://{host}.zoho.com/server":
                zoho.serve(route)
            elif url == f"https://{host}.zoho.com/":
                route.fulfill(path=STANDINS / f"{host}-host.html")
            elif url.startswith(f"{origin}/"):
                route.fulfill(path=tmp_path / host / url.removeprefix(f"{origin}/"))
            elif url.startswith(("https://live.zwidgets.com/js-sdk/", "https://js.zohostatic.com/")):
                route.fulfill(path=STANDINS / f"{host}-sdk.js")
            else:
                strangers.append(url)
                route.abort()

        if beside:
            context = beside.context
        else:
            context = browser.new_context(viewport={"width": width, "height": 900}, locale="en-GB")
            context.set_default_timeout(20_000)
            context.route("**/*", answer)
            contexts.append(context)
        page = context.new_page()
        page.goto(f"https://{host}.zoho.com/?record={record}&widget={origin}")
        return page

    yield open_record
    for context in contexts:
        context.close()
    assert not strangers, f"the widget fetched from other hosts: {strangers}"
