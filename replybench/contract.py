"""The HTTP contract: what the backend sends and takes, and its clients read and write.

The console imports this module and never `db` or `backend`, so the API is the only door.
Times are UTC. Ids are UUIDs. A text is plain text: whoever shows it escapes it.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictInt

SLOTS = "ABCDEFGH"
MAX_TICKET_CHARS = 50_000
#: PostgreSQL cannot store NUL; nobody means it.
Text = Annotated[str, Field(max_length=MAX_TICKET_CHARS, pattern=r"^[^\x00]*$")]


class Source(StrEnum):
    """Through which door a ticket came."""

    CONSOLE = "console"
    ZOHO_CRM = "zoho_crm"
    ZOHO_DESK = "zoho_desk"
    API = "api"
    CLI = "cli"
    IMPORT = "import"


class AnswerStatus(StrEnum):
    """An answer's state; the last three are final."""

    WAITING = "waiting"
    WRITING = "writing"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will come."""
        return self in {AnswerStatus.DONE, AnswerStatus.FAILED, AnswerStatus.CANCELLED}


class Body(BaseModel):
    """What a client sends: unknown keys are refused, so that a typing error is told."""

    model_config = ConfigDict(extra="forbid")


class ErrorPublic(BaseModel):
    """The form of every error: a stable code, a sentence to show, and an id to quote."""

    code: str
    message: str
    request_id: str | None = None


class MetricPublic(BaseModel):
    """A metric of the rubric in the asked language; `scale[0]` describes score 1."""

    key: str
    weight: float
    name: str
    description: str
    scale: list[str]


class RubricPublic(BaseModel):
    """GET /api/rubric."""

    version: int
    lowest: int
    highest: int
    positive_from: int
    language: Literal["en", "uk"]
    metrics: list[MetricPublic]


class CandidatePublic(BaseModel):
    """What exactly wrote an answer (a snapshot: it never changes once an answer refers to it)."""

    id: UUID
    key: str
    name: str
    engine: str
    base: str | None
    revision: str | None
    adapter: str | None
    adapter_sha256: str | None
    note: str


class ExampleList(BaseModel):
    """GET /api/example-tickets."""

    tickets: list["ExampleTicket"]


class LineupPublic(BaseModel):
    """GET /api/lineup: who can answer now. Which one wrote which answer is not told here."""

    name: str
    title: str
    description: str
    candidates: list[CandidatePublic]


class ExampleTicket(BaseModel):
    """GET /api/example-tickets: tickets to try."""

    subject: str
    text: str


class TurnPublic(BaseModel):
    """One earlier message of the conversation."""

    role: Literal["customer", "agent"]
    text: Text


class SuggestionCreate(Body):
    """POST /api/suggestions: ask every candidate of the lineup (or those named) to answer a ticket.

    `text` is the customer's newest message; `earlier` the turns before it, oldest first.
    `contacts` are the customer's own addresses and numbers: kept as keyed hashes alone, so that the customer can be
    forgotten. `external_id` is the helpdesk's own id. `study` names the collection period (default: the open one).
    """

    subject: Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")] = ""
    text: Annotated[Text, Field(min_length=1)]
    earlier: list[TurnPublic] = Field(default=[], max_length=100)
    source: Source = Source.API
    external_id: Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")] | None = None
    contacts: list[Annotated[str, Field(min_length=3, max_length=254, pattern=r"^[^\x00]*$")]] = Field(
        default=[], max_length=10
    )
    candidates: list[str] | None = Field(default=None, max_length=8)
    study: str | None = None


class TicketPublic(BaseModel):
    """A ticket as it is stored: personal data already replaced by placeholders."""

    id: UUID
    subject: str
    text: str
    earlier: list[TurnPublic]
    language: str | None
    source: Source
    external_id: str | None
    created_at: datetime


class SourcePublic(BaseModel):
    """A help-centre article that a grounded answer rests on."""

    title: str
    url: str | None
    score: float


class RatingWrite(Body):
    """PUT /api/answers/{id}/rating: one rater's scores of one answer.

    `scores` has every metric of the rubric. `corrected_text` is the rater's ideal answer, if written.
    `seconds` is the time from the answer's being complete on the screen to the submit, if measured.
    """

    scores: dict[str, StrictInt]
    comment: Annotated[str, Field(max_length=5_000, pattern=r"^[^\x00]*$")] = ""
    corrected_text: Text | None = None
    seconds: float | None = Field(default=None, ge=0, le=86_400)


class UsageWrite(Body):
    """PUT /api/usage/{id}: what an agent did with an answer in the helpdesk. The client makes the id, so that a
    repeated call (after an outage) is stored once. `edit_share`: 0 (sent as it was) to 1 (all rewritten)."""

    answer_id: UUID
    source: Source
    action: Literal["copied", "inserted", "sent", "edited"]
    edit_share: float | None = Field(default=None, ge=0, le=1)


class UsagePublic(UsageWrite):
    """The use as it is stored."""

    id: UUID
    created_at: datetime


class RatingPublic(BaseModel):
    """The caller's own rating of an answer. `corrected_share`: 0 (the answer as it was) to 1 (all rewritten)."""

    id: UUID
    scores: dict[str, int]
    comment: str
    corrected_text: str | None
    corrected_share: float | None = None
    created_at: datetime
    updated_at: datetime


