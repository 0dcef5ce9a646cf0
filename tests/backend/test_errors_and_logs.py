"""One form of error with an id to quote; no text of a customer in any log or error."""

import json
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from backend import logs
from tests.backend.conftest import API_KEY, Backend, asked, finished, rate, scripted

SECRET = "Sesame-4711-Müller"


def test_every_error_has_code_message_and_the_requests_id(backend: Backend, olena: httpx.Client) -> None:
    responses = [
        olena.get("/api/nowhere"),
        olena.put("/api/suggestions"),
        olena.get("/api/suggestions/not-an-id"),
        olena.post("/api/suggestions", content=b"{"),
        httpx.get(f"{backend.url}/api/lineup"),
        httpx.get(f"{backend.url}/api/suggestions", headers={"Authorization": f"Bearer {API_KEY}"}),
    ]
    assert [response.status_code for response in responses] == [404, 405, 422, 422, 401, 422]
    for response in responses:
        error = response.json()
        assert set(error) == {"code", "message", "request_id"}
        assert error["message"].endswith(".")
        assert error["request_id"] == response.headers["X-Request-ID"]


def test_a_given_request_id_is_kept_if_it_is_one(backend: Backend) -> None:
    assert (
        httpx.get(f"{backend.url}/healthz", headers={"X-Request-ID": "abc-12345"}).headers["X-Request-ID"]
        == "abc-12345"
    )
    forged = 'x"} {"level": "error'
    assert httpx.get(f"{backend.url}/healthz", headers={"X-Request-ID": forged}).headers["X-Request-ID"] != forged


def test_validation_errors_do_not_repeat_what_was_sent(olena: httpx.Client) -> None:
    for body in (
        {"text": SECRET * 5000},
        {"text": f"{SECRET}\u0000"},
        {"text": [SECRET]},
        {"text": "x", "source": SECRET},
        {"text": "x", "earlier": [{"role": SECRET, "text": SECRET}]},
    ):
        response = olena.post("/api/suggestions", json=body)
        assert response.status_code == 422
        assert SECRET not in response.text and "Müller" not in response.text
    assert SECRET not in olena.post("/api/suggestions", content=f'{{"text": "{SECRET}'.encode()).text


def test_a_body_that_is_too_large_is_refused(backend: Backend, olena: httpx.Client) -> None:
    body = b'{"text": "' + b"x" * (3 * 2**20) + b'"}'
    for content in (body, iter([body[: 2**20], body[2**20 :]])):  # with and without a declared length
        response = olena.post("/api/suggestions", content=content)
        assert response.status_code == 413
        assert response.json()["code"] == "too_large"


def test_an_unexpected_error_tells_its_id_and_nothing_else(
    backend: Backend, olena: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(*_: Any) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr("backend.services.suggestions.own", breaks)
    response = olena.get("/api/suggestions")
    assert response.status_code == 500
    assert response.json()["code"] == "internal_error" and SECRET not in response.text
    assert SECRET not in caplog.text and "RuntimeError" in caplog.text
    assert response.json()["request_id"] in caplog.text


def test_no_text_of_a_ticket_an_answer_or_a_rating_is_logged(
    serve: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    lineup = scripted(
        good=f'text = "{SECRET} answers"', broken=f'text = "{SECRET} breaks"\nfail_after = 4\nerror = "{SECRET}"'
    )
    with serve(lineup, log_level="debug") as backend, backend.client(f"Rater {SECRET}") as client:
        accepted = asked(client, f"{SECRET} asks", subject=SECRET, earlier=[{"role": "customer", "text": SECRET}])
        for answer in finished(client, accepted["id"])["answers"]:
            rate(client, answer["id"], comment=SECRET, corrected_text=SECRET)
        client.post("/api/suggestions", json={"text": SECRET, "oops": SECRET})
        client.get(f"/api/suggestions/{SECRET}")
    own = [record for record in caplog.records if record.name.startswith(("replybench", "uvicorn", "sqlalchemy"))]
    assert len(own) > 5
    assert not [record for record in own if SECRET in json.dumps(record.msg, default=str) + record.getMessage()]


def test_a_log_line_is_json_and_an_exception_keeps_its_words_to_itself(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    try:
        int(SECRET)
    except ValueError as error:
        logs.log().error("it_failed", exc_info=error)
    logging.getLogger("some.library").warning("watch out")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["it_failed", "watch out"]
    assert lines[0]["error"] == "ValueError" and "test_errors_and_logs" in lines[0]["at"][0]
    assert SECRET not in json.dumps(lines)


@pytest.mark.parametrize("name", ["", "%20", "x" * 101, "a%00b", "line%0Abreak%07"])
def test_names_that_cannot_be_used_are_refused(backend: Backend, name: str) -> None:
    headers = {"Authorization": f"Bearer {API_KEY}", "X-Rater": name}
    assert httpx.get(f"{backend.url}/api/suggestions", headers=headers).status_code == 422


def test_a_persons_name_is_the_same_in_any_case_and_script(backend: Backend, olena: httpx.Client) -> None:
    with backend.client("ЮРІЙ  Ткаченко") as one, backend.client("юрій ткаченко") as other:
        asked(one, "mine")
        assert other.get("/api/suggestions").json()["suggestions"][0]["opening"] == "mine"
