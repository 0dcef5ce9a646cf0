"""Store a rater's scores, once, and what an agent did with an answer."""

from uuid import UUID

from sqlmodel import Session

from backend import metrics
from backend.services import views
from backend.services.edits import share_rewritten
from backend.services.suggestions import check_open
from backend.services.tickets import Redactor
from db import queries, queries_ratings
from db.models import Answer, Rating, Usage, now
from replybench.contract import AnswerStatus, RatingPublic, RatingWrite, UsagePublic, UsageWrite
from replybench.errors import Conflict, NotFound
from replybench.rubric import rubric


def rate(session: Session, redactor: Redactor, answer_id: UUID, rater_id: UUID, body: RatingWrite) -> RatingPublic:
    """Store or change a rating. The same content twice is one rating; a change keeps the old in the history.

    Raises:
        NotFound: no such answer.
        InvalidInput: a metric is missing or out of the scale; it is named.
        Conflict: the answer cannot be rated, or the study takes no ratings.
    """
    rubric().check(body.scores)
    found = queries.answer_rows(session, answer_id)
    if found is None:
        raise NotFound("There is no such answer.")
    answer, _, study = found
    check_open(study)
    _check_ratable(answer)
    corrected = redactor.text(body.corrected_text) if body.corrected_text else None
    fresh = Rating(
        answer_id=answer_id,
        rater_id=rater_id,
        scores=body.scores,
        comment=redactor.text(body.comment),
        corrected_text=corrected,
        corrected_share=share_rewritten(answer.text, corrected) if corrected else None,
        slot=_slot(session, answer, rater_id),
        seconds=body.seconds,
    )
    stored, is_new = queries_ratings.put_rating(session, fresh)
    is_changed = not is_new and _content(stored) != _content(fresh)
    metrics.RATINGS.labels("new" if is_new else "changed" if is_changed else "repeated").inc()
    if is_changed:
        queries_ratings.keep_revision(session, stored)
        stored.scores, stored.comment, stored.corrected_text = fresh.scores, fresh.comment, fresh.corrected_text
        stored.corrected_share = fresh.corrected_share
        stored.updated_at = now()
        session.add(stored)
        session.flush()
    return views.rating_public(stored)


def _check_ratable(answer: Answer) -> None:
    status = AnswerStatus(answer.status)
    if not status.is_final:
        raise Conflict("This answer is not complete yet. Wait for it, then rate it.")
    if status is not AnswerStatus.DONE or not answer.text.strip():
        raise Conflict("This answer failed, so there is nothing to rate. Ask it again, or rate the others.")


def _slot(session: Session, answer: Answer, rater_id: UUID) -> str:
    rows = views.load(session, answer.suggestion_id)
    return views.slots_for(session, rows, rater_id)[answer.candidate_id]


def _content(rating: Rating) -> tuple[dict[str, int], str, str | None]:
    return rating.scores, rating.comment, rating.corrected_text


def note_usage(session: Session, usage_id: UUID, rater_id: UUID, body: UsageWrite) -> UsagePublic:
    """Store what an agent did with an answer, once per id.

    Raises:
        NotFound: no such answer.
        Conflict: the id was used for something else.
    """
    if queries.answer_rows(session, body.answer_id) is None:
        raise NotFound("There is no such answer.")
    usage = Usage(id=usage_id, rater_id=rater_id, **body.model_dump())
    stored = UsagePublic.model_validate(queries_ratings.put_usage(session, usage), from_attributes=True)
    if UsageWrite.model_validate(stored.model_dump(exclude={"id", "created_at"})) != body:
        raise Conflict("This id already stands for another use. Make a new one.")
    return stored
