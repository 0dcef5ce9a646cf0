"""What is left after kill -9, a stop by signal, a second process, and a database that goes away."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from tests.backend.conftest import API_KEY, asked, finished, rate, scripted, serving, streamed, wait_until
from tests.backend.events import read_events, texts

SLOW = 'text = "' + "Slow words. " * 40 + '"\nchars_per_s = 40'
QUICK = 'text = "Quick and done."\nchars_per_s = 9999'


@contextmanager
def process(database_url: str, lineup: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `replybench serve` as its own process."""
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "API_KEY": API_KEY,
        "LINEUP": str(lineup),
        "LEASE_S": "1",
        "REDACTION": "off",
    }
    command = [sys.executable, "-c", "from replybench.cli import main; main()", "serve", "--port", str(port)]
    running = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _is_ready(port) or running.poll() is not None, 240)
        assert running.poll() is None, "the backend did not start"
        yield running
    finally:
        running.kill()
        running.wait()


def _is_ready(port: int) -> bool:
    with httpx.Client(verify=False) as client:  # noqa: S501  # no TLS here, and its set-up costs more than the rest
        try:
            return client.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
        except httpx.HTTPError:
            return False


def _client(port: int) -> httpx.Client:
    headers = {"Authorization": f"Bearer {API_KEY}", "X-Rater": "Olena"}
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def _by_status(suggestion: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {answer["status"]: answer for answer in suggestion["answers"]}


def test_kill_9_while_answers_stream_loses_nothing(database_url: str, tmp_path: Path, port: int) -> None:
    lineup = tmp_path / "lineup.toml"
    lineup.write_text(scripted(quick=QUICK, slow=SLOW), "utf-8")
    with process(database_url, lineup, port) as running, _client(port) as client:
        accepted = asked(client, "Where is my money?")
        with client.stream("GET", f"/api/suggestions/{accepted['id']}/events") as response:
            seen = read_events(response)
            while next(seen).name != "answer.done":
                pass
            wait_until(lambda: len(_texts(client, accepted["id"])) == 2, 10)
        rated = next(a for a in finished_part(client, accepted["id"]) if a["status"] == "done")
        assert rate(client, rated["id"]).status_code == 200
        running.send_signal(signal.SIGKILL)
        running.wait()
    with process(database_url, lineup, port), _client(port) as client:
        after = finished(client, accepted["id"])
        assert after["ticket"]["text"] == "Where is my money?"
        ends = _by_status(after)
        assert ends["done"]["text"] == "Quick and done."
        assert ends["done"]["rating"]["scores"]["content"] == 5
        assert ends["failed"]["error"]["code"] == "interrupted"
        assert "Ask again" in ends["failed"]["error"]["message"]
        assert "Slow words. ".startswith(ends["failed"]["text"][:12]) and ends["failed"]["text"]
        assert [answer["slot"] for answer in after["answers"]] == ["A", "B"]
        events = streamed(client, accepted["id"])
        assert [event.name for event in events][-1] == "done"


def _texts(client: httpx.Client, suggestion_id: str) -> list[str]:
    return [answer["text"] for answer in finished_part(client, suggestion_id) if answer["text"]]


def finished_part(client: httpx.Client, suggestion_id: str) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = client.get(f"/api/suggestions/{suggestion_id}").json()["answers"]
    return answers


def test_a_stop_tells_those_who_watch_and_ends_at_once(database_url: str, tmp_path: Path, port: int) -> None:
    lineup = tmp_path / "lineup.toml"
    lineup.write_text(scripted(slow=SLOW), "utf-8")
    with process(database_url, lineup, port) as running, _client(port) as client:
        accepted = asked(client)
        with client.stream("GET", f"/api/suggestions/{accepted['id']}/events") as response:
            events = read_events(response)
            next(events)
            began = time.monotonic()
            running.send_signal(signal.SIGTERM)
            heard = list(events)
        assert [event.name for event in heard][-2:] == ["answer.failed", "done"]
        assert heard[-2].data["answer"]["error"]["code"] == "interrupted"
        assert running.wait(15) in {0, -signal.SIGTERM}
        assert time.monotonic() - began < 10


def test_an_interrupted_answer_can_be_asked_for_again(serve: Callable[..., Any]) -> None:
    with serve(scripted(slow=SLOW)) as backend, backend.client() as client:
        accepted = asked(client)
    faster = scripted(slow=SLOW)
    with serve(faster) as backend, backend.client() as client:
        answer = finished(client, accepted["id"])["answers"][0]
        assert answer["error"]["code"] == "interrupted"
        assert client.post(f"/api/answers/{answer['id']}/retry").status_code == 202
        with client.stream("GET", f"/api/suggestions/{accepted['id']}/events") as response:
            assert next(read_events(response)).data["text"].startswith("Slow")


def test_another_process_can_stream_and_cancel(settings: Callable[..., Any]) -> None:
    lineup = scripted(quick=QUICK, slow='text = "' + "word " * 30 + '"\nchars_per_s = 60')
    with (
        serving(settings(lineup)) as first,
        serving(settings(lineup)) as second,
        first.client() as here,
        second.client() as there,
    ):
        accepted = asked(here)
        events = streamed(there, accepted["id"])
        assert set(texts(events).values()) == {"Quick and done.", ("word " * 30).strip()}
        assert sum(event.name == "answer.delta" for event in events) > 3
        again = asked(here)
        wait_until(lambda: first.runner.unfinished == 1, 10)
        there.delete(f"/api/suggestions/{again['id']}")
        wait_until(lambda: first.runner.unfinished == 0, 10)
        assert set(_by_status(finished(there, again["id"]))) == {"done", "cancelled"}


def test_a_living_process_keeps_what_it_works_on(settings: Callable[..., Any]) -> None:
    """Two processes, leases much shorter than the answer: neither takes the other's work for dead."""
    lineup = scripted(slow='text = "' + "word " * 40 + '"\nchars_per_s = 50')
    with serving(settings(lineup)) as first, serving(settings(lineup)), first.client() as client:
        assert [answer["status"] for answer in finished(client, asked(client)["id"])["answers"]] == ["done"]


def test_an_outage_of_the_database_loses_no_finished_answer(
    serve: Callable[..., Any], db_engine: Engine, database_url: str
) -> None:
    lineup = scripted(steady='text = "' + "word " * 30 + '"\nchars_per_s = 100')
    with serve(lineup) as backend, backend.client() as client:
        accepted = asked(client)
        _cut_off(db_engine, backend.database)
        time.sleep(2.0)
        assert client.get(f"/api/suggestions/{accepted['id']}").status_code == 503
        assert rate(client, accepted["answers"][0]["id"]).status_code == 503
        assert client.get("/readyz").json()["status"] == "failing"
        assert client.get("/healthz").status_code == 200
        _let_in(db_engine, backend.database)
        after = finished(client, accepted["id"])
        assert after["answers"][0]["status"] == "done"
        assert after["answers"][0]["text"] == ("word " * 30).strip()
        assert client.get("/readyz").json()["status"] == "ok"


def _cut_off(engine: Engine, database: Engine) -> None:
    """Let nobody connect to the backend's database, and end all connections, as if the server were gone."""
    name = str(database.url.database)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("COMMIT"))
    server = _server(engine)
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false"))
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"), {"name": name}
        )
    server.dispose()


def _let_in(engine: Engine, database: Engine) -> None:
    server = _server(engine)
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"ALTER DATABASE {database.url.database} WITH ALLOW_CONNECTIONS true"))
    server.dispose()


def _server(engine: Engine) -> Engine:
    from sqlalchemy import create_engine

    return create_engine(engine.url.set(database="postgres"))
