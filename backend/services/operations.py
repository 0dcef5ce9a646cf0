"""What an operator wants to see: which candidates are up, how fast they are, how long the queue is."""

from datetime import timedelta
from typing import Literal

from sqlmodel import Session

from backend import metrics
from backend.services import health
from backend.services.suggestions import Desk
from db import queries_operations
from db.models import now
from replybench import __version__
from replybench.operations_contract import CandidateFigures, EnginePublic, OperationsPublic

_WINDOW = timedelta(hours=24)


def operations(session: Session, desk: Desk, most_unfinished: int) -> OperationsPublic:
    """Return the state of this process, and the figures of all."""
    state = health.readiness(desk)
    facts = queries_operations.database_facts(session)
    return OperationsPublic(
        status=state.status,
        version=__version__,
        process=desk.runner.worker,
        database=state.checks["database"],
        database_mib=facts["bytes"] / 2**20,
        tickets=facts["tickets"],
        ratings=facts["ratings"],
        unfinished=facts["unfinished"],
        most_unfinished=most_unfinished,
        engines=_engines(desk),
        candidates=[
            CandidateFigures.model_validate(row, from_attributes=True)
            for row in queries_operations.candidate_figures(session, now() - _WINDOW)
        ],
        at=now(),
    )


def _engines(desk: Desk) -> list[EnginePublic]:
    engines = []
    for name, engine in desk.roster.named_engines:
        info = engine.describe()
        problem = desk.roster.problems.get(name)
        state: Literal["ok", "loading", "failing"] = "ok" if desk.roster.is_started else "loading"
        engines.append(
            EnginePublic(
                title=name,
                state="failing" if problem else state,
                problem=problem,
                device=info.device,
                memory_mib=info.memory_mib,
                waiting=info.waiting,
                candidates=list(info.candidates),
            )
        )
    return engines


def exposition(desk: Desk) -> bytes:
    """Return this process's metrics in Prometheus's text format."""
    engines = {engine.title: (engine.state == "ok", engine.waiting) for engine in _engines(desk)}
    is_up = health.readiness(desk).checks["database"] == "ok"
    return metrics.exposition(desk.runner.unfinished, engines, database_is_up=is_up)
