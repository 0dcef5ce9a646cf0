"""Following a stream beside the page: it grows, it survives a break, it ends, it stops when nobody looks."""

import time
from collections.abc import Callable
from uuid import uuid4

import pytest

from console import follower
from console.backend_client import BackendClient, StreamDone
from console.follower import Followers, applied
from replybench.contract import AnswerDelta, AnswerStatus, SuggestionCreate, SuggestionPublic
from replybench.errors import NotFound, Unavailable
from tests.console.fake_backend import TEXTS, FakeBackend

RATER = "Olena"


@pytest.fixture
def suggestion(client: BackendClient) -> SuggestionPublic:
    return client.ask(RATER, SuggestionCreate(text="How do I get back in?"))


def until(done: Callable[[], bool], timeout_s: float = 10) -> None:
    end = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def test_deltas_are_put_where_they_belong(suggestion: SuggestionPublic) -> None:
    first = suggestion.answers[0].id
    for offset, text in ((0, "Hello"), (5, ", Іване"), (0, "Hello, Іване"), (12, "!")):
        suggestion = applied(suggestion, AnswerDelta(answer_id=first, offset=offset, text=text))
    assert suggestion.answers[0].text == "Hello, Іване!"
    assert suggestion.answers[0].status is AnswerStatus.WRITING
    missed = applied(suggestion, AnswerDelta(answer_id=first, offset=99, text="lost"))
    assert missed.answers[0].text == "Hello, Іване!"
    assert applied(suggestion, AnswerDelta(answer_id=uuid4(), offset=0, text="another's")) == suggestion
    assert applied(suggestion, StreamDone()).is_complete


def test_a_finished_answer_takes_no_late_delta(
    client: BackendClient, backend: FakeBackend, suggestion: SuggestionPublic
) -> None:
    backend.finish(suggestion.id)
    whole = client.suggestion(RATER, suggestion.id)
    late = AnswerDelta(answer_id=whole.answers[0].id, offset=0, text="late")
    assert applied(whole, late).answers[0].text == TEXTS[0]


def test_the_page_sees_texts_grow_and_end(
    client: BackendClient, backend: FakeBackend, suggestion: SuggestionPublic
) -> None:
    backend.pause = lambda: time.sleep(0.02)
    followers = Followers()
    lengths: list[int] = []

    def look() -> bool:
        seen, trouble = followers.look(client, RATER, suggestion.id)
        assert trouble is None
        lengths.append(len(seen.answers[0].text))
        return seen.is_complete

    until(look)
    assert len(set(lengths)) > 3, "it came all at once"
    assert lengths == sorted(lengths)
    seen, _ = followers.look(client, RATER, suggestion.id)
    assert [answer.text for answer in seen.answers] == list(TEXTS)


def test_a_broken_stream_is_taken_up_again(
    client: BackendClient, backend: FakeBackend, suggestion: SuggestionPublic
) -> None:
    backend.pause = lambda: time.sleep(0.01)
    backend.break_stream_after = 5
    followers = Followers()
    until(lambda: followers.look(client, RATER, suggestion.id)[0].is_complete)
    assert followers.look(client, RATER, suggestion.id)[0].answers[0].text == TEXTS[0]
    assert [path for _, path in backend.requests].count(f"/api/suggestions/{suggestion.id}/events") == 2


def test_an_outage_is_told_and_passes(
    client: BackendClient, backend: FakeBackend, suggestion: SuggestionPublic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "_PAUSES_S", (0.02,))
    followers = Followers()
    backend.pause = lambda: time.sleep(0.01)
    followers.look(client, RATER, suggestion.id)
    backend.away = True
    backend.break_stream_after = 0
    until(lambda: isinstance(followers.look(client, RATER, suggestion.id)[1], Unavailable))
    backend.away = False
    until(lambda: followers.look(client, RATER, suggestion.id)[0].is_complete)
    assert followers.look(client, RATER, suggestion.id)[1] is None


def test_when_nobody_looks_the_stream_is_let_go(
    client: BackendClient, backend: FakeBackend, suggestion: SuggestionPublic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "FORGET_AFTER_S", 0.05)
    backend.pause = lambda: time.sleep(0.04)
    one = follower.Follower(client, RATER, suggestion)
    until(lambda: not one.is_alive)
    assert not backend.suggestions[suggestion.id].is_complete


def test_what_was_changed_is_asked_anew(
    client: BackendClient, backend: FakeBackend, suggestion: SuggestionPublic
) -> None:
    followers = Followers()
    until(lambda: followers.look(client, RATER, suggestion.id)[0].is_complete)
    backend._put(suggestion.id, study="renamed")
    assert followers.look(client, RATER, suggestion.id)[0].study == "test"
    followers.forget(RATER, suggestion.id)
    assert followers.look(client, RATER, suggestion.id)[0].study == "renamed"


def test_what_is_not_there_is_an_error(client: BackendClient) -> None:
    with pytest.raises(NotFound):
        Followers().look(client, RATER, uuid4())
