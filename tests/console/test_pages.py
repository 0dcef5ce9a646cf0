"""One AppTest per page: what it shows in each state."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from streamlit.testing.v1 import AppTest

from replybench.contract import ErrorPublic, StudyPublic, SuggestionCreate
from replybench.queue_contract import AskingPublic
from tests.console.fake_backend import FakeBackend

pytestmark = pytest.mark.usefixtures("wired")


def rate() -> None:
    from console.app_pages import rate

    rate.page()


def guidelines() -> None:
    from console.app_pages import guidelines

    guidelines.page()


def app() -> None:
    from console.app import run

    run()


def component(page: AppTest) -> dict[str, Any]:
    """What the page gave to its component."""
    (found,) = (e for e in page.get("bidi_component") if e.proto.component_name != "replybench_remember")
    data: dict[str, Any] = json.loads(found.proto.json or found.proto.mixed.json)
    return data


def opened(backend: FakeBackend, *, finished: bool = True) -> AppTest:
    suggestion = backend.add("Olena", SuggestionCreate(subject="Locked out", text="How do I get back in?"))
    if finished:
        backend.finish(suggestion.id)
    page = AppTest.from_function(rate, default_timeout=20)
    page.session_state["app_rater"] = "Olena"
    page.query_params["suggestion"] = str(suggestion.id)
    return page


def test_a_newcomer_is_asked_for_a_name_once(backend: FakeBackend) -> None:
    page = AppTest.from_function(rate, default_timeout=20).run()
    page.text_input(key="people_name").set_value("  Olena   Koval ")
    page.button[0].click().run()
    assert not page.exception
    assert page.session_state["app_rater"] == "Olena Koval"
    assert component(page)["suggestions"] == []


def test_a_new_ticket_has_examples_and_the_earlier_ones(backend: FakeBackend) -> None:
    earlier = backend.add("Olena", SuggestionCreate(subject="Earlier", text="…"))
    backend.finish(earlier.id)
    backend.add("Somebody else", SuggestionCreate(subject="Not mine", text="…"))
    page = AppTest.from_function(rate, default_timeout=20)
    page.session_state["app_rater"] = "Olena"
    data = component(page.run())
    assert [row["title"] for row in data["suggestions"]] == ["Earlier"]
    assert [row["state"] for row in data["suggestions"]] == ["not rated yet"]
    assert data["examples"][0]["subject"] == "Locked out"


def test_an_open_ticket_shows_three_answers_without_names(backend: FakeBackend) -> None:
    data = component(opened(backend).run())
    assert [answer["slot"] for answer in data["answers"]] == ["A", "B", "C"]
    assert [answer["candidate"] for answer in data["answers"]] == [None, None, None]
    assert [metric["key"] for metric in data["metrics"]] == ["content", "grammar", "structure", "style"]


def test_a_failed_answer_says_why(backend: FakeBackend) -> None:
    backend.texts = ("Fine.", "", "Also fine.")
    data = component(opened(backend).run())
    assert [answer["status"] for answer in data["answers"]] == ["done", "failed", "done"]
    assert data["answers"][1]["error"] == "The model took too long. Ask again."


def test_while_the_backend_is_away_what_was_seen_stays(backend: FakeBackend) -> None:
    page = opened(backend).run()
    backend.away = True
    data = component(page.run())
    assert [answer["status"] for answer in data["answers"]] == ["done", "done", "done"]
    assert "does not answer" in data["notice"]


def test_with_the_backend_away_from_the_start_the_page_waits(backend: FakeBackend) -> None:
    backend.away = True
    page = opened(backend).run()
    assert not page.exception
    assert "does not answer" in page.warning[0].value.replace("\\", "")


@pytest.mark.parametrize("wrong", ["not-a-uuid", "00000000-0000-0000-0000-000000000000"])
def test_a_wrong_address_ends_in_a_sentence_or_a_new_ticket(backend: FakeBackend, wrong: str) -> None:
    page = opened(backend)
    page.query_params["suggestion"] = wrong
    page.run()
    assert not page.exception
    if page.error:
        page.button[0].click().run()
    assert "examples" in component(page)


def test_an_error_of_the_backend_is_shown_with_its_reference(backend: FakeBackend) -> None:
    backend.refuse["/api/suggestions"] = (500, ErrorPublic(code="internal_error", message="Sorry.", request_id="r-5"))
    page = AppTest.from_function(rate, default_timeout=20)
    page.session_state["app_rater"] = "Olena"
    assert "Reference: r-5" in page.run().error[0].value.replace("\\", "")


def test_guidelines_explain_every_metric(backend: FakeBackend) -> None:
    page = AppTest.from_function(guidelines, default_timeout=20).run()
    assert len(page.table) == 4
    assert page.subheader[0].value.replace("\\", "") == "Content and relevance to the task"
    page.session_state["app_language"] = "uk"
    page.run()
    assert page.subheader[1].value.replace("\\", "") == "Граматика та орфографія"


def test_the_language_is_switched_for_the_whole_console(backend: FakeBackend) -> None:
    page = opened(backend)
    page.session_state["app_language"] = "uk"
    data = component(page.run())
    assert data["strings"]["submit"] == "Надіслати"
    assert data["metrics"][0]["name"] == "Зміст"


def test_what_waits_in_the_queue_is_offered_and_opened(backend: FakeBackend) -> None:
    waiting = backend.add("nobody", SuggestionCreate(subject="Queued", text="…"))
    backend.finish(waiting.id)
    backend.queue = [waiting.id]
    page = AppTest.from_function(rate, default_timeout=20)
    page.session_state["app_rater"] = "Olena"
    assert component(page.run())["queue"] == "1 ticket is left for you"


def of_tone() -> StudyPublic:
    """The study of the tickets here, with instructions and weights of its own."""
    return StudyPublic(
        name="test",
        title="Test",
        description="",
        instructions="Mind the tone.",
        weights={"content": 0.25, "grammar": 0.25, "structure": 0.25, "style": 0.25},
        is_open=True,
        is_current=True,
        is_read_only=False,
        created_at=datetime.now(UTC),
    )


def test_a_study_that_was_made_a_moment_ago_is_known(backend: FakeBackend) -> None:
    page = opened(backend).run()
    assert component(page)["instructions"] == "", "the list of studies was read before it was made"
    backend.studies = [of_tone()]
    assert component(page.run())["instructions"] == "Mind the tone."


def test_instructions_and_weights_are_those_of_the_study(backend: FakeBackend) -> None:
    backend.studies = [of_tone()]
    data = component(opened(backend).run())
    assert data["instructions"] == "Mind the tone."
    assert [metric["weight"] for metric in data["metrics"]] == [0.25] * 4
    page = AppTest.from_function(guidelines, default_timeout=20).run()
    assert page.text[0].value == "Mind the tone."
    assert sum("25%" in caption.value for caption in page.caption) == 4


def test_other_askings_of_the_ticket_are_listed(backend: FakeBackend) -> None:
    backend.askings = [
        AskingPublic(
            suggestion_id=uuid4(), study="test", lineup="demo", created_at=datetime(2026, 1, 2, tzinfo=UTC),
            answers=3, done=3, rated=rated,
        )
        for rated in (3, 0)
    ]  # fmt: skip
    labels = [asking["label"] for asking in component(opened(backend).run())["askings"]]
    assert labels == ["2 Jan, 00:00, lineup demo · rated", "2 Jan, 00:00, lineup demo"]
