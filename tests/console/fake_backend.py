"""A backend in memory that speaks the contract, as an httpx transport: for tests of the console alone."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote
from uuid import UUID, uuid4

import httpx

from replybench.contract import (
    SLOTS,
    AnswerChanged,
    AnswerDelta,
    AnswerPublic,
    AnswerStatus,
    CandidatePublic,
    ErrorPublic,
    ExampleList,
    ExampleTicket,
    FlagKind,
    MarksPublic,
    RatingPublic,
    RatingWrite,
    SkipList,
    SkipWrite,
    StudyList,
    StudyPublic,
    SuggestionBrief,
    SuggestionCreate,
    SuggestionList,
    SuggestionPublic,
    TicketPublic,
)
from replybench.queue_contract import AskingList, AskingPublic, QueueNext, QueuePublic
from replybench.rubric import rubric

TEXTS = (
    "Hello, thank you for writing.\n\n1. Open the sign-in page.\n2. Choose “Forgot password”.\n\nWrite again any time.",
    "You can reset it **here**: ![x](http://evil.invalid/x.png) <img src=x onerror=alert(1)> [link](http://evil.invalid)",
    "Dear customer, we are sorry to hear that. Please tell us the address of your account.",
)


class FakeBackend(httpx.BaseTransport):
    """Answers as the real one would. `away` makes every request fail; `refuse` answers one path with an error."""

    def __init__(self, texts: tuple[str, ...] = TEXTS, pause: Callable[[], None] = lambda: None) -> None:
        self.texts = texts
        self.pause = pause
        self.away = False
        self.break_stream_after: int | None = None
        self.refuse: dict[str, tuple[int, ErrorPublic]] = {}
        self.suggestions: dict[UUID, SuggestionPublic] = {}
        self.marks: dict[UUID, MarksPublic] = {}
        self.owners: dict[UUID, str] = {}
        self.revisions = 0
        self.studies: list[StudyPublic] = []
        self.queue: list[UUID] = []
        self.coming = 0
        self.askings: list[AskingPublic] = []
        self.requests: list[tuple[str, str]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.requests.append((request.method, path))
        if self.away:
            raise httpx.ConnectError("connection refused", request=request)
        for pattern, (status, body) in self.refuse.items():
            if re.fullmatch(pattern, path):
                return httpx.Response(status, json=body.model_dump())
        return self._route(request, path, unquote(request.headers.get("X-Rater", "")))

    def _route(self, request: httpx.Request, path: str, rater: str) -> httpx.Response:
        parts = path.strip("/").split("/")
        match (request.method, *parts):
            case ("GET", "api", "rubric"):
                return self._rubric("uk" if request.url.params["language"] == "uk" else "en")
            case ("GET", "api", "example-tickets"):
                example = ExampleTicket(subject="Locked out", text="I forgot my password, how do I get back in?")
                return _model(200, ExampleList(tickets=[example]))
            case ("GET", "api", "suggestions"):
                return self._list(rater)
            case ("POST", "api", "suggestions"):
                return _model(202, self.add(rater, SuggestionCreate.model_validate_json(request.content)))
            case ("GET", "api", "suggestions", found):
                return self._one(UUID(found))
            case ("GET", "api", "suggestions", found, "events"):
                return self._events(UUID(found))
            case ("GET", "api", "studies"):
                return _model(200, StudyList(studies=self.studies))
            case ("GET", "api", "queue"):
                return _model(200, QueuePublic(left=len(self.queue), coming=0))
            case ("POST", "api", "queue", "next"):
                given = self.queue[0] if self.queue else None
                return _model(200, QueueNext(suggestion_id=given, left=len(self.queue), coming=self.coming))
            case ("POST", "api", "suggestions", found, "again"):
                old = self.suggestions[UUID(found)].ticket
                return _model(202, self.add(rater, SuggestionCreate(subject=old.subject, text=old.text)))
            case ("GET", "api", "suggestions", found, "askings"):
                return _model(200, AskingList(askings=self.askings))
            case ("GET", "api", "skips"):
                return _model(200, SkipList(suggestion_ids=[one for one, marks in self.marks.items() if marks.skip]))
            case ("GET", "api", "suggestions", found, "marks"):
                return _model(200, self._marks(UUID(found)))
            case ("PUT" | "DELETE" as method, "api", "suggestions", found, "skip"):
                reason = SkipWrite.model_validate_json(request.content).reason if method == "PUT" else None
                return self._mark(UUID(found), skip=reason)
            case ("PUT" | "DELETE" as method, "api", "answers", found, "flags", kind):
                suggestion_id, answer = self._find(UUID(found))
                flags = {answer.id: [FlagKind(kind)]} if method == "PUT" else {}
                return self._mark(suggestion_id, flags=flags)
            case ("POST", "api", "answers", found, "retry"):
                return self._retry(UUID(found))
            case ("PUT", "api", "answers", found, "rating"):
                return self._rate(UUID(found), RatingWrite.model_validate_json(request.content))
        return _error(404, "not_found", "There is nothing here.")

    def _marks(self, suggestion_id: UUID) -> MarksPublic:
        return self.marks.get(suggestion_id, MarksPublic(skip=None, flags={}))

    def _mark(self, suggestion_id: UUID, **changes: object) -> httpx.Response:
        self.marks[suggestion_id] = self._marks(suggestion_id).model_copy(update=changes)
        return _model(200, self.marks[suggestion_id])

    def add(self, rater: str, request: SuggestionCreate) -> SuggestionPublic:
        """Store a ticket whose answers wait."""
        now = datetime.now(UTC)
        ticket = TicketPublic(
            id=uuid4(), subject=request.subject, text=request.text, earlier=request.earlier, language="en",
            source=request.source, external_id=None, created_at=now,
        )  # fmt: skip
        answers = [_waiting(SLOTS[index]) for index in range(len(self.texts))]
        suggestion = SuggestionPublic(
            id=uuid4(),
            ticket=ticket,
            study="test",
            created_at=now,
            answers=answers,
            is_complete=False,
            is_revealed=False,
        )
        self.suggestions[suggestion.id] = suggestion
        self.owners[suggestion.id] = rater
        return suggestion

    def finish(self, suggestion_id: UUID) -> None:
        """Have every answer written at once; an empty text is a failure."""
        for index in range(len(self.texts)):
            self._finish_one(suggestion_id, index)
        self._put(suggestion_id, is_complete=True)

    def _finish_one(self, suggestion_id: UUID, index: int) -> AnswerPublic:
        answer = self.suggestions[suggestion_id].answers[index]
        if self.texts[index]:
            change: dict[str, Any] = {"status": AnswerStatus.DONE, "text": self.texts[index]}
        else:
            wrong = ErrorPublic(code="timeout", message="The model took too long. Ask again.")
            change = {"status": AnswerStatus.FAILED, "error": wrong}
        done = answer.model_copy(update=change)
        self._replace(suggestion_id, done)
        return done

    def _put(self, suggestion_id: UUID, **changes: object) -> None:
        self.suggestions[suggestion_id] = self.suggestions[suggestion_id].model_copy(update=changes)

    def _replace(self, suggestion_id: UUID, answer: AnswerPublic) -> None:
        answers = [answer if old.slot == answer.slot else old for old in self.suggestions[suggestion_id].answers]
        self._put(suggestion_id, answers=answers)

    def _find(self, answer_id: UUID) -> tuple[UUID, AnswerPublic]:
        return next(
            (suggestion.id, answer)
            for suggestion in self.suggestions.values()
            for answer in suggestion.answers
            if answer.id == answer_id
        )

    def _rubric(self, language: str) -> httpx.Response:
        current = rubric()
        metrics = [
            {"key": metric.key, "weight": metric.weight, **metric.text(language).model_dump()}  # type: ignore[arg-type]
            for metric in current.metrics
        ]
        body = {**current.model_dump(include={"version", "lowest", "highest", "positive_from"}), "language": language}
        return httpx.Response(200, json={**body, "metrics": metrics})

    def _list(self, rater: str) -> httpx.Response:
        rows = [
            SuggestionBrief(
                id=one.id, subject=one.ticket.subject, opening=one.ticket.text[:120], created_at=one.created_at,
                answers=len(one.answers), done=sum(answer.status is AnswerStatus.DONE for answer in one.answers),
                rated=sum(answer.rating is not None for answer in one.answers),
            )
            for one in self.suggestions.values()
            if self.owners[one.id] == rater
        ]  # fmt: skip
        return _model(200, SuggestionList(suggestions=rows[::-1]))

    def _one(self, suggestion_id: UUID) -> httpx.Response:
        if suggestion_id not in self.suggestions:
            return _error(404, "not_found", "There is no such suggestion.")
        return _model(200, self.suggestions[suggestion_id])

    def _events(self, suggestion_id: UUID) -> httpx.Response:
        stream = (piece.encode() for piece in self._pieces(suggestion_id))
        return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=stream)

    def _pieces(self, suggestion_id: UUID) -> Iterator[str]:
        for count, (name, data) in enumerate(self._happenings(suggestion_id)):
            if self.break_stream_after is not None and count >= self.break_stream_after:
                self.break_stream_after = None
                raise httpx.ReadError("connection reset")
            yield f"event: {name}\ndata: {data}\n\n"

    def _happenings(self, suggestion_id: UUID) -> Iterator[tuple[str, str]]:
        words = [re.findall(r"\s*\S+", text) for text in self.texts]
        for step in range(max(map(len, words))):
            self.pause()
            for index, parts in enumerate(words):
                answer = self.suggestions[suggestion_id].answers[index]
                if step < len(parts) and not answer.status.is_final:
                    offset = len("".join(parts[:step]))
                    delta = AnswerDelta(answer_id=answer.id, offset=offset, text=parts[step])
                    self._replace(suggestion_id, answer.model_copy(
                        update={"status": AnswerStatus.WRITING, "text": "".join(parts[: step + 1])}
                    ))  # fmt: skip
                    yield "answer.delta", delta.model_dump_json()
        for index in range(len(self.texts)):
            done = self._finish_one(suggestion_id, index)
            kind = "answer.done" if done.status is AnswerStatus.DONE else "answer.failed"
            yield kind, AnswerChanged(answer=done).model_dump_json()
        self._put(suggestion_id, is_complete=True)
        yield "done", "{}"

    def _retry(self, answer_id: UUID) -> httpx.Response:
        suggestion_id, answer = self._find(answer_id)
        self.texts = tuple(text or "A second attempt that worked." for text in self.texts)
        self._replace(suggestion_id, _waiting(answer.slot))
        self._put(suggestion_id, is_complete=False)
        return self._one(suggestion_id)

    def _rate(self, answer_id: UUID, write: RatingWrite) -> httpx.Response:
        suggestion_id, answer = self._find(answer_id)
        now = datetime.now(UTC)
        content = write.model_dump(include={"scores", "comment", "corrected_text"})
        if answer.rating is not None and answer.rating.model_dump(include=set(content)) != content:
            self.revisions += 1
        rating_id = answer.rating.id if answer.rating else uuid4()
        rating = RatingPublic(id=rating_id, created_at=now, updated_at=now, **content)
        self._replace(suggestion_id, answer.model_copy(update={"rating": rating}))
        answers = self.suggestions[suggestion_id].answers
        if all(one.rating for one in answers if one.status is AnswerStatus.DONE):
            named = [one.model_copy(update={"candidate": _candidate(one.slot)}) for one in answers]
            self._put(suggestion_id, answers=named, is_revealed=True)
        return _model(200, rating)


def _waiting(slot: str) -> AnswerPublic:
    return AnswerPublic(
        id=uuid4(), slot=slot, status=AnswerStatus.WAITING, text="", error=None, cut=[], sources=[],
        completion_tokens=None, candidate=None, rating=None,
    )  # fmt: skip


def _candidate(slot: str) -> CandidatePublic:
    return CandidatePublic(
        id=uuid4(), key=f"model-{slot.lower()}", name=f"Model {slot}", engine="scripted", base=None, revision=None,
        adapter=None, adapter_sha256=None, note="",
    )  # fmt: skip


def _model(status: int, model: object) -> httpx.Response:
    return httpx.Response(status, json=json.loads(model.model_dump_json()))  # type: ignore[attr-defined]


def _error(status: int, code: str, message: str) -> httpx.Response:
    return httpx.Response(status, json=ErrorPublic(code=code, message=message, request_id="req-1").model_dump())
