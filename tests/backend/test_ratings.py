"""A rating is stored once, whole, by its rater, and what it said before is kept."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlmodel import Session, select

from backend.services.edits import share_rewritten
from db.models import Answer, Rating, RatingRevision, Study, Suggestion, Usage, now
from tests.backend.conftest import GOOD, Backend, asked, finished, rate, scripted


@pytest.fixture
def answer(olena: httpx.Client) -> str:
    """The id of a finished answer of Olena's."""
    identifier: str = finished(olena, asked(olena)["id"])["answers"][0]["id"]
    return identifier


def _stored(backend: Backend, answer_id: str) -> tuple[list[Rating], list[RatingRevision]]:
    with Session(backend.database) as session:
        ratings = list(session.exec(select(Rating).where(Rating.answer_id == UUID(answer_id))))
        ids = [rating.id for rating in ratings]
        revisions = session.exec(select(RatingRevision).where(RatingRevision.rating_id.in_(ids)))  # type: ignore[attr-defined]
        return ratings, list(revisions)


def test_the_same_rating_twice_is_one(backend: Backend, olena: httpx.Client, answer: str) -> None:
    first, second = (rate(olena, answer, comment="Fine.", seconds=12.5) for _ in range(2))
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    ratings, revisions = _stored(backend, answer)
    assert len(ratings) == 1 and revisions == []
    assert (ratings[0].scores, ratings[0].seconds, ratings[0].slot) == (GOOD, 12.5, "A")


def test_a_change_keeps_what_was_said_before(backend: Backend, olena: httpx.Client, answer: str) -> None:
    rate(olena, answer, comment="At first.")
    changed = rate(olena, answer, {**GOOD, "content": 1}, corrected_text="Better so.").json()
    assert changed["scores"]["content"] == 1 and changed["corrected_text"] == "Better so."
    ratings, revisions = _stored(backend, answer)
    assert len(ratings) == 1
    assert [(revision.scores, revision.comment) for revision in revisions] == [(GOOD, "At first.")]
    assert revisions[0].replaced_at >= revisions[0].written_at


