"""GET /api/training/…: runs and their curves."""

from typing import Annotated

from fastapi import APIRouter, Query

from backend.dependencies import SessionDep
from backend.services import training
from replybench.training_contract import TrainingMetrics, TrainingRunList

router = APIRouter(prefix="/api/training", tags=["training"])


@router.get("/runs")
def runs(session: SessionDep) -> TrainingRunList:
    """Return all runs, newest first."""
    return training.runs(session)


@router.get("/runs/{name}/metrics")
def metrics(session: SessionDep, name: str, since_step: Annotated[int, Query(ge=-1)] = -1) -> TrainingMetrics:
    """Return a run's curves after `since_step`."""
    return training.metrics(session, name, since_step)
