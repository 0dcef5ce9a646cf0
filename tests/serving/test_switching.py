"""A lineup is changed while tickets are answered: none is lost, and what cannot be used changes nothing."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from backend.engines.base import Finished, Job
from backend.services import switching
from replybench.cli import load
from tests.backend.conftest import API_KEY, Backend, make_settings, scripted, serving, wait_until

SLOW = scripted(first='text = "The first lineup takes its time."\nchars_per_s = 200')
QUICK = scripted(second='text = "The second lineup is quick."\nchars_per_s = 1000').replace(
    'name = "scripted"', 'name = "second"', 1
)


@pytest.fixture
def backend(database_url: str, tmp_path: Path):  # type: ignore[no-untyped-def]  # a generator of a fixture
    (tmp_path / "second.toml").write_text(QUICK, "utf-8")
    (tmp_path / "broken.toml").write_text('name = "broken"\n', "utf-8")
    with serving(make_settings(database_url, tmp_path, SLOW)) as running:
        yield running


def ask(client: httpx.Client) -> str:
    response = client.post("/api/suggestions", json={"text": "Where is my money?"})
    response.raise_for_status()
    return str(response.json()["id"])


def finished(client: httpx.Client, id_: str) -> dict[str, object]:
    wait_until(lambda: client.get(f"/api/suggestions/{id_}").json()["is_complete"], 30)
    answer: dict[str, object] = client.get(f"/api/suggestions/{id_}").json()["answers"][0]
    return answer


def use(client: httpx.Client, name: str | None) -> httpx.Response:
    return client.post("/api/lineups/use", json={"name": name})


def test_what_the_old_lineup_began_it_finishes(backend: Backend) -> None:
    may_go_on = threading.Event()
    old = backend.app.state.desk.roster
    stream = old.engines[0].stream

    async def held(job: Job) -> AsyncIterator[str | Finished]:
        while not may_go_on.is_set():  # noqa: ASYNC110  # another thread sets it
            await asyncio.sleep(0.02)
        async for item in stream(job):
            yield item

    old.engines[0].stream = held
    with backend.client() as client:
        before = ask(client)
        assert use(client, "second").json()["name"] == "second"
        after = ask(client)
        assert finished(client, after)["text"] == "The second lineup is quick."
        assert old.at_work == 1
        may_go_on.set()
        assert finished(client, before)["text"] == "The first lineup takes its time."
        assert old.at_work == 0


def test_no_ticket_is_lost_while_lineups_change(backend: Backend) -> None:
    asked: list[str] = []
    stop = threading.Event()

    def keep_asking() -> None:
        with backend.client() as client:
            while not stop.is_set():
                asked.append(ask(client))

    threads = [threading.Thread(target=keep_asking) for _ in range(3)]
    with backend.client() as client:
        for thread in threads:
            thread.start()
        for name in ("second", Path(backend.app.state.settings.lineup).stem, "second"):
            assert use(client, name).status_code == 200
            time.sleep(0.3)
        stop.set()
        for thread in threads:
            thread.join()
        assert len(asked) > 5
        statuses = {str(finished(client, id_)["status"]) for id_ in asked}
    assert statuses == {"done"}


@pytest.mark.parametrize(("name", "status"), [("nowhere", 404), ("../second", 404), ("broken", 500)])
def test_a_lineup_that_cannot_be_used_changes_nothing(backend: Backend, name: str, status: int) -> None:
    with backend.client() as client:
        assert use(client, name).status_code == status
        assert client.get("/api/lineup").json()["name"] == "scripted"


def test_an_engine_that_does_not_start_changes_nothing(backend: Backend, tmp_path: Path) -> None:
    text = 'name = "gone"\ntitle = "X"\n[[candidates]]\nkey = "a"\nname = "A"\nengine = "openai"\nmodel = "m"\n'
    (tmp_path / "gone.toml").write_text(text, "utf-8")
    with backend.client() as client:
        response = use(client, "gone")
        assert response.status_code == 503
        assert "OPENAI_API_KEY" in response.json()["message"]
        assert client.get("/api/lineup").json()["name"] == "scripted"


def test_the_file_is_read_again(backend: Backend) -> None:
    with backend.client() as client:
        path = backend.app.state.settings.lineup
        path.write_text(path.read_text("utf-8").replace("First Model", "Renamed Model"), "utf-8")
        assert use(client, None).json()["candidates"][0]["name"] == "Renamed Model"


def test_the_old_lineup_is_closed_once_it_is_quiet(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switching, "_QUIET_S", 0.2)
    closed = threading.Event()

    async def close() -> None:
        closed.set()

    engine = backend.app.state.desk.roster.engines[0]
    engine.close = close
    with backend.client() as client:
        id_ = ask(client)
        use(client, "second")
        assert not closed.is_set()
        finished(client, id_)
        assert closed.wait(10)


def test_the_command_line_shows_and_changes(backend: Backend) -> None:
    options = ["--url", backend.url, "--api-key", API_KEY]
    run = CliRunner().invoke
    assert "second" in run(load("lineup"), ["list", *options]).output.splitlines()
    assert "In use: second (second)" in run(load("lineup"), ["use", "second", *options]).output
    shown = run(load("models"), options).output
    assert "Lineup 'second'" in shown
    assert "scripted" in shown


def test_only_an_administrator_changes_it(backend: Backend) -> None:
    with httpx.Client(base_url=backend.url) as stranger:
        assert use(stranger, "second").status_code == 401