def test_first_ratings_that_race_are_one(backend: Backend, olena: httpx.Client, answer: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        responses = list(
            pool.map(lambda score: rate(olena, answer, {**GOOD, "style": score}), [1, 2, 3, 4, 5, 1, 2, 3])
        )
    assert {response.status_code for response in responses} == {200}
    ratings, revisions = _stored(backend, answer)
    assert len(ratings) == 1
    history = [revision.scores["style"] for revision in revisions] + [ratings[0].scores["style"]]
    assert set(history) == {1, 2, 3, 4, 5}  # nothing that was accepted is lost


def test_a_new_person_may_begin_with_many_requests_at_once(backend: Backend, answer: str) -> None:
    with backend.client(f"Newcomer {uuid4().hex}") as client, ThreadPoolExecutor(6) as pool:
        responses = list(pool.map(lambda _: rate(client, answer), range(6)))
    assert {response.status_code for response in responses} == {200}
    assert len({response.json()["id"] for response in responses}) == 1


@pytest.mark.parametrize(
    ("scores", "named"),
    [
        ({"content": 5, "grammar": 4, "structure": 3}, "style"),
        ({**GOOD, "charm": 5}, "charm"),
        ({**GOOD, "grammar": 0}, "grammar"),
        ({**GOOD, "grammar": 6}, "grammar"),
    ],
)
def test_what_is_wrong_with_scores_is_named(
    backend: Backend, olena: httpx.Client, answer: str, scores: dict[str, int], named: str
) -> None:
    response = rate(olena, answer, scores)
    assert response.status_code == 422
    assert named in response.json()["message"]
    assert _stored(backend, answer)[0] == []


@pytest.mark.parametrize("score", ["five", 3.5, None, True])
def test_scores_are_whole_numbers(olena: httpx.Client, answer: str, score: Any) -> None:
    response = olena.put(f"/api/answers/{answer}/rating", json={"scores": {**GOOD, "content": score}})
    assert response.status_code == 422


def test_unfinished_failed_and_unknown_answers_cannot_be_rated(serve: Callable[..., Any]) -> None:
    lineup = scripted(slow='text = "Slow."\ndelay_s = 30', broken='text = "x"\nfail_after = 0')
    with serve(lineup) as backend, backend.client() as client:
        accepted = asked(client)
        broken = _first(client, accepted["id"], "failed")
        slow = _first(client, accepted["id"], "waiting")
        assert rate(client, broken).status_code == 409
        assert "failed" in rate(client, broken).json()["message"]
        assert "not complete" in rate(client, slow).json()["message"]
        assert rate(client, str(uuid4())).status_code == 404
        assert _stored(backend, broken)[0] == []


def _first(client: httpx.Client, suggestion_id: str, status: str) -> str:
    while True:
        for answer in client.get(f"/api/suggestions/{suggestion_id}").json()["answers"]:
            if answer["status"] == status:
                identifier: str = answer["id"]
                return identifier


@pytest.mark.parametrize("change", [{"is_read_only": True}, {"closed_at": now()}])
def test_closed_and_read_only_studies_take_nothing(serve: Callable[..., Any], change: dict[str, Any]) -> None:
    with serve() as backend, backend.client() as client:
        answer_id = finished(client, asked(client)["id"])["answers"][0]["id"]
        with Session(backend.database) as session:
            suggestion = session.get(Suggestion, session.get(Answer, UUID(answer_id)).suggestion_id)  # type: ignore[union-attr]
            study = session.get(Study, suggestion.study_id)  # type: ignore[union-attr]
            assert study is not None
            for name, value in change.items():
                setattr(study, name, value)
            session.add(study)
            session.commit()
            name = study.name
        assert rate(client, answer_id).status_code == 409
        assert client.post("/api/suggestions", json={"text": "x", "study": name}).status_code == 409
        assert client.post("/api/suggestions", json={"text": "x"}).status_code == 409


def test_a_use_is_stored_once(backend: Backend, olena: httpx.Client, answer: str) -> None:
    identifier = uuid4()
    use = {"answer_id": answer, "source": "zoho_desk", "action": "edited", "edit_share": 0.25}
    first, second = (olena.put(f"/api/usage/{identifier}", json=use) for _ in range(2))
    assert first.status_code == 200 and first.json() == second.json()
    assert olena.put(f"/api/usage/{identifier}", json={**use, "action": "sent"}).status_code == 409
    assert olena.put(f"/api/usage/{uuid4()}", json={**use, "edit_share": 1.5}).status_code == 422
    assert olena.put(f"/api/usage/{uuid4()}", json={**use, "answer_id": str(uuid4())}).status_code == 404
    with Session(backend.database) as session:
        assert len(session.exec(select(Usage).where(Usage.answer_id == UUID(answer))).all()) == 1


def test_how_much_of_an_answer_its_correction_rewrote_is_stored(olena: httpx.Client) -> None:
    answer = finished(olena, asked(olena)["id"])["answers"][0]
    path = answer["id"]
    assert rate(olena, path).json()["corrected_share"] is None
    assert rate(olena, path, corrected_text=answer["text"]).json()["corrected_share"] == 0
    assert rate(olena, path, corrected_text="Entirely other").json()["corrected_share"] == 1
    half = rate(olena, path, corrected_text=f"{answer['text']} {answer['text']}").json()["corrected_share"]
    assert half == pytest.approx(1 / 3)


def test_the_share_counts_words_as_the_widget_does() -> None:
    assert share_rewritten("Open the page, please.", "Open a page, please.") == pytest.approx(1 / 6)
    assert share_rewritten("Пароль змінено", "пароль змінено") == pytest.approx(1 / 2)
    assert share_rewritten("x " * 25_000, "y " * 25_000) == 1
