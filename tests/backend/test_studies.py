"""A lead makes, opens and closes studies; what they measure stays what it was."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from db.session import session_scope
from tests.backend.conftest import SCRIPTED, Backend, asked, finished, rate, wait_until

EQUAL = {"content": 0.25, "grammar": 0.25, "structure": 0.25, "style": 0.25}


def made(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    name = f"study-{uuid4().hex[:8]}"
    response = client.post("/api/studies", json={"name": name, "title": "A study", **fields})
    assert response.status_code == 201, response.text
    study: dict[str, Any] = response.json()
    return study


def changed(client: httpx.Client, name: str, **fields: Any) -> dict[str, Any]:
    response = client.patch(f"/api/studies/{name}", json=fields)
    assert response.status_code == 200, response.text
    study: dict[str, Any] = response.json()
    return study


def listed(client: httpx.Client) -> dict[str, dict[str, Any]]:
    return {study["name"]: study for study in client.get("/api/studies").json()["studies"]}


def test_a_study_is_a_draft_then_open_then_closed(serve: Any) -> None:
    with serve() as running, running.client("Ira") as ira:
        study = made(ira, instructions="Be kind.", weights=EQUAL, overlap=3)
        assert (study["state"], study["is_open"], study["is_current"]) == ("draft", False, False)
        assert (study["lineup"], study["overlap"], study["instructions"]) == ("scripted", 3, "Be kind.")
        refused = ira.post("/api/suggestions", json={"text": "x", "study": study["name"]})
        assert refused.status_code == 409, "a draft takes no tickets"
        opened = changed(ira, study["name"], is_open=True)
        assert (opened["state"], opened["is_current"]) == ("open", True)
        assert finished(ira, asked(ira)["id"])["study"] == study["name"], "the study opened last takes what names none"
        assert changed(ira, "scripted", is_open=True)["is_current"], "opening an open one makes it current"
        assert not listed(ira)[study["name"]]["is_current"]
        closed = changed(ira, study["name"], is_open=False, title="Over")
        assert (closed["state"], closed["title"]) == ("closed", "Over")
        assert ira.post("/api/suggestions", json={"text": "x", "study": study["name"]}).status_code == 409


def test_results_use_the_weights_of_the_study(serve: Any) -> None:
    with serve() as running, running.client("Ira") as ira:
        name = made(ira, weights={**EQUAL, "content": 0.7, "grammar": 0.1, "structure": 0.1, "style": 0.1})["name"]
        changed(ira, name, is_open=True)
        for answer in finished(ira, asked(ira)["id"])["answers"]:
            rate(ira, answer["id"], {"content": 5, "grammar": 1, "structure": 1, "style": 1})
        found: dict[str, Any] = {}

        def counted() -> object:
            found.update(ira.get("/api/results", params={"study": name}).json())
            return found["size"]["ratings"] == 3

        wait_until(counted, 10)
        weights = {metric["key"]: metric["weight"] for metric in found["metrics"]}
        assert weights == {"content": 0.7, "grammar": 0.1, "structure": 0.1, "style": 0.1}
        assert [candidate["weighted"] for candidate in found["candidates"]] == pytest.approx([3.8] * 3)


def test_a_study_may_compare_some_of_the_candidates(serve: Any) -> None:
    with serve() as running, running.client("Ira") as ira:
        name = made(ira, candidates=["quick", "late"])["name"]
        changed(ira, name, is_open=True)
        assert len(asked(ira)["answers"]) == 2


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"weights": {**EQUAL, "style": 0.3}}, "must be 1 together"),
        ({"weights": {"content": 1.0}}, "for each metric"),
        ({"lineup": "nowhere"}, "no lineup of this name"),
        ({"candidates": ["nobody"]}, "Name candidates"),
        ({"title": "  "}, "title"),
        ({"name": "No Spaces"}, "name"),
        ({"overlap": 0}, "overlap"),
    ],
)
def test_what_makes_no_sense_is_refused(backend: Backend, wrong: dict[str, Any], told: str) -> None:
    with backend.client("Ira") as ira:
        body = {"name": f"s-{uuid4().hex[:8]}", "title": "A study", **wrong}
        refused = ira.post("/api/studies", json=body)
        assert refused.status_code == 422
        assert told in refused.json()["message"]


def test_a_name_is_given_once_and_what_is_imported_stays_as_it_is(backend: Backend) -> None:
    with backend.client("Ira") as ira:
        name = made(ira)["name"]
        again = ira.post("/api/studies", json={"name": name, "title": "Another"})
        assert again.status_code == 409
        assert listed(ira)[name]["title"] == "A study"
        published = next(study["name"] for study in listed(ira).values() if study["is_read_only"])
        assert ira.patch(f"/api/studies/{published}", json={"is_open": True}).status_code == 409
        assert ira.patch(f"/api/studies/{uuid4()}", json={"title": "x"}).status_code == 404


def test_opening_a_study_of_another_lineup_says_what_to_do_and_an_admin_switches(serve: Any, tmp_path: Any) -> None:
    with serve() as running, running.client("Ira") as ira:
        (tmp_path / "other.toml").write_text(SCRIPTED.replace('name = "scripted"', 'name = "other"'), "utf-8")
        name = made(ira, lineup="other")["name"]
        refused = ira.patch(f"/api/studies/{name}", json={"is_open": True})
        assert refused.status_code == 409
        assert "replybench lineup use other" in refused.json()["message"]
        lead = {"X-Role": "lead"}
        refused = ira.patch(f"/api/studies/{name}", json={"is_open": True, "switch_lineup": True}, headers=lead)
        assert refused.status_code == 403, "changing the lineup is an admin's"
        assert changed(ira, name, is_open=True, switch_lineup=True)["is_current"]
        assert ira.get("/api/lineup").json()["name"] == "other"


def test_the_trail_says_which_lead_closed_a_study(serve: Any) -> None:
    with serve() as running, running.client("Ira") as ira:
        name = made(ira)["name"]
        changed(ira, name, is_open=True)
        changed(ira, name, is_open=False)
        with session_scope(running.database) as session:
            rows = session.execute(
                text(
                    "SELECT e.action, e.actor, r.name FROM audit_event e LEFT JOIN rater r"
                    " ON e.actor = 'key:API_KEY, rater:' || r.id"
                    " WHERE e.entity = 'study' AND e.entity_id = (SELECT id::text FROM study WHERE name = :name)"
                    " ORDER BY e.id"
                ),
                {"name": name},
            ).all()
        assert [(row[0], row[2]) for row in rows] == [("study.created", "Ira"), *[("study.changed", "Ira")] * 2]
