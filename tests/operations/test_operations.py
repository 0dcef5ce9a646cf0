"""Metrics and the state of operations tell the truth, and nothing of anybody's words."""

import logging
import re

import httpx
import pytest
from fastapi import FastAPI

from tests.operations.conftest import FIRST_KEY, bearer


def value(exposition: str, name: str, **labels: str) -> float:
    """The sum over all samples of `name` that carry these labels."""
    found = re.findall(rf"^{name}(?:\{{(.*?)\}})? (\S+)$", exposition, re.MULTILINE)
    return sum(float(n) for given, n in found if all(f'{key}="{text}"' in given for key, text in labels.items()))


async def test_metrics_count_requests_answers_tokens_and_ratings(client: httpx.AsyncClient) -> None:
    async def scraped() -> str:
        response = await client.get("/metrics", headers=bearer(FIRST_KEY))
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
        return response.text

    before = await scraped()
    olena = bearer(FIRST_KEY, "Olena")
    made = (await client.post("/api/suggestions", json={"text": "a wombat's question"}, headers=olena)).json()
    await client.get(f"/api/suggestions/{made['id']}/events", headers=olena)
    for _ in range(2):
        await client.put(
            f"/api/answers/{made['answers'][0]['id']}/rating",
            json={"scores": {"content": 4, "grammar": 5, "structure": 3, "style": 2}},
            headers=olena,
        )
    after = await scraped()

    def grown(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert grown("replybench_answers_total", candidate="one", status="done") == 1
    assert grown("replybench_answer_tokens_total", candidate="one") == 5
    assert grown("replybench_first_token_seconds_count", candidate="two") == 1
    assert grown("replybench_first_token_seconds_sum", candidate="two") > 0.4, "the script waits for half a second"
    assert grown("replybench_ratings_total", kind="new") == 1
    assert grown("replybench_ratings_total", kind="repeated") == 1
    assert grown("replybench_requests_total", route="/api/answers/{answer_id}/rating", status="200") == 2
    assert value(after, "replybench_database_up") == 1
    assert value(after, "replybench_engine_up", engine="scripted") == 1
    assert value(after, "replybench_answers_unfinished") == 0
    assert "wombat" not in after
    assert "Olena" not in after


async def test_operations_show_candidates_queue_and_database(client: httpx.AsyncClient) -> None:
    olena = bearer(FIRST_KEY, "Olena")
    made = (await client.post("/api/suggestions", json={"text": "Hello?"}, headers=olena)).json()
    under_way = (await client.get("/api/operations", headers=bearer(FIRST_KEY))).json()
    assert under_way["unfinished"] >= 1
    await client.get(f"/api/suggestions/{made['id']}/events", headers=olena)
    state = (await client.get("/api/operations", headers=bearer(FIRST_KEY))).json()
    assert (state["status"], state["database"], state["tickets"], state["unfinished"]) == ("ok", "ok", 1, 0)
    assert state["engines"][0]["candidates"] == ["one", "two"]
    two = next(candidate for candidate in state["candidates"] if candidate["key"] == "two")
    assert two["done"] == 1
    assert 0.4 < two["first_token_s"] <= two["answer_s"] <= two["answer_p95_s"]


async def test_an_engine_that_did_not_start_is_told_everywhere(app: FastAPI, client: httpx.AsyncClient) -> None:
    app.state.desk.roster.problems["scripted"] = "The script is lost."
    state = (await client.get("/api/operations", headers=bearer(FIRST_KEY))).json()
    assert (state["status"], state["engines"][0]["state"]) == ("failing", "failing")
    assert state["engines"][0]["problem"] == "The script is lost."
    assert (await client.get("/readyz")).status_code == 503
    assert (await client.get("/healthz")).status_code == 200
    exposition = (await client.get("/metrics", headers=bearer(FIRST_KEY))).text
    assert value(exposition, "replybench_engine_up", engine="scripted") == 0


async def test_a_request_is_logged_with_its_id_and_without_words(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        response = await client.post(
            "/api/suggestions?candidate=wombat",
            json={"text": "a wombat's question", "unknown": "wombat"},
            headers={**bearer(FIRST_KEY, "Wombat"), "X-Request-ID": "given-by-a-proxy-1"},
        )
    assert response.status_code == 422
    assert response.headers["X-Request-ID"] == "given-by-a-proxy-1"
    assert response.json()["request_id"] == "given-by-a-proxy-1"
    logged = "".join(record.getMessage() for record in caplog.records if record.name != "httpx")  # that is the client
    assert "given-by-a-proxy-1" in logged
    assert "wombat" not in logged.lower()
    assert FIRST_KEY not in logged