class AnswerPublic(BaseModel):
    """One column. `candidate` is null until the caller has rated all answers of the suggestion.

    `cut` says what was shortened: ``prompt`` (the ticket was longer than the model reads), ``output``
    (the model was stopped at its limit). `error` is set when `status` is failed.
    """

    id: UUID
    slot: str
    status: AnswerStatus
    text: str
    error: ErrorPublic | None
    cut: list[Literal["prompt", "output"]]
    sources: list[SourcePublic]
    completion_tokens: int | None
    candidate: CandidatePublic | None
    rating: RatingPublic | None


class SuggestionPublic(BaseModel):
    """A set of answers to one ticket, in the order in which this caller sees them (A, B, C …)."""

    id: UUID
    ticket: TicketPublic
    study: str
    created_at: datetime
    answers: list[AnswerPublic]
    is_complete: bool
    is_revealed: bool


class SkipReason(StrEnum):
    """Why a rater gives a ticket back without rating it."""

    UNCLEAR = "unclear"
    EXPERTISE = "expertise"
    LANGUAGE = "language"
    NO_REQUEST = "no_request"


class FlagKind(StrEnum):
    """What is wrong with an answer beyond its scores."""

    HARMFUL = "harmful"
    PERSONAL_DATA = "personal_data"


class SkipWrite(Body):
    """PUT /api/suggestions/{id}/skip."""

    reason: SkipReason


class MarksPublic(BaseModel):
    """GET /api/suggestions/{id}/marks: what the caller has marked. `flags`: answer id → kinds."""

    skip: SkipReason | None
    flags: dict[UUID, list[FlagKind]]


class SkipList(BaseModel):
    """GET /api/skips: the suggestions that the caller has skipped."""

    suggestion_ids: list[UUID]


class FlagPublic(BaseModel):
    """An answer that raters have flagged, with how many of them did; for those who run the study."""

    suggestion_id: UUID
    answer_id: UUID
    study: str
    subject: str
    answer: str
    candidate: str
    kind: FlagKind
    raters: int
    last_at: datetime


class FlagList(BaseModel):
    """GET /api/flags: newest first."""

    flags: list[FlagPublic]


class SuggestionBrief(BaseModel):
    """One row of GET /api/suggestions: the caller's own, newest first."""

    id: UUID
    subject: str
    opening: str
    created_at: datetime
    answers: int
    done: int
    rated: int


class SuggestionList(BaseModel):
    """GET /api/suggestions."""

    suggestions: list[SuggestionBrief]


class AnswerDelta(BaseModel):
    """Server-sent event `answer.delta`: append `text` to the answer.

    `offset` is where it starts (characters), so that a client that joined late can tell what it has.
    """

    answer_id: UUID
    offset: int
    text: str


class AnswerChanged(BaseModel):
    """Server-sent events `answer.done` and `answer.failed`: the answer as it now is."""

    answer: AnswerPublic


class StudyPublic(BaseModel):
    """A named collection period. A read-only one was imported (such as the study of 2024).

    `is_current`: it takes the tickets that name no study. `candidates` are keys of the lineup, null for all of it.
    """

    name: str
    title: str
    description: str
    instructions: str = ""
    lineup: str | None = None
    candidates: list[str] | None = None
    weights: dict[str, float] = {}
    overlap: int = 1
    state: Literal["draft", "open", "closed"] = "open"
    is_open: bool
    is_current: bool = False
    is_read_only: bool
    created_at: datetime


class StudyList(BaseModel):
    """GET /api/studies."""

    studies: list[StudyPublic]


#: How the check of what is not ready yet begins; after a colon it may say what it is doing.
LOADING = "loading"


class Health(BaseModel):
    """GET /healthz (the process lives), GET /readyz (it can answer).

    `checks`: name → "ok", "loading" (or "loading: what it is doing"), or what is wrong.
    """

    status: Literal["ok", "starting", "failing"]
    checks: dict[str, str] = {}
