"""The client: contract in, contract out, and every failure an error with a sentence."""

from uuid import uuid4

import httpx
import pytest

from console.backend_client import BackendClient, StreamDone
from console.settings import ConsoleSettings
from replybench.contract import (
    AnswerChanged,
    AnswerDelta,
    ErrorPublic,
    FlagKind,
    RatingWrite,
    SkipReason,
    Source,
    SuggestionCreate,
)
from replybench.errors import Busy, Conflict, InvalidInput, NotFound, NotSignedIn, ReplybenchError, Unavailable
from tests.console.fake_backend import TEXTS, FakeBackend

RATER = "Олена Ковальчук"
SCORES = {"content": 5, "grammar": 4, "structure": 3, "style": 2}


def answering(response: httpx.Response) -> BackendClient:
    return BackendClient(ConsoleSettings(_env_file=None), transport=httpx.MockTransport(lambda request: response))


def ask(client: BackendClient) -> SuggestionCreate:
    return SuggestionCreate(subject="Locked out", text="I forgot my password", source=Source.CONSOLE)


def test_key_and_name_are_sent_and_a_name_of_any_alphabet_arrives() -> None:
    seen: list[httpx.Headers] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return httpx.Response(200, json={"suggestions": []})

    settings = ConsoleSettings(api_key="s3cret-key", _env_file=None)
    BackendClient(settings, transport=httpx.MockTransport(handle)).suggestions(RATER)
    assert seen[0]["Authorization"] == "Bearer s3cret-key"
    assert (
        seen[0]["X-Rater"] == "%D0%9E%D0%BB%D0%B5%D0%BD%D0%B0%20%D0%9A%D0%BE%D0%B2%D0%B0%D0%BB%D1%8C%D1%87%D1%83%D0%BA"
    )


@pytest.mark.parametrize("key", ["", "  ", None])
def test_an_empty_key_is_no_key(key: str | None) -> None:
    assert ConsoleSettings(api_key=key, _env_file=None).api_key is None


def test_a_suggestion_is_asked_followed_and_rated(client: BackendClient, backend: FakeBackend) -> None:
    suggestion = client.ask(RATER, ask(client))
    events = list(client.events(RATER, suggestion.id))
    assert isinstance(events[-1], StreamDone)
    assert [type(event) for event in events[:-1]].count(AnswerChanged) == 3
    written = "".join(e.text for e in events if isinstance(e, AnswerDelta) and e.answer_id == suggestion.answers[0].id)
    assert written == TEXTS[0]
    rating = client.rate(RATER, suggestion.answers[0].id, RatingWrite(scores=SCORES, seconds=3.5))
    assert rating.scores == SCORES
    assert client.suggestion(RATER, suggestion.id).answers[0].rating == rating
    assert [row.rated for row in client.suggestions(RATER)] == [1]


def test_a_skip_and_a_flag_are_set_and_taken_back(client: BackendClient, backend: FakeBackend) -> None:
    suggestion = client.ask(RATER, ask(client))
    answer_id = suggestion.answers[0].id
    assert client.skip(RATER, suggestion.id, SkipReason.UNCLEAR).skip is SkipReason.UNCLEAR
    assert client.skips(RATER) == [suggestion.id]
    assert client.flag(RATER, answer_id, FlagKind.HARMFUL, is_set=True).flags == {answer_id: [FlagKind.HARMFUL]}
    assert client.marks(RATER, suggestion.id).skip is SkipReason.UNCLEAR
    assert client.flag(RATER, answer_id, FlagKind.HARMFUL, is_set=False).flags == {}
    assert client.skip(RATER, suggestion.id, None).skip is None


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "not_found", NotFound),
        (409, "conflict", Conflict),
        (422, "invalid_input", InvalidInput),
        (401, "not_signed_in", NotSignedIn),
        (429, "busy", Busy),
        (503, "unavailable", Unavailable),
        (409, "a_code_of_tomorrow", Conflict),
        (418, "a_code_of_tomorrow", ReplybenchError),
    ],
)
def test_an_error_comes_back_as_what_it_was(status: int, code: str, kind: type[ReplybenchError]) -> None:
    body = ErrorPublic(code=code, message="No score for style.", request_id="req-7").model_dump()
    with pytest.raises(kind) as raised:
        answering(httpx.Response(status, json=body)).suggestions(RATER)
    assert raised.value.message == "No score for style."
    assert raised.value.request_id == "req-7"


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(502, html="<h1>Bad gateway</h1>"),
        httpx.Response(200, html="<h1>It works!</h1>"),
        httpx.Response(200, json={"another": "shape"}),
        httpx.Response(401, json={"detail": "another service"}),
    ],
)
def test_another_service_on_the_port_is_told_as_such(response: httpx.Response) -> None:
    with pytest.raises(Unavailable, match="Check BACKEND_URL"):
        answering(response).rubric("en")


def test_nobody_there_is_a_sentence(client: BackendClient, backend: FakeBackend) -> None:
    backend.away = True
    for call in (lambda: client.lineup(), lambda: list(client.events(RATER, uuid4()))):
        with pytest.raises(Unavailable, match="does not answer"):
            call()


def test_a_stream_that_breaks_off_is_not_taken_for_its_end(client: BackendClient, backend: FakeBackend) -> None:
    suggestion = client.ask(RATER, ask(client))
    backend.break_stream_after = 4
    got = []
    with pytest.raises(Unavailable):
        for event in client.events(RATER, suggestion.id):
            got.append(event)
    assert len(got) == 4


def test_a_stream_that_is_refused_says_why(client: BackendClient) -> None:
    with pytest.raises(NotFound):
        list(answering(httpx.Response(404, json={"code": "not_found", "message": "Gone."})).events(RATER, uuid4()))


def test_a_document_is_fetched_again_only_if_it_changed() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.headers.get("If-None-Match") == '"v1"':
            return httpx.Response(304)
        return httpx.Response(200, json={"n": 1}, headers={"ETag": '"v1"'})

    client = BackendClient(ConsoleSettings(_env_file=None), transport=httpx.MockTransport(handle))
    first = client.fetch("/api/results", {})
    assert first.document == {"n": 1}
    again = client.fetch("/api/results", {}, etag=first.etag)
    assert again.document is None
    assert again.etag == '"v1"'
