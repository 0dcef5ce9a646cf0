"""The console's only way to the backend: HTTP, in the words of `replybench.contract`."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID

import httpx
from httpx_sse import ServerSentEvent, connect_sse
from pydantic import BaseModel, ValidationError

from console.person import Person
from console.settings import ConsoleSettings
from replybench import errors
from replybench.contract import (
    AnswerChanged,
    AnswerDelta,
    ErrorPublic,
    ExampleList,
    ExampleTicket,
    FlagKind,
    LineupPublic,
    MarksPublic,
    RatingPublic,
    RatingWrite,
    RubricPublic,
    SkipList,
    SkipReason,
    SkipWrite,
    StudyList,
    StudyPublic,
    SuggestionBrief,
    SuggestionCreate,
    SuggestionList,
    SuggestionPublic,
)
from replybench.errors import ReplybenchError, Unavailable
from replybench.queue_contract import AskingList, AskingPublic, QueueNext, QueuePublic

M = TypeVar("M", bound=BaseModel)

#: A stream is silent for at most this long (seconds): the backend sends heartbeats.
STREAM_SILENCE_S = 45.0


@dataclass(frozen=True, slots=True)
class StreamDone:
    """The last event of a suggestion's stream: nothing more will come."""


StreamEvent = AnswerDelta | AnswerChanged | StreamDone


@dataclass(frozen=True, slots=True)
class Fetched:
    """A JSON document with its ETag, for pages that ask again and again. `document` is None if unchanged."""

    document: Any | None
    etag: str | None


