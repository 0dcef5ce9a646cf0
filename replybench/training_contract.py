"""The HTTP contract of the Training page: runs and their curves. Times are UTC."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

RunStatus = Literal["running", "finished", "stopped", "failed", "silent"]

#: A run that says "running" and has told nothing for so long (seconds) is shown as silent: its process is gone.
SILENT_AFTER_S = 900

#: The loss at which the study of 2024 says that its runs settled, by base model.
STUDY_SETTLED = {"LLaMA-2-7B": 1.4, "GPT-J-6B": 1.2}


class TrainingRunPublic(BaseModel):
    """One run. `summary` holds what was measured at its end; `step` is how far it has come."""

    name: str
    kind: str
    base: str
    method: str
    status: RunStatus
    error: str | None
    step: int
    total_steps: int | None
    dataset_fingerprint: str | None
    summary: dict[str, Any]
    started_at: datetime
    updated_at: datetime
    finished_at: datetime | None


class TrainingRunList(BaseModel):
    """GET /api/training/runs: newest first."""

    runs: list[TrainingRunPublic]


class TrainingStep(BaseModel):
    """What one step measured: {loss, eval_loss, learning_rate, tokens_per_second, memory_mib …}."""

    step: int
    values: dict[str, float]


class TrainingMetrics(BaseModel):
    """GET /api/training/runs/{name}/metrics: the steps after `since_step`, in order.

    Ask again with the last step but one: a step that is judged later gets more values.
    """

    run: TrainingRunPublic
    steps: list[TrainingStep]
