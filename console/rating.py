"""What the Rate page does: ask, store ratings, and lay a suggestion out for the form. No Streamlit here."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from console.backend_client import BackendClient
from console.i18n import _, current_language, ngettext
from console.wording import answer_failure, explain, rating_strings
from replybench.contract import (
    AnswerPublic,
    FlagKind,
    MarksPublic,
    RatingWrite,
    RubricPublic,
    Source,
    StudyPublic,
    SuggestionBrief,
    SuggestionCreate,
    SuggestionPublic,
)
from replybench.errors import ReplybenchError
from replybench.queue_contract import AskingPublic


class RatedAnswer(RatingWrite):
    """One answer's part of a submission."""

    answer_id: UUID


class Submission(BaseModel):
    """What the form sends: all ratings of a suggestion. `nonce` names this sending, so that its outcome is told."""

    model_config = ConfigDict(extra="forbid")

    nonce: str
    ratings: list[RatedAnswer]


class FlagChange(BaseModel):
    """What the form sends when a flag is set or taken back."""

    model_config = ConfigDict(extra="forbid")

    answer_id: UUID
    kind: FlagKind
    is_set: bool


class Question(BaseModel):
    """What the ticket form sends."""

    model_config = ConfigDict(extra="forbid")

    nonce: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a sending: shown by the form that sent it."""

    nonce: str
    ok: bool
    message: str = ""


def store_ratings(client: BackendClient, rater: str, submission: Submission) -> Outcome:
    """Store all ratings of a submission. Sent again after a failure, it stores each one once."""
    try:
        for rating in submission.ratings:
            client.rate(rater, rating.answer_id, RatingWrite(**rating.model_dump(exclude={"answer_id"})))
    except ReplybenchError as error:
        return Outcome(submission.nonce, ok=False, message=explain(error))
    return Outcome(submission.nonce, ok=True)


def ask(client: BackendClient, rater: str, question: Question) -> tuple[Outcome, UUID | None]:
    """Have the lineup answer a ticket; return what became of it and the suggestion's id."""
    try:
        suggestion = client.ask(
            rater, SuggestionCreate(subject=question.subject.strip(), text=question.text.strip(), source=Source.CONSOLE)
        )
    except ReplybenchError as error:
        return Outcome(question.nonce, ok=False, message=explain(error)), None
    return Outcome(question.nonce, ok=True), suggestion.id


def next_ticket(client: BackendClient, rater: str) -> tuple[UUID | None, str]:
    """Take the next ticket of the queue; where there is none, say why."""
    try:
        given = client.next_ticket(rater)
    except ReplybenchError as error:
        return None, explain(error)
    if given.suggestion_id is not None:
        return given.suggestion_id, ""
    if given.coming:
        return None, ngettext(
            "Nothing is ready for you just now; {count} ticket is still being answered.",
            "Nothing is ready for you just now; {count} tickets are still being answered.",
            given.coming,
        )
    return None, _("Nothing is left for you in the queue.")


def board(
    suggestion: SuggestionPublic,
    rubric: RubricPublic,
    rater: str,
    *,
    study: StudyPublic | None = None,
    marks: MarksPublic | None = None,
    askings: Sequence[dict[str, Any]] = (),
    left: int | None = None,
    outcome: Outcome | None = None,
    trouble: ReplybenchError | None = None,
) -> dict[str, Any]:
    """Return everything that the rating form shows, as JSON.

    Args:
        study: whose weights and instructions hold; the rubric's weights if not given.
        askings: other askings of the same ticket (`asking`).
        left: how many tickets wait for the rater, where that is known.
    """
    flags = marks.flags if marks else {}
    weights = study.weights if study else {}
    return {
        "draft_key": f"replybench:draft:{rater}:{suggestion.id}",
        "ticket": suggestion.ticket.model_dump(mode="json", include={"subject", "text", "earlier"}),
        "answers": [
            {**_answer(answer), "flags": [kind.value for kind in flags.get(answer.id, [])]}
            for answer in suggestion.answers
        ],
        "skip": marks.skip.value if marks and marks.skip else None,
        "metrics": [
            {**metric.model_dump(), "weight": weights.get(metric.key, metric.weight)} for metric in rubric.metrics
        ],
        "instructions": study.instructions if study else "",
        "askings": list(askings),
        "left": queue_words(left) if left is not None else "",
        "lowest": rubric.lowest,
        "highest": rubric.highest,
        "number_locale": current_language(),
        "strings": rating_strings(),
        "outcome": asdict(outcome) if outcome else None,
        "notice": explain(trouble) if trouble else "",
    }


def _answer(answer: AnswerPublic) -> dict[str, Any]:
    return {
        "id": str(answer.id),
        "slot": answer.slot,
        "status": answer.status.value,
        "text": answer.text,
        "error": answer_failure(answer.error.code, answer.error.message) if answer.error else None,
        "cut": list(answer.cut),
        "sources": [source.title for source in answer.sources],
        "candidate": answer.candidate.name if answer.candidate else None,
        "candidate_note": answer.candidate.note if answer.candidate else "",
        "rating": (
            answer.rating.model_dump(mode="json", include={"scores", "comment", "corrected_text"})
            if answer.rating
            else None
        ),
    }


def queue_words(left: int) -> str:
    """Return how many tickets wait for the rater."""
    return ngettext("{count} ticket is left for you", "{count} tickets are left for you", left)


def asking(row: AskingPublic, when: str) -> dict[str, Any]:
    """Return one of the ticket's other askings for the list in the ticket's panel."""
    label = _("{when}, lineup {lineup}").format(when=when, lineup=row.lineup)
    return {"id": str(row.suggestion_id), "label": f"{label} · {_('rated')}" if row.rated else label}


def brief(row: SuggestionBrief, state: str, when: str) -> dict[str, Any]:
    """Return one of the earlier tickets for the list beside the ticket form."""
    opening = row.subject or row.opening
    return {
        "id": str(row.id),
        "title": opening if len(opening) <= 90 else f"{opening[:89]}…",
        "state": state,
        "is_rated": row.rated > 0 and row.rated >= row.done,
        "when": when,
    }
