"""The HTTP contract of studies that a lead runs, of their queues of tickets, and of asking a ticket again.

As `replybench.contract`: times are UTC, texts are plain, whoever shows them escapes them.
"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from replybench.contract import MAX_TICKET_CHARS, Body, TurnPublic

#: Tickets in one request: so many are stored together or not at all.
MAX_TICKETS_AT_ONCE = 50
MAX_OVERLAP = 20
MAX_INSTRUCTIONS = 10_000
#: How long a ticket that was handed out counts as taken, whatever becomes of it.
HELD_MINUTES = 30

_NO_NUL = r"^[^\x00]*$"
StudyName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=60)]
Title = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")]
Instructions = Annotated[str, Field(max_length=MAX_INSTRUCTIONS, pattern=_NO_NUL)]
Overlap = Annotated[int, Field(ge=1, le=MAX_OVERLAP)]
Key = Annotated[str, Field(min_length=1, max_length=100, pattern=_NO_NUL)]


class StudyCreate(Body):
    """POST /api/studies: make a study; it is a draft until it is opened.

    What a study measures is fixed when it is made: its lineup (the one in use if not given), which of its candidates
    (all if not given), and its weights (the rubric's if not given; one for each metric, together 1). `overlap` is
    how many raters each queued ticket is to have.
    """

    name: StudyName
    title: Title
    instructions: Instructions = ""
    lineup: Annotated[str, Field(max_length=100, pattern=_NO_NUL)] | None = None
    candidates: list[Key] | None = Field(default=None, min_length=1, max_length=8)
    weights: dict[Key, Annotated[float, Field(ge=0, le=1)]] | None = Field(default=None, max_length=20)
    overlap: Overlap = 1


class StudyChange(Body):
    """PATCH /api/studies/{name}: what is given is changed.

    Opening makes the study the one for tickets that name none; opening an open one does just that.
    `switch_lineup` (an admin's): change to the study's lineup first, if another one is in use.
    """

    title: Title | None = None
    instructions: Instructions | None = None
    overlap: Overlap | None = None
    is_open: bool | None = None
    switch_lineup: bool = False


class QueueTicket(Body):
    """A ticket for the queue: like `SuggestionCreate`, with what is known of it. Unknown languages are found out."""

    subject: Annotated[str, Field(max_length=500, pattern=_NO_NUL)] = ""
    text: Annotated[str, Field(min_length=1, max_length=MAX_TICKET_CHARS, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")]
    earlier: list[TurnPublic] = Field(default=[], max_length=100)
    id: Annotated[str, Field(max_length=200, pattern=_NO_NUL)] | None = None
    category: Annotated[str, Field(max_length=200, pattern=_NO_NUL)] | None = None
    language: Annotated[str, Field(pattern=r"^[a-z]{2}$")] | None = None


class QueueImport(Body):
    """POST /api/studies/{name}/tickets: put tickets into a study's queue. All are stored, or none."""

    tickets: list[QueueTicket] = Field(min_length=1, max_length=MAX_TICKETS_AT_ONCE)


class QueueImported(BaseModel):
    """How many tickets were new, and how many the queue had already (by id or by text)."""

    added: int
    known: int


class QueueNextWrite(Body):
    """POST /api/queue/next. `study`: of this study alone; else of all open ones, the one opened last first."""

    study: Annotated[str, Field(max_length=200, pattern=_NO_NUL)] | None = None


class QueuePublic(BaseModel):
    """GET /api/queue: how many tickets wait for the caller's ratings, and how many are still being answered."""

    left: int
    coming: int


class QueueNext(QueuePublic):
    """The ticket that is now the caller's, as a suggestion; null if there is none. `left` counts it."""

    suggestion_id: UUID | None


class RaterProgress(BaseModel):
    """What one rater has done in a study. `seconds` is the median for a whole ticket, `holding` what is in hand."""

    name: str
    rated: int
    skipped: int
    holding: int
    seconds: float | None


class QueueProgress(BaseModel):
    """How far a study's queue is. Every ticket is in exactly one place.

    `waiting` for answers, being `written`, `failed` (no more tries), `answered` by all candidates and rated by
    nobody, `begun` (rated by fewer raters than wanted), `complete`.
    """

    tickets: int
    waiting: int
    written: int
    failed: int
    answered: int
    begun: int
    complete: int


class StudyProgress(BaseModel):
    """GET /api/studies/{name}/progress. `halted` says why no answers are being made in advance, if none are.

    Raters are all who have rated, skipped or hold a ticket of the study, queued or not.
    """

    study: str
    overlap: int
    queue: QueueProgress
    halted: Literal["lineup", "closed"] | None
    raters: list[RaterProgress]
    at: datetime


class QueueRetried(BaseModel):
    """POST /api/studies/{name}/retry: how many tickets are tried again."""

    tickets: int


class AskingPublic(BaseModel):
    """One asking of a ticket. `rated` counts the caller's own ratings of its answers."""

    suggestion_id: UUID
    study: str
    lineup: str
    created_at: datetime
    answers: int
    done: int
    rated: int


class AskingList(BaseModel):
    """GET /api/suggestions/{id}/askings: all askings of the suggestion's ticket, newest first, itself included."""

    askings: list[AskingPublic]
