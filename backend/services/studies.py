"""Studies that a lead runs: made, opened, closed, and how far they are.

What a study measures (lineup, candidates, weights) is fixed when it is made: a figure of its results never means
another thing than it did. What is said to raters, and how many of them a ticket wants, may change.
"""

import math
from collections.abc import Collection

from sqlmodel import Session

from backend.services.roster import Roster
from db import queries, queries_queue
from db.models import Study, now
from replybench.contract import StudyList, StudyPublic
from replybench.errors import Conflict, InvalidInput, NotFound
from replybench.queue_contract import QueueProgress, RaterProgress, StudyChange, StudyCreate, StudyProgress
from replybench.rubric import rubric


def public(session: Session) -> StudyList:
    """Return all studies, newest first."""
    current = queries.open_study(session)
    return StudyList(studies=[study_public(study, current) for study in queries.studies(session)])


def study_public(study: Study, current: Study | None) -> StudyPublic:
    """Return a study; `current` is the one that takes tickets which name none."""
    is_open = study.closed_at is None and not study.is_read_only
    return StudyPublic(
        state="open" if is_open else "draft" if study.is_draft else "closed",
        is_open=is_open,
        is_current=current is not None and study.id == current.id,
        **study.model_dump(include=set(StudyPublic.model_fields) - {"state", "is_open", "is_current"}),
    )


def create(session: Session, body: StudyCreate, roster: Roster, lineups: Collection[str]) -> StudyPublic:
    """Make a study; it is a draft until it is opened.

    Args:
        lineups: the lineups that can be changed to.

    Raises:
        Conflict: the name is taken.
        InvalidInput: there is no such lineup, or the weights are not the rubric's metrics' and 1 together.
    """
    lineup = body.lineup or roster.lineup.name
    _check_lineup(lineup, body.candidates, roster, lineups)
    weights = dict(rubric().weights) if body.weights is None else body.weights
    _check_weights(weights)
    moment = now()
    study = Study(
        name=body.name,
        title=body.title,
        instructions=body.instructions,
        lineup=lineup,
        candidates=body.candidates,
        overlap=body.overlap,
        rubric_version=rubric().version,
        weights=weights,
        created_at=moment,
        closed_at=moment,
    )
    queries.add_study_if_new(session, study)
    stored = found(session, body.name)
    if stored.id != study.id:
        raise Conflict(f"There is a study '{body.name}' already. Choose another name.")
    return study_public(stored, queries.open_study(session))


def _check_lineup(lineup: str, candidates: list[str] | None, roster: Roster, lineups: Collection[str]) -> None:
    if lineup != roster.lineup.name and lineup not in lineups:
        raise InvalidInput(f"There is no lineup of this name. There are: {', '.join(sorted(lineups))}.")
    if candidates is not None and lineup == roster.lineup.name:
        roster.chosen(candidates)


def _check_weights(weights: dict[str, float]) -> None:
    keys = rubric().keys
    if set(weights) != set(keys):
        raise InvalidInput(f"Give a weight for each metric and for nothing else: {', '.join(keys)}.")
    if not math.isclose(sum(weights.values()), 1, abs_tol=1e-6):
        raise InvalidInput(f"The weights must be 1 together; they are {sum(weights.values()):g}.")


def found(session: Session, name: str) -> Study:
    """Return a study, kept as it is until the commit.

    Raises:
        NotFound: there is none of this name.
    """
    study = queries_queue.lock_study(session, name)
    if study is None:
        raise NotFound("There is no study of this name. GET /api/studies names them.")
    return study


def change(session: Session, name: str, body: StudyChange, roster: Roster) -> StudyPublic:
    """Change what is given; the audit trail has what was before.

    Raises:
        NotFound: no such study.
        Conflict: it was imported, or its lineup is not the one in use and it was to be opened.
    """
    study = found(session, name)
    if study.is_read_only:
        raise Conflict(f"The study '{name}' was imported and is read-only.")
    for field in ("title", "instructions", "overlap"):
        value = getattr(body, field)
        if value is not None:
            setattr(study, field, value)
    if body.is_open is True:
        _check_in_use(study, roster)
        study.opened_at, study.closed_at = now(), None
    elif body.is_open is False and study.closed_at is None:
        study.opened_at, study.closed_at = study.opened_at or study.created_at, now()
    session.add(study)
    session.flush()
    return study_public(study, queries.open_study(session))


def _check_in_use(study: Study, roster: Roster) -> None:
    if study.lineup is None or study.lineup == roster.lineup.name:
        return
    raise Conflict(
        f"The study '{study.name}' is for the lineup '{study.lineup}', and '{roster.lineup.name}' is in use. An admin "
        f"can change the lineup while opening the study, or with: replybench lineup use {study.lineup}"
    )


def lineup_to_switch_to(session: Session, name: str, roster: Roster) -> str | None:
    """Return the study's lineup if another one is in use."""
    study = queries.study_by_name(session, name)
    return study.lineup if study and study.lineup != roster.lineup.name else None


def progress(session: Session, name: str, roster: Roster) -> StudyProgress:
    """Return how far a study is: its queue, and each of its raters.

    Raises:
        NotFound: no such study.
    """
    study = queries.study_by_name(session, name)
    if study is None:
        raise NotFound("There is no study of this name. GET /api/studies names them.")
    queue = QueueProgress.model_validate(queries_queue.progress(session, study), from_attributes=True)
    raters = queries_queue.rater_progress(session, study.id)
    halted = None
    if queue.waiting and study.closed_at is not None and not study.is_draft:
        halted = "closed"
    elif queue.waiting and study.lineup not in {None, roster.lineup.name}:
        halted = "lineup"
    return StudyProgress(
        study=study.name,
        overlap=study.overlap,
        queue=queue,
        halted=halted,
        raters=[RaterProgress.model_validate(row, from_attributes=True) for row in raters],
        at=now(),
    )
