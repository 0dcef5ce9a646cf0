"""A whole stack for browser tests: PostgreSQL, backend and console as processes on free ports, and Chromium."""

import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, BrowserContext, Error, Page, Playwright

from db.embedded import embedded_postgres
from db.migrate import upgrade
from db.session import connect
from replybench.stack import Service, own_command

ROOT = Path(__file__).parents[2]
SCRIPTED = ROOT / "lineups" / "scripted.toml"
DEMO = ROOT / "lineups" / "demo.toml"
#: No sandbox (tests run as root in containers), no GPU, nothing that calls home.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)


@dataclass
class LiveStack:
    """What runs; `backend` can be killed and started again by a test."""

    backend: Service
    console: Service
    console_url: str
    backend_url: str
    database_url: str
    api_key: str

    def kill_backend(self) -> None:
        """kill -9, as a machine that loses power would."""
        assert self.backend.process is not None
        self.backend.process.kill()
        self.backend.process.wait()

    def restart_backend(self) -> None:
        self.backend.start()
        self.backend.wait_until_healthy(lambda line: None)


@contextmanager
def live_stack(lineup: Path) -> Iterator[LiveStack]:
    """Run a stack of its own while the block runs.

    Its data lie in a plain temporary folder: PostgreSQL gives itself another user when the tests run as root, who may
    not enter pytest's own folders.
    """
    with tempfile.TemporaryDirectory(prefix="replybench-e2e-", ignore_cleanup_errors=True) as folder:
        yield from _stack_in(Path(folder), lineup)


def _stack_in(folder: Path, lineup: Path) -> Iterator[LiveStack]:
    with ExitStack() as cleanup:
        database_url = cleanup.enter_context(embedded_postgres(folder / "postgres"))
        engine = connect(database_url)
        upgrade(engine)
        engine.dispose()
        stack = _services(folder, lineup, database_url)
        for service in (stack.backend, stack.console):
            cleanup.callback(service.stop)
            service.start()
        for service in (stack.backend, stack.console):
            service.wait_until_healthy(lambda line: None)
        yield stack


def _services(folder: Path, lineup: Path, database_url: str) -> LiveStack:
    api_key = secrets.token_urlsafe(24)
    backend_port, console_port = _free_ports(2)
    backend_url, console_url = f"http://127.0.0.1:{backend_port}", f"http://127.0.0.1:{console_port}"
    backend = Service(
        name="backend",
        command=own_command("serve", "--port", str(backend_port)),
        environment={
            "API_KEY": api_key,
            "DATABASE_URL": database_url,
            "LINEUP": str(lineup),
            "OPENAI_API_KEY": "",
            "LEASE_S": "3",
        },
        health_url=f"{backend_url}/readyz",
        log=folder / "backend.log",
        patience_s=900,  # the first start exports models for the fast engine
    )
    console = Service(
        name="console",
        command=own_command("console", "--port", str(console_port)),
        environment={"API_KEY": api_key, "BACKEND_URL": backend_url},
        health_url=f"{console_url}/_stcore/health",
        log=folder / "console.log",
    )
    return LiveStack(backend, console, console_url, backend_url, database_url, api_key)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def launch(playwright: Playwright) -> Browser:
    """Start Chromium: the machine's own, or the one that Playwright has installed.

    Raises:
        AssertionError: there is neither; says what to do.
    """
    installed = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    try:
        return playwright.chromium.launch(executable_path=installed, args=list(FLAGS))
    except Error as error:
        raise AssertionError(
            "The browser tests need Chromium. Install your system's package 'chromium', "
            "or run: .venv/bin/playwright install --with-deps chromium"
        ) from error


@contextmanager
def pages_of(browser: Browser, stack: LiveStack) -> Iterator[Callable[..., Page]]:
    """Yield a function that opens the console in a browser session of its own.

    Raises:
        AssertionError: at the end, if a page fetched anything from another host.
    """
    contexts: list[BrowserContext] = []
    strangers: list[str] = []

    def watch(url: str) -> None:
        if url.startswith(("http:", "https:", "ws:", "wss:")) and "//127.0.0.1:" not in url:
            strangers.append(url)

    def open_page(
        path: str = "/",
        *,
        width: int = 1440,
        height: int = 900,
        locale: str = "en-GB",
        scheme: Literal["light", "dark"] = "light",
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
