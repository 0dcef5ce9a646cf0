"""A whole stack for browser tests: PostgreSQL, backend and console as processes on free ports, and Chromium."""

import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Error, Playwright

from db.embedded import start_embedded
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
def live_stack(folder: Path, lineup: Path, *, model_cache: Path | None = None) -> Iterator[LiveStack]:
    """Run a stack that keeps its data in `folder` while the block runs."""
    database_url = start_embedded(folder / "postgres")
    engine = connect(database_url)
    upgrade(engine)
    engine.dispose()
    api_key = secrets.token_urlsafe(24)
    ports = _free_ports(2)
    cache = model_cache or ROOT / ".replybench" / "models"
    backend = Service(
        name="backend",
        command=own_command("serve", "--port", str(ports[0])),
        environment={
            "API_KEY": api_key, "DATABASE_URL": database_url, "LINEUP": str(lineup), "MODEL_CACHE_DIR": str(cache),
            "OPENAI_API_KEY": "", "LEASE_S": "3",
        },
        health_url=f"http://127.0.0.1:{ports[0]}/readyz",
        log=folder / "backend.log",
    )  # fmt: skip
    console = Service(
        name="console",
        command=own_command("console", "--port", str(ports[1])),
        environment={"API_KEY": api_key, "BACKEND_URL": f"http://127.0.0.1:{ports[0]}"},
        health_url=f"http://127.0.0.1:{ports[1]}/_stcore/health",
        log=folder / "console.log",
    )
    with ExitStack() as cleanup:
        for service in (backend, console):
            cleanup.callback(service.stop)
            service.start()
        for service in (backend, console):
            service.wait_until_healthy(lambda line: None)
        console_url = f"http://127.0.0.1:{ports[1]}"
        yield LiveStack(backend, console, console_url, f"http://127.0.0.1:{ports[0]}", database_url, api_key)


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
