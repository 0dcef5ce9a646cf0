"""What the Rate page does, without Streamlit."""

import json

import pytest
from pydantic import ValidationError

from console import rating
from console.backend_client import BackendClient
from console.wording import explain, literal
from replybench.contract import ErrorPublic, SuggestionCreate
from replybench.errors import NotFound
from tests.console.fake_backend import FakeBackend

RATER = "Olena"
SCORES = {"content": 5, "grammar": 4, "structure": 3, "style": 2}


def submission(client: BackendClient, backend: FakeBackend) -> rating.Submission:
    suggestion = client.ask(RATER, SuggestionCreate(text="How do I get back in?"))
    backend.finish(suggestion.id)
    answers = [{"answer_id": str(answer.id), "scores": SCORES, "seconds": 4.0} for answer in suggestion.answers]
    return rating.Submission.model_validate({"nonce": "n1", "ratings": answers})


def test_all_ratings_are_stored(client: BackendClient, backend: FakeBackend) -> None:
    outcome = rating.store_ratings(client, RATER, submission(client, backend))
    assert outcome == rating.Outcome("n1", ok=True)
    (suggestion,) = backend.suggestions.values()
    assert suggestion.is_revealed
    assert [answer.rating and answer.rating.scores for answer in suggestion.answers] == [SCORES] * 3


def test_sent_again_after_half_of_it_failed_each_is_stored_once(client: BackendClient, backend: FakeBackend) -> None:
    sent = submission(client, backend)
    last = sent.ratings[-1].answer_id
    backend.refuse[f"/api/answers/{last}/rating"] = (
        503,
        ErrorPublic(code="unavailable", message="Away.", request_id="r9"),
    )
    refused = rating.store_ratings(client, RATER, sent)
    assert refused == rating.Outcome("n1", ok=False, message="Away. (Reference: r9)")
    backend.refuse.clear()
    assert rating.store_ratings(client, RATER, sent).ok
    assert backend.revisions == 0


def test_a_submission_with_unknown_parts_is_refused() -> None:
    with pytest.raises(ValidationError):
        rating.Submission.model_validate({"nonce": "n", "ratings": [], "rater": "somebody else"})


def test_asking_tells_the_new_suggestion_or_why_there_is_none(client: BackendClient, backend: FakeBackend) -> None:
    question = rating.Question(nonce="q", subject=" Locked out ", text=" Help ")
    outcome, suggestion_id = rating.ask(client, RATER, question)
    assert outcome.ok
    assert suggestion_id is not None
    assert backend.suggestions[suggestion_id].ticket.subject == "Locked out"
    backend.away = True
    outcome, suggestion_id = rating.ask(client, RATER, question)
    assert suggestion_id is None
    assert "does not answer" in outcome.message


def test_the_board_is_json_and_tells_no_name_before_the_rating(client: BackendClient, backend: FakeBackend) -> None:
    sent = submission(client, backend)
    (suggestion,) = backend.suggestions.values()
    before = rating.board(suggestion, client.rubric("en"), RATER)
    assert "Model A" not in json.dumps(before)
    rating.store_ratings(client, RATER, sent)
    after = rating.board(backend.suggestions[suggestion.id], client.rubric("en"), RATER)
    assert [answer["candidate"] for answer in after["answers"]] == ["Model A", "Model B", "Model C"]


def test_an_error_is_told_with_its_reference() -> None:
    error = NotFound("There is no such suggestion.")
    assert explain(error) == "There is no such suggestion."
    error.request_id = "req-3"
    assert explain(error) == "There is no such suggestion. (Reference: req-3)"


@pytest.mark.parametrize(
    "text", ["**b** _i_ `c`", "[x](http://evil.invalid)", "![x](http://evil.invalid/x.png)", "$x$", ":red[x]", "# h"]
)
def test_literal_leaves_no_markup(text: str) -> None:
    shown = literal(text)
    assert not any(mark in shown.replace("\\" + mark, "") for mark in "*_`[]()!$#:")
    assert "//" not in shown.replace("\u2060//", "")


def test_the_next_ticket_is_the_queues_or_a_sentence_why_there_is_none(
    backend: FakeBackend, client: BackendClient
) -> None:
    waiting = backend.add("nobody", SuggestionCreate(text="Queued"))
    backend.queue = [waiting.id]
    assert rating.next_ticket(client, "Olena") == (waiting.id, "")
    backend.queue, backend.coming = [], 2
    assert "2 tickets are still being answered" in rating.next_ticket(client, "Olena")[1]
    backend.coming = 0
    assert rating.next_ticket(client, "Olena") == (None, "Nothing is left for you in the queue.")
    backend.away = True
    assert "does not answer" in rating.next_ticket(client, "Olena")[1]
