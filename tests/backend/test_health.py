"""Readiness tells the truth, and settings that would be unsafe or wrong are refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.engines.pool import make_engines, read_lineup
from backend.main import create_app
from backend.services.roster import snapshot_of
from backend.services.tickets import CleanTicket, NoRedaction, TicketDraft
from backend.settings import Settings, load_settings
from replybench.errors import ConfigError
from replybench.lineups import Candidate
from tests.backend.conftest import SCRIPTED, Backend, asked, finished, serving

BROKEN = """
name = "half"
title = "Half"
[[candidates]]
key = "good"
name = "Good"
engine = "scripted"
script = 'text = "Good."'
[[candidates]]
key = "lost"
name = "Lost"
engine = "transformers"
base = "/there/is/no/such/base"
"""


def test_alive_and_ready(backend: Backend) -> None:
    assert httpx.get(f"{backend.url}/healthz").json() == {"status": "ok", "checks": {}}
    response = httpx.get(f"{backend.url}/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "checks": {"database": "ok", "scripted": "ok"}}


def test_an_engine_that_did_not_start_is_told_and_takes_nobody_down(serve: Callable[..., Any]) -> None:
    with serve(BROKEN) as backend, backend.client() as client:
        response = client.get("/readyz")
        assert response.status_code == 503
        assert response.json()["status"] == "failing"
        assert "could not be loaded" in response.json()["checks"]["base"]
        answers = {a["status"]: a for a in finished(client, asked(client)["id"])["answers"]}
        assert answers["done"]["text"] == "Good."
        assert "not loaded" in answers["failed"]["error"]["message"]


TWINS = """
name = "twins"
title = "Twins"
[[candidates]]
key = "one"
name = "One"
engine = "openai"
model = "m"
base_url = "http://models.example/first/v1"
[[candidates]]
key = "two"
name = "Two"
engine = "openai"
model = "m"
base_url = "http://models.example/second/v1"
[[candidates]]
key = "three"
name = "Three"
engine = "transformers"
base = "/first/base"
[[candidates]]
key = "four"
name = "Four"
engine = "transformers"
base = "/second/base"
[[candidates]]
key = "five"
name = "Five"
engine = "transformers"
base = "/second/base"
"""


def test_engines_of_the_same_title_have_a_line_each(serve: Callable[..., Any]) -> None:
    with serve(TWINS) as backend, backend.client() as client:
        checks = client.get("/readyz").json()["checks"]
        assert checks["models.example (one)"] == checks["models.example (two)"] == "ok"
        assert "'/first/base' could not be loaded" in checks["base (three)"]
        assert "'/second/base' could not be loaded" in checks["base (four, five)"]
        assert len(checks) == 5
        shown = {engine["title"]: engine["state"] for engine in client.get("/api/operations").json()["engines"]}
        assert shown == {
            name: "ok" if name.startswith("models") else "failing" for name in checks if name != "database"
        }


def test_what_an_engine_does_before_it_is_ready_is_told(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    roster = backend.app.state.desk.roster
    engine = roster.engines[0]
    info = engine.describe()
    monkeypatch.setattr(roster, "is_started", False)
    monkeypatch.setattr(engine, "describe", lambda: replace(info, doing="Exporting 'threads'"))
    response = httpx.get(f"{backend.url}/readyz")
    assert response.status_code == 503
    assert response.json() == {
        "status": "starting",
        "checks": {"database": "ok", "scripted": "loading: Exporting 'threads'"},
    }


def test_without_redaction_nothing_is_ready_and_nothing_is_stored(settings: Callable[..., Settings]) -> None:
    class Broken(NoRedaction):
        def warm(self) -> None:
            raise RuntimeError("no model")

        def ticket(self, draft: TicketDraft) -> CleanTicket:
            raise RuntimeError("no model")

    with serving(settings(), Broken()) as backend, backend.client() as client:
        assert "Personal data" in client.get("/readyz").json()["checks"]["redaction"]
        assert client.post("/api/suggestions", json={"text": "My name is Olena"}).status_code == 500
        assert client.get("/api/suggestions").json() == {"suggestions": []}


def test_before_the_models_are_loaded_tickets_are_refused(backend: Backend, olena: httpx.Client) -> None:
    roster = backend.app.state.desk.roster
    roster.is_started = False
    try:
        assert httpx.get(f"{backend.url}/readyz").json()["status"] == "starting"
        response = olena.post("/api/suggestions", json={"text": "x"})
        assert response.status_code == 503 and "nothing was stored" in response.json()["message"]
    finally:
        roster.is_started = True


def test_the_catalogue(backend: Backend, olena: httpx.Client) -> None:
    rubric = olena.get("/api/rubric", params={"language": "uk"}).json()
    assert [metric["key"] for metric in rubric["metrics"]] == ["content", "grammar", "structure", "style"]
    assert sum(metric["weight"] for metric in rubric["metrics"]) == pytest.approx(1)
    assert rubric["metrics"][1]["name"] == "Граматика"
    assert olena.get("/api/rubric", params={"language": "xx"}).status_code == 422
    lineup = olena.get("/api/lineup").json()
    assert [candidate["key"] for candidate in lineup["candidates"]] == ["quick", "steady", "late"]
    assert olena.get("/api/example-tickets").json() == {"tickets": []}
    assert "scripted" in [study["name"] for study in olena.get("/api/studies").json()["studies"] if study["is_open"]]


def test_example_tickets_come_from_the_lineups_file(serve: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "examples.jsonl").write_text('{"subject": "A", "text": "B"}\n\n{"subject": "", "text": "C"}\n', "utf-8")
    lineup = SCRIPTED.replace('title = "Scripted"', 'title = "Scripted"\nexamples = "examples.jsonl"')
    with serve(lineup) as backend, backend.client() as client:
        assert [ticket["text"] for ticket in client.get("/api/example-tickets").json()["tickets"]] == ["B", "C"]
        (tmp_path / "examples.jsonl").write_text("not json", "utf-8")
        assert client.get("/api/example-tickets").status_code == 500


@pytest.mark.parametrize("key", ["", "short", "changethis"])
def test_placeholder_keys_are_refused(settings: Callable[..., Settings], key: str) -> None:
    with pytest.raises(ConfigError, match="API_KEY"):
        create_app(settings(api_key=key))


def test_the_demo_may_have_a_short_key(settings: Callable[..., Settings]) -> None:
    create_app(settings(api_key="short", demo=True))


def test_missing_settings_are_named_and_their_values_never_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("API_KEY", "very-secret-value-here")
    monkeypatch.setenv("LEASE_S", "soon")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert "DATABASE_URL" in caught.value.message and "LEASE_S" in caught.value.message
    assert "very-secret-value-here" not in caught.value.message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("script = 'txt = 1'", "script"),
        ('engine = "transformers"\nbase = "x"\nadapter = "./nowhere"', "no adapter"),
    ],
)
def test_lineups_that_cannot_work_are_refused_at_the_start(
    settings: Callable[..., Settings], change: str, words: str
) -> None:
    engine = "" if "engine" in change else 'engine = "scripted"\n'
    text = f'name = "x"\ntitle = "X"\n[[candidates]]\nkey = "one"\nname = "One"\n{engine}{change}\n'
    with pytest.raises(ConfigError, match=words):
        create_app(settings(text))


def test_candidates_that_share_a_base_share_an_engine(settings: Callable[..., Settings], tmp_path: Path) -> None:
    blocks = [("a", "none"), ("b", "none"), ("c", "nf4")]
    text = 'name = "x"\ntitle = "X"\n' + "".join(
        f'[[candidates]]\nkey = "{key}"\nname = "{key}"\nengine = "transformers"\nbase = "org/base"\n'
        f'quantisation = "{kind}"\n'
        for key, kind in blocks
    )
    configured = settings(text)
    engines = make_engines(read_lineup(configured), configured)
    assert engines["a"] is engines["b"] is not engines["c"]


def test_a_snapshot_pins_everything_that_decides_the_text(tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"first")
    base: dict[str, Any] = {"key": "a", "name": "A", "engine": "transformers", "base": "org/b", "adapter": str(adapter)}
    first = snapshot_of(Candidate(**base))
    assert snapshot_of(Candidate(**base)).fingerprint == first.fingerprint
    for change in ({"name": "B"}, {"revision": "abc"}, {"system": "Be curt."}, {"generation": {"temperature": 1}}):
        assert snapshot_of(Candidate(**{**base, **change})).fingerprint != first.fingerprint
    (adapter / "adapter_model.safetensors").write_bytes(b"second")
    assert snapshot_of(Candidate(**base)).fingerprint != first.fingerprint
