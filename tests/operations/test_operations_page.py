"""The Operations page, by its own test: what it shows when all is well, when not, and when nobody answers."""

from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from console import state
from console.backend_client import BackendClient
from console.settings import ConsoleSettings
from replybench.operations_contract import CandidateFigures, EnginePublic, OperationsPublic

NOW = OperationsPublic(
    status="ok",
    version="0.1.0",
    process="here:1",
    database="ok",
    database_mib=12.4,
    tickets=31,
    ratings=93,
    unfinished=2,
    most_unfinished=96,
    engines=[
        EnginePublic(
            title="SmolLM2-135M",
            state="ok",
            problem=None,
            device="cpu",
            memory_mib=258.2,
            waiting=1,
            candidates=["tuned", "base"],
        )
    ],
    candidates=[
        CandidateFigures(
            key="tuned",
            name="Tuned",
            done=30,
            failed=1,
            unfinished=0,
            tokens=900,
            first_token_s=0.42,
            answer_s=3.14,
            answer_p95_s=None,
            last_error="timeout",
        )
    ],
    at=datetime(2026, 1, 2, tzinfo=UTC),
)


def operations() -> None:
    from console.app_pages import operations

    operations.page()


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[httpx.Response], AppTest]:
    def shown(response: httpx.Response) -> AppTest:
        client = BackendClient(ConsoleSettings(_env_file=None), httpx.MockTransport(lambda _: response))
        monkeypatch.setattr(state, "backend", lambda: client)
        return AppTest.from_function(operations, default_timeout=20).run()

    return shown


def test_it_shows_the_queue_each_model_and_each_candidate(answering: Callable[[httpx.Response], AppTest]) -> None:
    page = answering(httpx.Response(200, text=NOW.model_dump_json()))
    assert not page.exception
    assert [metric.value for metric in page.metric] == ["2 / 96", "31", "93", "12 MiB"]
    engines, candidates = (frame.value for frame in page.dataframe)
    assert list(engines.iloc[0]) == ["SmolLM2-135M", "up", "cpu", "258 MiB", 1, "tuned, base"]
    assert list(candidates.iloc[0]) == ["Tuned", 30, 1, "timeout", "0.4 s", "3.1 s", "–", 900]
    assert not page.warning


def test_it_says_what_is_wrong(answering: Callable[[httpx.Response], AppTest]) -> None:
    down = NOW.engines[0].model_copy(update={"state": "failing", "problem": "No such adapter."})
    wrong = NOW.model_copy(update={"status": "failing", "database": "The database is away.", "engines": [down]})
    page = answering(httpx.Response(200, text=wrong.model_dump_json()))
    assert page.warning
    assert page.error[0].value == "The database is away."
    assert page.dataframe[0].value.iloc[0]["State"] == "No such adapter."


def test_it_says_so_when_nobody_answers_or_it_is_not_for_this_person(
    answering: Callable[[httpx.Response], AppTest],
) -> None:
    refused = {"code": "not_allowed", "message": "That is for people with the role lead.", "request_id": None}
    page = answering(httpx.Response(403, json=refused))
    assert not page.exception
    assert page.error[0].value == "That is for people with the role lead."
