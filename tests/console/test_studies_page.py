"""The Studies page: progress as a picture, opening and closing, tickets in, flagged answers, a new study."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from console import sign_in, state
from console import studies as source
from console.backend_client import BackendClient
from console.charts import studies as charts
from console.person import Person, Role
from console.settings import ConsoleSettings
from replybench.contract import FlagKind, FlagList, FlagPublic, StudyPublic
from replybench.queue_contract import QueueProgress, QueueTicket, RaterProgress, StudyProgress
from replybench.rubric import rubric

NOW = datetime(2026, 1, 2, tzinfo=UTC)
#: Keys of a jsonb value come back by length.
WEIGHTS = dict(sorted(rubric().weights.items(), key=lambda item: (len(item[0]), item[0])))


def study(name: str = "pilot", **changes: Any) -> StudyPublic:
    given: dict[str, Any] = {
        "name": name, "title": name.title(), "description": "", "instructions": "Be kind.", "lineup": "demo",
        "weights": WEIGHTS, "overlap": 2, "state": "open", "is_open": True, "is_current": True,
        "is_read_only": False, "created_at": NOW,
    }  # fmt: skip
    return StudyPublic(**{**given, **changes})


class LeadsBackend(httpx.BaseTransport):
    """What a lead's page asks, in memory; `sent` has what it changed."""

    def __init__(self) -> None:
        self.studies = [study()]
        self.progress = StudyProgress(
            study="pilot", overlap=2, halted=None, at=NOW,
            queue=QueueProgress(tickets=10, waiting=1, written=1, failed=2, answered=1, begun=1, complete=4),
            raters=[RaterProgress(name="Olena", rated=5, skipped=1, holding=1, seconds=41.5)],
        )  # fmt: skip
        self.flags: list[FlagPublic] = []
        self.sent: list[tuple[str, str, Any]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path, method = request.url.path, request.method
        if method != "GET":
            body = json.loads(request.content or b"null")
            self.sent.append((method, path, body))
            if path.endswith("/tickets"):
                return httpx.Response(200, json={"added": len(body["tickets"]), "known": 0})
            if path.endswith("/retry"):
                return httpx.Response(200, json={"tickets": 2})
            fields = {key: value for key, value in body.items() if key in StudyPublic.model_fields}
            return httpx.Response(200, text=study(**{"is_current": False, **fields}).model_dump_json())
        if path == "/api/studies":
            return httpx.Response(200, json={"studies": [json.loads(one.model_dump_json()) for one in self.studies]})
        if path == "/api/lineup":
            one = {"id": str(uuid4()), "key": "one", "name": "One", "engine": "scripted", "base": None, "note": "",
                   "revision": None, "adapter": None, "adapter_sha256": None}  # fmt: skip
            return httpx.Response(200, json={"name": "demo", "title": "", "description": "", "candidates": [one]})
        if path == "/api/lineups":
            return httpx.Response(200, json={"current": "demo", "names": ["demo", "study"]})
        if path == "/api/flags":
            return httpx.Response(200, text=FlagList(flags=self.flags).model_dump_json())
        if path == "/api/rubric":
            metrics = [
                {"key": metric.key, "weight": metric.weight, **metric.text("en").model_dump()}
                for metric in rubric().metrics
            ]
            whole = rubric().model_dump(exclude={"metrics"})
            return httpx.Response(200, json={**whole, "language": "en", "metrics": metrics})
        return httpx.Response(200, text=self.progress.model_dump_json())


def studies() -> None:
    from console.app_pages import studies

    studies.page()


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> LeadsBackend:
    serving = LeadsBackend()
    client = BackendClient(ConsoleSettings(_env_file=None), serving)
    monkeypatch.setattr(state, "backend", lambda: client)
    return serving


@pytest.fixture
def shown(backend: LeadsBackend) -> Callable[[], AppTest]:
    def run() -> AppTest:
        page = AppTest.from_function(studies, default_timeout=30).run()
        assert not page.exception
        return page

    return run


def button(page: AppTest, label: str) -> Any:
    return next(found for found in page.button if found.label == label)


def test_progress_is_a_picture_with_the_same_in_words(shown: Callable[[], AppTest]) -> None:
    page = shown()
    charts = page.get("plotly_chart")
    assert len(charts) == 2
    words = " ".join(caption.value for caption in page.caption).replace("\\", "")
    assert "10 tickets: 4 rated by as many as wanted, 1 rated, more raters wanted" in words
    assert list(page.dataframe[0].value.iloc[0]) == ["Olena", 5, 1, 1, 42]
    assert "2 raters per ticket" in words
    assert "Content 45%, Grammar 20%, Structure 20%, Style 15%" in words, "in the rubric's order"


@pytest.mark.parametrize(("rated", "step"), [(1, 1), (5, 1), (60, None)])
def test_tickets_are_counted_in_whole_numbers(rated: int, step: int | None) -> None:
    person = RaterProgress(name="Olena", rated=rated, skipped=0, holding=0, seconds=42)
    assert charts.raters([person], "", "", "rated", "skipped").layout.xaxis.dtick == step


def test_failed_tickets_are_tried_again(shown: Callable[[], AppTest], backend: LeadsBackend) -> None:
    page = button(shown(), "Try the failed tickets again").click().run()
    assert backend.sent == [("POST", "/api/studies/pilot/retry", None)]
    assert "2 tickets are tried again" in page.success[0].value


def test_a_draft_is_opened_and_an_open_one_closed(shown: Callable[[], AppTest], backend: LeadsBackend) -> None:
    button(shown(), "Close the study").click().run()
    assert backend.sent.pop()[2] == {"is_open": False, "switch_lineup": False}
    backend.studies = [study(state="draft", is_open=False, is_current=False)]
    button(shown(), "Open the study").click().run()
    assert backend.sent.pop()[2] == {"is_open": True, "switch_lineup": False}
    backend.studies = [study(is_current=False)]
    button(shown(), "Let it take new tickets").click().run()
    assert backend.sent.pop()[2] == {"is_open": True, "switch_lineup": False}


def test_a_study_of_another_lineup_says_so_and_changes_it(shown: Callable[[], AppTest], backend: LeadsBackend) -> None:
    backend.studies = [study(lineup="study", state="draft", is_open=False, is_current=False)]
    page = shown()
    assert "for the lineup 'study'" in page.warning[0].value
    button(page, "Change the lineup and open").click().run()
    assert backend.sent.pop()[2] == {"is_open": True, "switch_lineup": True}


@pytest.mark.parametrize(("role", "may"), [("lead", False), ("admin", True)])
def test_only_an_admin_may_change_the_lineup(
    role: Role, may: bool, backend: LeadsBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in, "is_local", lambda: False)
    backend.studies = [study(lineup="study", state="draft", is_open=False, is_current=False)]
    page = AppTest.from_function(studies, default_timeout=30)
    page.session_state["app_rater"] = Person.known("Ira", identity="idp|1", role=role)
    assert button(page.run(), "Change the lineup and open").disabled is not may
    assert any("Ask one to open this study" in caption.value for caption in page.caption) is not may


def test_what_raters_read_is_saved(shown: Callable[[], AppTest], backend: LeadsBackend) -> None:
    page = shown()
    page.text_area[0].set_value("Read twice.")
    page.number_input[0].set_value(3)
    button(page, "Save").click().run()
    body = {"title": "Pilot", "instructions": "Read twice.", "overlap": 3, "switch_lineup": False}
    assert backend.sent == [("PATCH", "/api/studies/pilot", body)]


def test_flagged_answers_are_behind_a_click_and_shown_as_text(
    shown: Callable[[], AppTest], backend: LeadsBackend
) -> None:
    backend.flags = [
        FlagPublic(
            suggestion_id=uuid4(),
            answer_id=uuid4(),
            study="pilot",
            subject="Refund",
            answer="**Pay** me",
            candidate="One",
            kind=FlagKind.HARMFUL,
            raters=2,
            last_at=NOW,
        )
    ]
    page = shown()
    assert page.expander[0].label.replace("\\", "") == "harmful · One · 2 raters"
    assert page.expander[0].text[0].value == "**Pay** me"


def test_tickets_are_sent_in_parts(backend: LeadsBackend) -> None:
    many = [QueueTicket(text=f"Ticket {at}") for at in range(120)]
    assert [(done.added, done.known) for done in source.take_in("pilot", many)] == [(50, 0), (100, 0), (120, 0)]
    assert [len(body["tickets"]) for _, _, body in backend.sent] == [50, 50, 20]


def new_study() -> None:
    import streamlit as st

    from console import study_form

    study_form.form(lambda made: st.session_state.update(made=made.name))


def test_a_new_study_needs_weights_that_are_a_hundred(backend: LeadsBackend) -> None:
    page = AppTest.from_function(new_study, default_timeout=30).run()
    page.text_input[0].set_value("Tone of voice")
    page.number_input[1].set_value(46)
    page.button[0].click().run()
    assert not backend.sent
    assert "101 together" in page.error[0].value
    page.number_input[2].set_value(19)
    page.button[0].click().run()
    assert page.session_state["made"]
    ((_, path, body),) = backend.sent
    assert (path, body["name"], body["lineup"], body["overlap"]) == ("/api/studies", "tone-of-voice", "demo", 2)
    assert body["weights"] == {"content": 0.46, "grammar": 0.19, "structure": 0.2, "style": 0.15}
    assert "candidates" not in body


@pytest.mark.parametrize(("title", "short"), [("Tone of Voice, 2", "tone-of-voice-2"), ("Тон", ""), ("É", "e")])
def test_a_short_name_is_made_of_the_title(title: str, short: str) -> None:
    assert source.slug(title) == short


def test_an_empty_console_says_what_to_do(shown: Callable[[], AppTest], backend: LeadsBackend) -> None:
    backend.studies = []
    assert "Make one" in shown().info[0].value
