"""Skip a ticket with a reason; flag an answer. A rater's own marks are seen by that rater, flags by the lead too."""

from uuid import UUID

from sqlmodel import Session

from backend.services.suggestions import check_open
from db import queries, queries_marks
from db.models import Flag, Skip
from replybench.contract import FlagKind, FlagList, FlagPublic, MarksPublic, SkipList, SkipReason
from replybench.errors import Conflict, NotFound


def marks(session: Session, suggestion_id: UUID, rater_id: UUID) -> MarksPublic:
    """Return what the rater has marked in a suggestion.

    Raises:
        NotFound: no such suggestion.
    """
    if not queries.has_suggestion(session, suggestion_id):
        raise NotFound("There is no such suggestion.")
    flags: dict[UUID, list[FlagKind]] = {}
    for flag in queries_marks.flags_of(session, suggestion_id, rater_id):
        flags.setdefault(flag.answer_id, []).append(FlagKind(flag.kind))
    return MarksPublic(skip=queries_marks.skip_reason(session, suggestion_id, rater_id), flags=flags)


def skip(session: Session, suggestion_id: UUID, rater_id: UUID, reason: SkipReason) -> MarksPublic:
    """Note that the rater gives this ticket back.

    Raises:
        NotFound: no such suggestion.
        Conflict: the rater has scored it already.
    """
    if not queries.has_suggestion(session, suggestion_id):
        raise NotFound("There is no such suggestion.")
    if queries_marks.has_rated(session, suggestion_id, rater_id):
        raise Conflict("You have rated answers of this ticket, so it cannot be skipped. You can change the rating.")
    queries_marks.put_skip(session, Skip(suggestion_id=suggestion_id, rater_id=rater_id, reason=reason))
    return marks(session, suggestion_id, rater_id)


def take_back_skip(session: Session, suggestion_id: UUID, rater_id: UUID) -> MarksPublic:
    """Take a skip back; without one, nothing changes."""
    queries_marks.remove_skip(session, suggestion_id, rater_id)
    return marks(session, suggestion_id, rater_id)


def flag(session: Session, answer_id: UUID, rater_id: UUID, kind: FlagKind, *, is_set: bool) -> MarksPublic:
    """Set or take back a flag; twice is the same as once.

    Raises:
        NotFound: no such answer.
        Conflict: its study is closed.
    """
    found = queries.answer_rows(session, answer_id)
    if found is None:
        raise NotFound("There is no such answer.")
    answer, _, study = found
    check_open(study)
    if is_set:
        queries_marks.put_flag(session, Flag(answer_id=answer_id, rater_id=rater_id, kind=kind))
    else:
        queries_marks.remove_flag(session, answer_id, rater_id, kind)
    return marks(session, answer.suggestion_id, rater_id)


def own_skips(session: Session, rater_id: UUID) -> SkipList:
    """Return the suggestions that the rater has skipped."""
    return SkipList(suggestion_ids=list(queries_marks.skipped_by(session, rater_id)))


def flags(session: Session, limit: int, study: str | None) -> FlagList:
    """Return the flagged answers of all raters (of one study, if named), newest first."""
    rows = queries_marks.flagged(session, limit, study)
    return FlagList(flags=[FlagPublic.model_validate(row, from_attributes=True) for row in rows])
