"""GET /api/results and its neighbours over HTTP."""

from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import Engine

from db.session import session_scope
from replybench.results_contract import ResultsPublic
from tests.results.studies import Row, four, write_rating, write_study


def get(api: TestClient, **params: Any) -> ResultsPublic:
    response = api.get("/api/results", params={"study": "pilot", **params})
    assert response.status_code == 200, response.text
    return ResultsPublic.model_validate_json(response.content)


def fill(engine: Engine, rows: list[Row]) -> None:
    with session_scope(engine) as session:
        write_study(session, rows)


def test_weights_that_are_none_are_refused_with_a_sentence(api: TestClient, db_engine: Engine) -> None:
    fill(db_engine, [])
    for weights in ("content", "content:nan", "content:inf", "taste:1", "content:-1,grammar:2"):
        response = api.get("/api/results", params={"study": "pilot", "weights": weights})
        assert response.status_code == 422, weights
        assert response.json()["code"] == "invalid_input"


def test_etag(api: TestClient, db_engine: Engine) -> None:
    fill(db_engine, [("t", "llama", "Olena", four(4))])
    first = api.get("/api/results", params={"study": "pilot"})
    again = api.get("/api/results", params={"study": "pilot"}, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = api.get(
        "/api/results", params={"study": "pilot", "source": "cli"}, headers={"If-None-Match": first.headers["ETag"]}
    )
    assert other.status_code == 200


def test_results_need_the_key(api: TestClient) -> None:
    for path in ("/api/results", "/api/results/answers", "/api/results/report?format=json"):
        assert api.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_answers_behind_a_bar(api: TestClient, db_engine: Engine) -> None:
    with session_scope(db_engine) as session:
        study = write_study(session, [])
        for i, score in enumerate((1, 2, 2, 5)):
            category = "Payouts" if i < 2 else None
            write_rating(session, study, f"t{i}", "llama", "Olena", four(score, 4), category=category)
        write_rating(session, study, "t3", "gpt", "Olena", four(2))
        write_rating(session, study, "t1", "llama", "Marek", four(5))
    ref = next(c.id for c in get(api).candidates if c.key == "llama")

    def subjects(**params: Any) -> list[str]:
        response = api.get("/api/results/answers", params={"study": "pilot", "candidate": ref, **params})
        assert response.status_code == 200, response.text
        return sorted(answer["subject"] for answer in response.json()["answers"])

    assert subjects(metric="content", lowest=2, highest=2) == ["t1", "t2"]
    assert subjects(metric="content", failed=True) == ["t0", "t2"]
    assert subjects(metric="content", failed=True, category="Payouts") == ["t0"]
    assert subjects(metric="content", failed=True, category="") == ["t2"]
    page = api.get("/api/results/answers", params={"study": "pilot", "limit": 4}).json()
    assert (len(page["answers"]), page["next_offset"]) == (4, 4)
    rest = api.get("/api/results/answers", params={"study": "pilot", "limit": 4, "offset": 4}).json()
    assert (len(rest["answers"]), rest["next_offset"]) == (2, None)
    todo = get(api, candidate=ref).todo
    assert [(item.category, item.failed, item.tickets) for item in todo.items] == [("", 1, 2), ("Payouts", 1, 2)]
    assert api.get("/api/results/answers", params={"study": "pilot", "failed": True}).status_code == 422


def test_the_published_study_is_listed_and_takes_no_ratings(api: TestClient) -> None:
    studies = {study["name"]: study for study in api.get("/api/studies").json()["studies"]}
    assert studies["published-2024"]["is_read_only"] is True
    assert studies["published-2024"]["is_open"] is False
    refused = api.post(
        "/api/suggestions", json={"text": "Hello", "study": "published-2024"}, headers={"X-Rater": "Olena"}
    )
    assert refused.status_code == 409


def test_reports_come_as_files(api: TestClient, db_engine: Engine) -> None:
    fill(db_engine, [("t", "llama", "Olena", four(4))])
    for form, begins in (("html", b"<!doctype html>"), ("xlsx", b"PK"), ("json", b"{")):
        response = api.get("/api/results/report", params={"study": "pilot", "format": form})
        assert response.content.startswith(begins)
        assert response.headers["Content-Disposition"] == f'attachment; filename="results-pilot.{form}"'
