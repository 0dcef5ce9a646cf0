"""SQL for training runs, and for what ratings teach the next one. Nothing here commits."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col

from db.models import Answer, Candidate, Rating, Study, Suggestion, Ticket, TrainingMetric, TrainingRun, now
from replybench.contract import AnswerStatus

# --- runs and their curves


def put_run(session: Session, run: TrainingRun) -> UUID:
    """Store a run, or bring the one of this name up to date, and return its id."""
    values = run.model_dump(exclude={"id"})
    statement = (
        insert(TrainingRun)
        .values(id=run.id, **values)
        .on_conflict_do_update(index_elements=["name"], set_=values)
        .returning(col(TrainingRun.id))
    )
    return session.scalars(statement).one()


def put_metrics(session: Session, run_id: UUID, steps: Iterable[tuple[int, dict[str, float]]]) -> None:
    """Store steps; a step that is there already gets the new values beside its own."""
    rows = [{"run_id": run_id, "step": step, "values": values, "at": now()} for step, values in steps]
    if not rows:
        return
    statement = insert(TrainingMetric).values(rows)
    merged = col(TrainingMetric.values).op("||")(statement.excluded["values"])
    session.execute(statement.on_conflict_do_update(index_elements=["run_id", "step"], set_={"values": merged}))
    session.execute(update(TrainingRun).where(col(TrainingRun.id) == run_id).values(updated_at=now()))


def forget_metrics_after(session: Session, run_id: UUID, step: int) -> None:
    """Remove the steps that a resumed run will measure again."""
    session.execute(delete(TrainingMetric).where(col(TrainingMetric.run_id) == run_id, col(TrainingMetric.step) > step))


class RunRow(NamedTuple):
    """A run and how far it has come."""

    run: TrainingRun
    step: int


def runs(session: Session, name: str | None = None) -> list[RunRow]:
    """Return all runs, or the one of this name; newest first."""
    steps = (
        select(col(TrainingMetric.run_id), func.max(col(TrainingMetric.step)).label("step"))
        .group_by(col(TrainingMetric.run_id))
        .subquery()
    )
    statement = (
        select(TrainingRun, func.coalesce(steps.c.step, 0))
        .outerjoin(steps, steps.c.run_id == col(TrainingRun.id))
        .order_by(col(TrainingRun.started_at).desc())
    )
    if name is not None:
        statement = statement.where(col(TrainingRun.name) == name)
    return [RunRow(run, step) for run, step in session.execute(statement)]


def metrics(session: Session, run_id: UUID, since_step: int) -> Sequence[TrainingMetric]:
    """Return the steps after `since_step`, in order."""
    return session.scalars(
        select(TrainingMetric)
        .where(col(TrainingMetric.run_id) == run_id, col(TrainingMetric.step) > since_step)
        .order_by(col(TrainingMetric.step))
    ).all()


# --- what ratings teach


class RatedRow(NamedTuple):
    """One rater's scores of one answer, with all that a training pair needs to be traced back."""

    rating_id: UUID
    answer_id: UUID
    ticket_id: UUID
    suggestion_id: UUID
    rater_id: UUID
    candidate_key: str
    subject: str
    text: str
    earlier: list[dict[str, str]]
    language: str | None
    answer: str
    corrected: str | None
    scores: dict[str, int]
    rated_at: datetime
    corrected_share: float | None = None


def rated_answers(session: Session, study_id: UUID) -> list[RatedRow]:
    """Return every rating of a study's finished answers, texts included; purged tickets are left out."""
    statement = (
        select(
            col(Rating.id),
            col(Answer.id),
            col(Ticket.id),
            col(Suggestion.id),
            col(Rating.rater_id),
            col(Candidate.key),
            col(Ticket.subject),
            col(Ticket.text),
            col(Ticket.earlier),
            col(Ticket.language),
            col(Answer.text),
            col(Rating.corrected_text),
            col(Rating.scores),
            col(Rating.updated_at),
            col(Rating.corrected_share),
        )
        .join(Answer, col(Answer.id) == col(Rating.answer_id))
        .join(Suggestion, col(Suggestion.id) == col(Answer.suggestion_id))
        .join(Ticket, col(Ticket.id) == col(Suggestion.ticket_id))
        .join(Candidate, col(Candidate.id) == col(Answer.candidate_id))
        .where(
            col(Suggestion.study_id) == study_id,
            col(Answer.status) == AnswerStatus.DONE,
            col(Ticket.purged_at).is_(None),
        )
        .order_by(col(Ticket.created_at), col(Ticket.id), col(Answer.id), col(Rating.id))
    )
    return [RatedRow(*row) for row in session.execute(statement)]


def rated_tickets(session: Session, study_id: UUID, limit: int) -> list[UUID]:
    """Return the study's tickets that have a rating, oldest first, each text once, not purged."""
    first = (
        select(col(Ticket.id), col(Ticket.text_sha256), col(Ticket.created_at))
        .join(Suggestion, col(Suggestion.ticket_id) == col(Ticket.id))
        .join(Answer, col(Answer.suggestion_id) == col(Suggestion.id))
        .join(Rating, col(Rating.answer_id) == col(Answer.id))
        .where(col(Suggestion.study_id) == study_id, col(Ticket.purged_at).is_(None))
        .distinct(col(Ticket.text_sha256))
        .order_by(col(Ticket.text_sha256), col(Ticket.created_at), col(Ticket.id))
        .subquery()
    )
    return list(session.scalars(select(first.c.id).order_by(first.c.created_at, first.c.text_sha256).limit(limit)))


def study_named(session: Session, name: str) -> Study | None:
    """Return a study."""
    return session.scalars(select(Study).where(col(Study.name) == name)).one_or_none()


def add_study(session: Session, study: Study) -> None:
    """Store a new study."""
    session.add(study)
    session.flush()
