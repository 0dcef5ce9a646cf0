"""Score an answer; tell what was done with it."""

from uuid import UUID

from fastapi import APIRouter

from backend.dependencies import DeskDep, RaterDep, SessionDep
from backend.services import ratings
from replybench.contract import RatingPublic, RatingWrite, UsagePublic, UsageWrite

router = APIRouter(tags=["ratings"])


@router.put("/api/answers/{answer_id}/rating")
def rate(answer_id: UUID, body: RatingWrite, desk: DeskDep, session: SessionDep, rater: RaterDep) -> RatingPublic:
    """Store or change the caller's scores of an answer; the same call twice stores one rating."""
    return ratings.rate(session, desk.redactor, answer_id, rater.id, body)


@router.put("/api/usage/{usage_id}")
def note_usage(usage_id: UUID, body: UsageWrite, session: SessionDep, rater: RaterDep) -> UsagePublic:
    """Store what an agent did with an answer in the helpdesk; the client makes the id."""
    return ratings.note_usage(session, usage_id, rater.id, body)
