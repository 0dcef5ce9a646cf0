"""Skip a ticket; flag an answer."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.dependencies import RaterDep, SessionDep
from backend.services import marks
from replybench.contract import FlagKind, FlagList, MarksPublic, SkipList, SkipWrite

router = APIRouter(tags=["marks"])


@router.get("/api/suggestions/{suggestion_id}/marks")
def own(suggestion_id: UUID, session: SessionDep, rater: RaterDep) -> MarksPublic:
    """Return what the caller has marked in a suggestion."""
    return marks.marks(session, suggestion_id, rater.id)


@router.put("/api/suggestions/{suggestion_id}/skip")
def skip(suggestion_id: UUID, body: SkipWrite, session: SessionDep, rater: RaterDep) -> MarksPublic:
    """Give a ticket back without rating it."""
    return marks.skip(session, suggestion_id, rater.id, body.reason)


@router.delete("/api/suggestions/{suggestion_id}/skip")
def take_back_skip(suggestion_id: UUID, session: SessionDep, rater: RaterDep) -> MarksPublic:
    """Take a skip back."""
    return marks.take_back_skip(session, suggestion_id, rater.id)


@router.put("/api/answers/{answer_id}/flags/{kind}")
def flag(answer_id: UUID, kind: FlagKind, session: SessionDep, rater: RaterDep) -> MarksPublic:
    """Say that an answer is harmful or holds personal data."""
    return marks.flag(session, answer_id, rater.id, kind, is_set=True)


@router.delete("/api/answers/{answer_id}/flags/{kind}")
def take_back_flag(answer_id: UUID, kind: FlagKind, session: SessionDep, rater: RaterDep) -> MarksPublic:
    """Take a flag back."""
    return marks.flag(session, answer_id, rater.id, kind, is_set=False)


@router.get("/api/skips")
def skips(session: SessionDep, rater: RaterDep) -> SkipList:
    """Return the suggestions that the caller has skipped."""
    return marks.own_skips(session, rater.id)


@router.get("/api/flags")
def flags(
    session: SessionDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    study: Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")] = None,
) -> FlagList:
    """Return the flagged answers of all raters, for those who run the study."""
    return marks.flags(session, limit, study)
