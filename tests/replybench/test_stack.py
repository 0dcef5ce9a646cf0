"""Starting, watching and stopping what runs on one machine."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from replybench import stack
from replybench.errors import Conflict, Unavailable
from replybench.stack import (
    Service,
    Stack,
    Supervisor,
    free_port,
    local_api_key,
    running_stack,
    sole_owner,
    stop_leftovers,
)

SERVER = """
import http.server, os, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])  # a child of its own, that must end too
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def a_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def a_service(tmp_path: Path, port: int, source: str = SERVER) -> Service:
    return Service(
        name="backend",
        command=[sys.executable, "-c", source, str(port)],
        environment={},
        health_url=f"http://127.0.0.1:{port}/",
        log=tmp_path / "backend.log",
        patience_s=20,
    )


def a_stack(port: int) -> Stack:
    return Stack(os.getpid(), f"http://127.0.0.1:{port}", "http://127.0.0.1:1", "postgresql:///x", "key")


def quiet(_line: str) -> None:
    pass


def test_a_stack_is_published_while_it_runs_and_leaves_no_process_behind(tmp_path: Path) -> None:
    port = a_port()
    service = a_service(tmp_path, port)
    with Supervisor(tmp_path, [service], quiet).running(a_stack(port)):
        assert httpx.get(service.health_url).status_code == 200
        assert running_stack(tmp_path) == a_stack(port)
        assert service.process is not None
        family = [
            psutil.Process(service.process.pid),
            *psutil.Process(service.process.pid).children(recursive=True),
        ]
        assert len(family) == 2
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family)
    assert running_stack(tmp_path) is None
    assert list(tmp_path.glob("*.json")) == []


def test_a_service_that_dies_at_start_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    port = a_port()
    service = a_service(tmp_path, port, "print('no such lineup'); raise SystemExit(3)")
    with (
        pytest.raises(Unavailable, match="no such lineup"),
        Supervisor(tmp_path, [service], quiet).running(a_stack(port)),
    ):
        pass


LOADING_FIRST = """
import http.server, json, sys
answers = iter([503, 503, 503, 200])
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status = next(answers, 200)
        self.send_response(status)
        self.end_headers()
        checks = {"database": "ok", "engine": "ok" if status == 200 else "loading: Exporting 'threads'"}
        self.wfile.write(json.dumps({"checks": checks}).encode())
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Health).serve_forever()
"""


def test_while_a_service_gets_ready_it_is_told_what_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "_TELL_EVERY_S", 0.0)
    said: list[str] = []
    service = a_service(tmp_path, a_port(), LOADING_FIRST)
    service.start()
    try:
        service.wait_until_healthy(said.append)
    finally:
        service.stop()
    assert any(line.endswith(" s): Exporting 'threads'") for line in said)
    assert "waiting for the backend" in said[0]


def test_a_service_that_is_killed_is_started_again(tmp_path: Path) -> None:
    port = a_port()
    service = a_service(tmp_path, port)
    supervisor = Supervisor(tmp_path, [service], quiet)
    with supervisor.running(a_stack(port)):
        assert service.process is not None
        children = psutil.Process(service.process.pid).children(recursive=True)
        service.process.kill()
        service.process.wait()
        supervisor.restart_dead()
        service.wait_until_healthy(quiet)
        for child in children:
            child.kill()


def test_one_that_keeps_dying_is_given_up(tmp_path: Path) -> None:
    service = a_service(tmp_path, a_port(), "raise SystemExit(1)")
    supervisor = Supervisor(tmp_path, [service], quiet)
    with pytest.raises(Unavailable, match="keeps stopping"):
        for _ in range(10):
            service.start()
            assert service.process is not None
            service.process.wait()
            supervisor.restart_dead()


def test_a_taken_port_is_told_with_who_has_it_and_another_to_take(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Conflict, match=rf"Port {port} is taken.*CONSOLE_PORT={port + 100}"):
            free_port(port, "CONSOLE_PORT")
    assert free_port(port, "CONSOLE_PORT") == port


def test_a_second_start_from_the_same_folder_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\nfrom pathlib import Path\nfrom replybench.stack import sole_owner\n"
            "with sole_owner(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(600)",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(Conflict, match="already running"), sole_owner(tmp_path):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with sole_owner(tmp_path):
        pass


def test_what_a_killed_start_left_running_is_stopped_by_the_next(tmp_path: Path) -> None:
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    known = [(left.pid, psutil.Process(left.pid).create_time()), (stranger.pid, time.time() - 9999)]
    (tmp_path / "children.json").write_text(json.dumps(known))
    stop_leftovers(tmp_path, quiet)
    left.wait(timeout=10)
    assert not psutil.pid_exists(left.pid)
    assert stranger.poll() is None, "a process that only has the same number must be left alone"
    stranger.kill()
    stranger.wait()


def test_the_key_stays_the_same_and_is_for_the_owner_alone(tmp_path: Path) -> None:
    key = local_api_key(tmp_path)
    assert len(key) >= 32
    assert local_api_key(tmp_path) == key
    assert (tmp_path / "api-key").stat().st_mode & 0o077 == 0
