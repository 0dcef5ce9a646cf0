"""The HTTP contract of operations: what the Operations page shows."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel


class EnginePublic(BaseModel):
    """A model or server at work in the process that was asked."""

    title: str
    state: Literal["ok", "loading", "failing"]
    problem: str | None
    device: str
    memory_mib: float | None
    waiting: int
    candidates: list[str]


class CandidateFigures(BaseModel):
    """How a candidate did in the last 24 hours, all processes together; seconds are medians and the slowest 5 %."""

    key: str
    name: str
    done: int
    failed: int
    unfinished: int
    tokens: int
    first_token_s: float | None
    answer_s: float | None
    answer_p95_s: float | None
    last_error: str | None


class OperationsPublic(BaseModel):
    """GET /api/operations. Counts of answers and sizes are the database's; engines are this process's."""

    status: Literal["ok", "starting", "failing"]
    version: str
    process: str
    database: str
    database_mib: float
    tickets: int
    ratings: int
    unfinished: int
    most_unfinished: int
    engines: list[EnginePublic]
    candidates: list[CandidateFigures]
    at: datetime
