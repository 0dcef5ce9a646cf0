"""Skips and flags: a rater's own, stored once, taken back, and told to whoever runs the study."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.backend.conftest import Backend, asked, finished, rate


@pytest.fixture
def suggestion(olena: httpx.Client) -> dict[str, Any]:
    done: dict[str, Any] = finished(olena, asked(olena)["id"])
    return done


def test_a_skip_is_the_raters_own_and_can_be_taken_back(
    backend: Backend, olena: httpx.Client, suggestion: dict[str, Any]
) -> None:
    at = f"/api/suggestions/{suggestion['id']}"
    assert olena.get(f"{at}/marks").json() == {"skip": None, "flags": {}}
    for reason in ("unclear", "language"):
        assert olena.put(f"{at}/skip", json={"reason": reason}).json()["skip"] == reason
    assert olena.get("/api/skips").json() == {"suggestion_ids": [suggestion["id"]]}
    with backend.client("Marek") as marek:
        assert marek.get(f"{at}/marks").json()["skip"] is None
        assert marek.get("/api/skips").json() == {"suggestion_ids": []}
    for _ in range(2):
        assert olena.delete(f"{at}/skip").json()["skip"] is None


def test_what_is_rated_cannot_be_skipped(olena: httpx.Client, suggestion: dict[str, Any]) -> None:
    rate(olena, suggestion["answers"][0]["id"])
    refused = olena.put(f"/api/suggestions/{suggestion['id']}/skip", json={"reason": "unclear"})
    assert refused.status_code == 409
    assert "cannot be skipped" in refused.json()["message"]


def test_flags_are_stored_once_per_rater_and_counted_for_the_lead(
    backend: Backend, olena: httpx.Client, suggestion: dict[str, Any]
) -> None:
    answer = suggestion["answers"][1]["id"]
    for _ in range(2):
        marks = olena.put(f"/api/answers/{answer}/flags/harmful").json()
    assert marks["flags"] == {answer: ["harmful"]}
    with backend.client("Marek") as marek:
        assert marek.get(f"/api/suggestions/{suggestion['id']}/marks").json()["flags"] == {}
        marek.put(f"/api/answers/{answer}/flags/harmful")
        marek.put(f"/api/answers/{answer}/flags/personal_data")
    with backend.client("Lead") as lead:
        told = [flag for flag in lead.get("/api/flags").json()["flags"] if flag["answer_id"] == answer]
    assert {(flag["kind"], flag["raters"]) for flag in told} == {("harmful", 2), ("personal_data", 1)}
    assert all(flag["candidate"].endswith("Model") for flag in told)
    assert olena.delete(f"/api/answers/{answer}/flags/harmful").json()["flags"] == {}


def test_flags_tell_no_name_to_the_rater(olena: httpx.Client, suggestion: dict[str, Any]) -> None:
    marks = olena.put(f"/api/answers/{suggestion['answers'][0]['id']}/flags/harmful")
    assert "Model" not in marks.text


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/api/suggestions/{unknown}/skip", {"reason": "unclear"}, 404),
        ("GET", "/api/suggestions/{unknown}/marks", None, 404),
        ("PUT", "/api/answers/{unknown}/flags/harmful", None, 404),
        ("PUT", "/api/answers/{unknown}/flags/ugly", None, 422),
        ("PUT", "/api/suggestions/{unknown}/skip", {"reason": "because"}, 422),
    ],
)
def test_what_is_not_there_is_refused(
    olena: httpx.Client, method: str, path: str, body: dict[str, str] | None, status: int
) -> None:
    response = olena.request(method, path.format(unknown=uuid4()), json=body)
    assert response.status_code == status
