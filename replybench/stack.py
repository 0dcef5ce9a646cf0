"""What runs on one machine for `replybench demo`: database, backend and console, as one thing that starts and stops.

Everything that it keeps lies in one folder (`.replybench/`): the database, the embedded model, the API key, the
logs, and `stack.json`, by which `replybench ask` and others find what is running.
"""

import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import httpx
import psutil

from replybench.contract import LOADING
from replybench.errors import Conflict, Unavailable

HOME = Path(".replybench")
_TELL_EVERY_S = 5.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stack:
    """Where a running stack is to be reached. The key is for this machine's own clients."""

    pid: int
    backend_url: str
    console_url: str
    database_url: str
    api_key: str


def running_stack(home: Path = HOME) -> Stack | None:
    """Return the stack that runs from `home`, or None."""
    try:
        stack = Stack(**json.loads((home / "stack.json").read_text("utf-8")))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return None
    return stack if psutil.pid_exists(stack.pid) else None


@contextmanager
def sole_owner(home: Path) -> Iterator[None]:
    """Hold `home` for this process alone. The kernel lets go of it even after kill -9.

    Raises:
        Conflict: another process holds it; says where its console is.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            running = running_stack(home)
            place = f" Open {running.console_url}, or stop it first." if running else " Wait for it, or stop it first."
            raise Conflict(f"A demo is already running from this folder.{place}") from error
        yield


def free_port(port: int, option: str) -> int:
    """Return `port` if nobody listens on it.

    Raises:
        Conflict: somebody does; says who, and how to take another.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Conflict(
                f"Port {port} is taken{_holder(port)}. Stop that, or choose another: make demo {option}={port + 100}"
            ) from error
    return port


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections("inet"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
            if listens and connection.pid:
                return f" by '{psutil.Process(connection.pid).name()}' (process {connection.pid})"
    except psutil.Error:
        pass  # other users' processes cannot be seen everywhere; the port alone is told then
    return ""


def local_api_key(home: Path) -> str:
    """Return this installation's API key, made at the first start and readable by its owner only."""
    path = home / "api-key"
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
    return path.read_text("utf-8").strip()


@dataclass
class Service:
    """A child process that is watched, and started again if it dies.

    Attributes:
        name: told to the user; also names the log.
        command: what is run.
        environment: added to this process's own.
        health_url: answers 200 when it is ready.
        patience_s: how long a start may take.
    """

    name: str
    command: list[str]
    environment: dict[str, str]
    health_url: str
    log: Path
    patience_s: float = 180.0
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches only us and we stop it in order."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603  # our own commands
                self.command,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def is_dead(self) -> bool:
        """Whether it was started and has ended."""
        return self.process is not None and self.process.poll() is not None

    @property
    def is_healthy(self) -> bool:
        """Whether its health address answers 200."""
        try:
            return httpx.get(self.health_url, timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _doing(self) -> str:
        """Return what a service says that it does while it is not ready, or nothing."""
        try:
            checks = httpx.get(self.health_url, timeout=2).json()["checks"].values()
            told = [check.partition(": ")[2] for check in checks if check.startswith(f"{LOADING}: ")]
        except (httpx.HTTPError, ValueError, LookupError, TypeError, AttributeError):
            return ""  # another kind of health address
        return f": {'; '.join(told)}" if told else ""

    def wait_until_healthy(self, say: Say) -> None:
        """Wait for the health address.

        Raises:
            Unavailable: the process ended or took too long; with where its log is and the log's last lines.
        """
        began = time.monotonic()
        told = 0.0
        while not self.is_healthy:
            waited = time.monotonic() - began
            if self.is_dead or waited > self.patience_s:
                what = "stopped" if self.is_dead else f"did not get ready in {self.patience_s:.0f} s"
                raise Unavailable(f"The {self.name} {what}. The end of its log ({self.log}):\n{_tail(self.log)}")
            if waited - told >= _TELL_EVERY_S:
                told = waited
                say(f"  … waiting for the {self.name} ({waited:.0f} s){self._doing()}")
            time.sleep(0.2)

    def stop(self, grace_s: float = 15.0) -> None:
        """End it, then whatever of its own children it left: asked first, then killed."""
        if self.process is None:
            return
        children = _family(self.process.pid)[1:]
        self.process.terminate()
        try:
            self.process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        _end(children)


def _end(processes: list[psutil.Process], grace_s: float = 5.0) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(processes, timeout=grace_s)[1]:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _tail(path: Path, lines: int = 12) -> str:
    if not path.exists():
        return "(empty)"
    return "\n".join(path.read_text("utf-8", errors="replace").splitlines()[-lines:])


def stop_leftovers(home: Path, say: Say) -> None:
    """Stop what an earlier start left behind when it was killed itself."""
    path = home / "children.json"
    if not path.exists():
        return
    for pid, created in json.loads(path.read_text("utf-8") or "[]"):
        try:
            process = psutil.Process(pid)
            if abs(process.create_time() - created) < 1:
                say(f"Stopping a process that an earlier start left behind ({pid})")
                _end(_family(pid))
        except psutil.NoSuchProcess:
            continue
    path.unlink(missing_ok=True)


def _write_atomically(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(text, "utf-8")
    part.replace(path)


class Supervisor:
    """Starts services in order, tells when all are ready, keeps them alive, and stops them in reverse."""

    def __init__(self, home: Path, services: list[Service], say: Say) -> None:
        self._home = home
        self._services = services
        self._say = say
        self._restarts: list[float] = []

    @contextmanager
    def running(self, stack: Stack) -> Iterator[None]:
        """Run the services while the block runs; `stack` is published once all are ready."""
        with ExitStack() as cleanup:
            cleanup.callback((self._home / "children.json").unlink, missing_ok=True)
            cleanup.callback((self._home / "stack.json").unlink, missing_ok=True)
            for service in self._services:
                self._say(f"Starting the {service.name}")
                cleanup.callback(service.stop)
                service.start()
                self._remember()
            for service in self._services:
                service.wait_until_healthy(self._say)
            _write_atomically(self._home / "stack.json", json.dumps(asdict(stack)))
            yield

    def watch(self) -> None:
        """Start again whatever dies, until a signal ends this process.

        Raises:
            Unavailable: a service dies again and again.
        """
        while True:
            time.sleep(0.5)
            self.restart_dead()

    def restart_dead(self) -> None:
        """Start again each service that has ended.

        Raises:
            Unavailable: the sixth time within a minute.
        """
        for service in self._services:
            if service.is_dead:
                self._restart(service)

    def _restart(self, service: Service) -> None:
        now = time.monotonic()
        self._restarts = [at for at in self._restarts if now - at < 60] + [now]
        if len(self._restarts) > 5:
            raise Unavailable(f"The {service.name} keeps stopping. The end of its log:\n{_tail(service.log)}")
        self._say(f"The {service.name} has stopped; starting it again")
        service.start()
        self._remember()

    def _remember(self) -> None:
        pids = [service.process.pid for service in self._services if service.process]
        known = [(pid, psutil.Process(pid).create_time()) for pid in pids if psutil.pid_exists(pid)]
        _write_atomically(self._home / "children.json", json.dumps(known))


class Stopped(BaseException):
    """A signal asked this process to end. Not an Exception: nothing on the way may swallow it."""


def stop_on_signals() -> None:
    """Turn SIGTERM, SIGHUP and SIGINT into `Stopped`, so that every clean-up on the way runs."""

    def stop(signum: int, _frame: object) -> None:
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(name, signal.SIG_IGN)  # a second Ctrl-C must not cut the clean-up short
        raise Stopped(signal.Signals(signum).name)

    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, stop)


def own_command(name: str, *arguments: str) -> list[str]:
    """Return the command line that runs `replybench NAME …` with this same Python."""
    return [sys.executable, "-c", "from replybench.cli import main; main()", name, *arguments]


def stream_to(stream: IO[str]) -> Say:
    """Return a function that writes one line at once."""

    def say(line: str) -> None:
        stream.write(f"{line}\n")
        stream.flush()

    return say
