"""Parts are killed, one by one, while people work. In the end every acknowledged rating is stored exactly once."""

import http.client
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from db.session import connect, session_scope
from tests.faults.load import Load
from tests.faults.stack import Backend, Postgres, Process, free_port, replybench, wait_until

LINEUP = """
name = "faults"
title = "For the fault tests"
[[candidates]]
key = "near"
name = "Script"
engine = "scripted"
script = '''
text = "Hello, here is a short answer."
chars_per_s = 100
'''
[[candidates]]
key = "far"
name = "A server elsewhere"
engine = "openai"
model = "far"
base_url = "http://127.0.0.1:{port}/v1"
prompt = "chat"
timeout_s = 5
"""


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    # A short path: a Unix socket's name has at most 107 characters.
    server = Postgres(Path("/tmp") / f"rb-faults-{free_port()}" / "data")  # noqa: S108  # its own, made here
    server.make()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Process]]:
    port = free_port()
    log = tmp_path_factory.mktemp("remote") / "remote.log"
    server = Process([sys.executable, "-m", "tests.faults.remote", str(port)], log)
    server.start()
    yield port, server
    server.stop()


@pytest.fixture(scope="module")
def backends(
    postgres: Postgres, remote: tuple[int, Process], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Backend, Backend]]:
    folder = tmp_path_factory.mktemp("backends")
    lineup = folder / "faults.toml"
    lineup.write_text(LINEUP.replace("{port}", str(remote[0])))
    pair = Backend(postgres.url, lineup, folder), Backend(postgres.url, lineup, folder)
    for backend in pair:
        backend.start()
    for backend in pair:
        backend.wait()
    yield pair
    for backend in pair:
        backend.stop()


def stored(postgres: Postgres) -> dict[tuple[str, object], list[dict[str, int]]]:
    database = connect(postgres.url)
    with session_scope(database) as session:
        rows = session.execute(
            text("SELECT r.name, g.answer_id, g.scores FROM rating g JOIN rater r ON r.id = g.rater_id")
        ).all()
    database.dispose()
    found: dict[tuple[str, object], list[dict[str, int]]] = {}
    for name, answer, scores in rows:
        found.setdefault((name, answer), []).append(scores)
    return found


def test_every_acknowledged_rating_survives_every_kill(
    postgres: Postgres,
    backends: tuple[Backend, Backend],
    remote: tuple[int, Process],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second = backends
    console_port = free_port()
    environment = {"BACKEND_URL": first.url, "API_KEY": "not-asked-here", "OIDC_FILE": ""}
    console = Process(replybench("console", "--port", str(console_port)), tmp_path / "console.log", environment)
    console.start()
    load = Load([first.url, second.url])
    took = {}
    load.start()
    try:
        load.wait_for_more(8)

        first.kill()
        load.wait_for_more(4)  # the other one goes on
        first.start()
        took["backend"] = first.wait()
        load.wait_for_more(8)

        postgres.kill()
        wait_until(lambda: not second.is_ready(), "that readiness tells of the database")
        postgres.start()
        took["PostgreSQL"] = wait_until(lambda: first.is_ready() and second.is_ready(), "readiness after the database")
        load.wait_for_more(8)

        remote[1].kill()
        load.wait_for_more(4)  # the other column goes on
        remote[1].start()
        load.wait_for_more(8)

        console.kill()
        load.wait_for_more(4)  # nobody depends on it
    finally:
        load.stop()
        console.stop()
    found = stored(postgres)
    lost = [key for key in load.acknowledged if key not in found]
    twice = [key for key, scores in found.items() if len(scores) > 1]
    wrong = [key for key, scores in load.acknowledged.items() if key in found and found[key] != [scores]]
    with capsys.disabled():
        sys.stdout.write(
            f"\n{load.asked} tickets asked, {len(load.acknowledged)} ratings acknowledged, {len(found)} stored; "
            f"lost {len(lost)}, twice {len(twice)}, other scores {len(wrong)}; {load.refused} calls repeated; "
            + ", ".join(f"{part} back after {seconds:.1f} s" for part, seconds in took.items())
            + "\n"
        )
    assert (lost, twice, wrong) == ([], [], [])
    assert len(load.acknowledged) >= 40
    unfinished = "SELECT count(*) FROM answer WHERE status IN ('waiting', 'writing')"
    database = connect(postgres.url)

    def is_settled() -> bool:
        with session_scope(database) as session:
            return bool(session.execute(text(unfinished)).scalar_one() == 0)

    wait_until(is_settled, "that nothing stays unfinished", 30)
    database.dispose()


def test_what_is_asked_of_one_process_can_be_read_and_streamed_from_the_other(
    backends: tuple[Backend, Backend],
) -> None:
    one, other = (backend.client() for backend in backends)
    with one, other:
        made = one.post("/api/suggestions", json={"text": "Where is my answer?"}).json()
        with other.stream("GET", f"/api/suggestions/{made['id']}/events") as stream:
            events = [line.removeprefix("event: ") for line in stream.iter_lines() if line.startswith("event: ")]
        assert events[-1] == "done"
        assert events.count("answer.done") == 2
        assert "answer.delta" in events
        texts = [
            sorted(answer["text"] for answer in client.get(f"/api/suggestions/{made['id']}").json()["answers"])
            for client in (one, other)
        ]
        assert texts[0] == texts[1]
        assert all(texts[0])


def test_a_key_revoked_through_one_process_is_dead_on_the_other_within_seconds(
    postgres: Postgres, backends: tuple[Backend, Backend]
) -> None:
    from backend.security import keys

    database = connect(postgres.url)
    with session_scope(database) as session:
        secret = keys.create(session, "short-lived", ["rate"], 6000, 10)[1]
    with backends[0].client() as one, backends[1].client() as other:
        clients = [one, other]
        for client in clients:
            client.headers["Authorization"] = f"Bearer {secret}"
            assert client.get("/api/rubric").status_code == 200
        with session_scope(database) as session:
            keys.revoke(session, "short-lived")
        took = wait_until(lambda: all(client.get("/api/rubric").status_code == 401 for client in clients), "its end", 5)
    assert took < 5
    database.dispose()


def test_an_idle_connection_is_the_clients_to_close(backends: tuple[Backend, Backend]) -> None:
    """Clients keep one for five seconds: a server that closes it at that moment fails the request just being sent."""
    connection = http.client.HTTPConnection("127.0.0.1", backends[0].port)
    connection.auto_open = False
    connection.connect()
    for idle_s in (0, 6):
        time.sleep(idle_s)
        connection.request("GET", "/healthz")
        assert connection.getresponse().read()
    connection.close()
