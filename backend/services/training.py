"""Training runs, as the console's Training page shows them."""

from datetime import timedelta
from typing import cast

from sqlmodel import Session

from db import queries_training as queries
from db.models import now
from db.queries_training import RunRow
from replybench.errors import NotFound
from replybench.training_contract import (
    SILENT_AFTER_S,
    RunStatus,
    TrainingMetrics,
    TrainingRunList,
    TrainingRunPublic,
    TrainingStep,
)


def runs(session: Session) -> TrainingRunList:
    """Return all runs, newest first."""
    return TrainingRunList(runs=[_public(row) for row in queries.runs(session)])


def metrics(session: Session, name: str, since_step: int) -> TrainingMetrics:
    """Return a run's steps after `since_step`.

    Raises:
        NotFound: no run of this name was told to this database.
    """
    found = queries.runs(session, name)
    if not found:
        raise NotFound(f"There is no run '{name}'.")
    steps = queries.metrics(session, found[0].run.id, since_step)
    return TrainingMetrics(
        run=_public(found[0]), steps=[TrainingStep(step=row.step, values=row.values) for row in steps]
    )


def _public(row: RunRow) -> TrainingRunPublic:
    run = row.run
    status = cast(RunStatus, run.status)
    if status == "running" and now() - run.updated_at > timedelta(seconds=SILENT_AFTER_S):
        status = "silent"
    return TrainingRunPublic(
        name=run.name,
        kind=str(run.recipe.get("kind", "sft")),
        base=run.base,
        method=run.method,
        status=status,
        error=run.error_message,
        step=row.step,
        total_steps=run.total_steps,
        dataset_fingerprint=run.dataset_fingerprint,
        summary=run.summary,
        started_at=run.started_at,
        updated_at=run.updated_at,
        finished_at=run.finished_at,
    )