class BackendClient:
    """Every method raises a `ReplybenchError` whose sentence can be shown; `Unavailable` when nobody answers.

    `rater` is the name of the person who acts. One client serves all threads of the process.
    """

    def __init__(
        self,
        settings: ConsoleSettings,
        transport: httpx.BaseTransport | None = None,
        present: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`transport` replaces the network in tests; `present` tells who acts where a call does not name them."""
        self._present = present
        headers = {"Accept": "application/json"}
        if settings.api_key is not None:
            headers["Authorization"] = f"Bearer {settings.api_key.get_secret_value()}"
        self._http = httpx.Client(
            base_url=settings.backend_url.rstrip("/"),
            headers=headers,
            timeout=httpx.Timeout(settings.backend_timeout_s, connect=3.0),
            limits=httpx.Limits(max_connections=200, max_keepalive_connections=20),
            transport=transport,
            trust_env=False,  # the backend is ours: a proxy of the machine is not asked
        )

    def rubric(self, language: str) -> RubricPublic:
        """Return the metrics with their texts in `language` (``en`` or ``uk``)."""
        return self._get(RubricPublic, "/api/rubric", params={"language": language})

    def lineup(self) -> LineupPublic:
        """Return who can answer now."""
        return self._get(LineupPublic, "/api/lineup")

    def example_tickets(self) -> list[ExampleTicket]:
        """Return tickets to try."""
        return self._get(ExampleList, "/api/example-tickets").tickets

    def studies(self) -> list[StudyPublic]:
        """Return the collection periods."""
        return self._get(StudyList, "/api/studies").studies

    def ask(self, rater: str, request: SuggestionCreate) -> SuggestionPublic:
        """Have every candidate answer a ticket."""
        body = request.model_dump(mode="json", exclude_none=True)
        return self._parse(SuggestionPublic, self.send("POST", "/api/suggestions", rater=rater, json=body))

    def suggestions(self, rater: str) -> list[SuggestionBrief]:
        """Return the rater's own suggestions, newest first."""
        return self._get(SuggestionList, "/api/suggestions", rater=rater).suggestions

    def suggestion(self, rater: str, suggestion_id: UUID) -> SuggestionPublic:
        """Return a suggestion with the texts that exist so far."""
        return self._get(SuggestionPublic, f"/api/suggestions/{suggestion_id}", rater=rater)

    def queue(self, rater: str) -> QueuePublic:
        """Return how many tickets wait for the rater."""
        return self._get(QueuePublic, "/api/queue", rater=rater)

    def next_ticket(self, rater: str) -> QueueNext:
        """Give the rater the next ticket of the queue."""
        return self._parse(QueueNext, self.send("POST", "/api/queue/next", rater=rater, json={}))

    def ask_again(self, rater: str, suggestion_id: UUID) -> SuggestionPublic:
        """Ask the suggestion's ticket once more, of the lineup in use."""
        return self._parse(SuggestionPublic, self.send("POST", f"/api/suggestions/{suggestion_id}/again", rater=rater))

    def askings(self, rater: str, suggestion_id: UUID) -> list[AskingPublic]:
        """Return all askings of the suggestion's ticket, newest first."""
        return self._get(AskingList, f"/api/suggestions/{suggestion_id}/askings", rater=rater).askings

    def retry(self, rater: str, answer_id: UUID) -> None:
        """Ask again for an answer that failed."""
        self.send("POST", f"/api/answers/{answer_id}/retry", rater=rater)

    def rate(self, rater: str, answer_id: UUID, rating: RatingWrite) -> RatingPublic:
        """Store a rating. The same call twice stores one."""
        body = rating.model_dump(mode="json", exclude_none=True)
        return self._parse(RatingPublic, self.send("PUT", f"/api/answers/{answer_id}/rating", rater=rater, json=body))

    def marks(self, rater: str, suggestion_id: UUID) -> MarksPublic:
        """Return what the rater has skipped or flagged in a suggestion."""
        return self._get(MarksPublic, f"/api/suggestions/{suggestion_id}/marks", rater=rater)

    def skips(self, rater: str) -> list[UUID]:
        """Return the suggestions that the rater has skipped."""
        return self._get(SkipList, "/api/skips", rater=rater).suggestion_ids

    def skip(self, rater: str, suggestion_id: UUID, reason: SkipReason | None) -> MarksPublic:
        """Give a ticket back without rating it; no reason takes that back."""
        path = f"/api/suggestions/{suggestion_id}/skip"
        if reason is None:
            return self._parse(MarksPublic, self.send("DELETE", path, rater=rater))
        body = SkipWrite(reason=reason).model_dump(mode="json")
        return self._parse(MarksPublic, self.send("PUT", path, rater=rater, json=body))

    def flag(self, rater: str, answer_id: UUID, kind: FlagKind, *, is_set: bool) -> MarksPublic:
        """Flag an answer, or take the flag back."""
        path = f"/api/answers/{answer_id}/flags/{kind}"
        return self._parse(MarksPublic, self.send("PUT" if is_set else "DELETE", path, rater=rater))

    def events(self, rater: str, suggestion_id: UUID) -> Iterator[StreamEvent]:
        """Yield what happens to a suggestion, beginning with what exists; ends after `StreamDone`.

        Raises:
            Unavailable: the stream broke off; a new one begins with what exists by then.
        """
        url = f"/api/suggestions/{suggestion_id}/events"
        timeout = httpx.Timeout(STREAM_SILENCE_S, connect=3.0)
        try:
            with connect_sse(self._http, "GET", url, headers=_acting(rater), timeout=timeout) as stream:
                if stream.response.is_error:
                    stream.response.read()
                    raise _error_of(stream.response)
                for message in stream.iter_sse():
                    event = _event_of(message)
                    if event is not None:
                        yield event
                    if isinstance(event, StreamDone):
                        return
        except (httpx.HTTPError, ValidationError) as error:
            raise self._away() from error
        raise self._away()

    def fetch(self, path: str, params: Mapping[str, str], *, etag: str | None = None) -> Fetched:
        """Return the JSON document at `path`; with `etag`, only if it has changed since."""
        headers = {"If-None-Match": etag} if etag else {}
        response = self.send("GET", path, params=params, headers=headers)
        if response.status_code == httpx.codes.NOT_MODIFIED:
            return Fetched(None, etag)
        return Fetched(response.json(), response.headers.get("ETag"))

    def send(
        self,
        method: str,
        path: str,
        *,
        rater: str | None = None,
        params: Mapping[str, str] | None = None,
        json: Any | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send one request and return its response, which is no error."""
        who = rater or self._present()
        own = {**(headers or {}), **(_acting(who) if who else {})}
        try:
            response = self._http.request(method, path, params=params, json=json, headers=own)
        except httpx.HTTPError as error:
            raise self._away() from error
        if response.is_error:
            raise _error_of(response)
        return response

    def _get(
        self, model: type[M], path: str, *, rater: str | None = None, params: Mapping[str, str] | None = None
    ) -> M:
        return self._parse(model, self.send("GET", path, rater=rater, params=params))

    def _parse(self, model: type[M], response: httpx.Response) -> M:
        try:
            return model.model_validate_json(response.content)
        except ValidationError as error:
            raise _garbled(response) from error

    def _away(self) -> Unavailable:
        return Unavailable(
            f"The backend at {self._http.base_url} does not answer. "
            "Nothing that you entered is lost; try again in a moment."
        )


def _acting(rater: str) -> dict[str, str]:
    headers = {"X-Rater": quote(rater, safe="")}
    if isinstance(rater, Person):
        headers |= {"X-Rater-Id": quote(rater.id, safe=":/|@.-_"), "X-Role": rater.role}
    return headers


def _event_of(message: ServerSentEvent) -> StreamEvent | None:
    """Return a server-sent event in our words; None for one that this console does not know."""
    match message.event:
        case "answer.delta":
            return AnswerDelta.model_validate_json(message.data)
        case "answer.done" | "answer.failed":
            return AnswerChanged.model_validate_json(message.data)
        case "done":
            return StreamDone()
    return None


def _kinds() -> dict[str, type[ReplybenchError]]:
    return {
        kind.code: kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ReplybenchError)
    }


def _error_of(response: httpx.Response) -> ReplybenchError:
    """Turn an error response into the exception that it was, with its sentence and request id."""
    try:
        public = ErrorPublic.model_validate_json(response.content)
    except ValidationError:
        return _garbled(response)
    kinds = _kinds()
    by_status = {kind.status_code: kind for kind in kinds.values() if kind is not errors.ConfigError}
    kind = kinds.get(public.code) or by_status.get(response.status_code, ReplybenchError)
    error = kind(public.message)
    error.request_id = public.request_id
    return error


def _garbled(response: httpx.Response) -> ReplybenchError:
    """Say that whatever answered is not our backend (a proxy's page, another service on the port)."""
    return Unavailable(
        f"What answers at {response.url.copy_with(path='/', query=None)} (HTTP {response.status_code}) is not this "
        "console's backend, or another version of it. Check BACKEND_URL."
    )
