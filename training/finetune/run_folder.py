"""A run's folder: what it was asked, what it measured as it went, and what came out.

    runs/NAME/recipe.yaml      the resolved recipe
    runs/NAME/dataset.json     fingerprint and counts of what was learnt and judged by
    runs/NAME/run.json         state: running, finished, stopped, failed; times; summary
    runs/NAME/metrics.jsonl    a line per step
    runs/NAME/checkpoints/     to resume from
    runs/NAME/adapter/         the result, with recipe, dataset, losses and card beside it

It is enough by itself: the database only mirrors it.
"""

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import psutil
from pydantic import BaseModel, ConfigDict

from replybench.errors import ConfigError, NotFound

Status = Literal["running", "finished", "stopped", "failed"]
_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]*$")


class RunState(BaseModel):
    """run.json. Times are UTC. `pid` tells whether a run that says "running" still does."""

    model_config = ConfigDict(extra="ignore")

    name: str
    kind: str
    base: str
    method: str
    status: Status = "running"
    error: str | None = None
    total_steps: int
    started_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
    pid: int | None = None
    summary: dict[str, Any] = {}

    @property
    def shown_status(self) -> str:
        """The status as a person is told: a run whose process is gone does not run, whatever its file says."""
        if self.status == "running" and self.pid is not None and not psutil.pid_exists(self.pid):
            return "killed (train … --resume)"
        return self.status


class StepMetrics(BaseModel):
    """A line of metrics.jsonl: {loss, eval_loss, learning_rate, tokens_per_second, memory_mib …} of one step."""

    step: int
    values: dict[str, float]


class RunFolder:
    """Reads and writes one run's folder. Every file is written whole or not at all, except the growing metrics."""

    def __init__(self, path: Path) -> None:
        """`path` need not exist yet."""
        self.path = path
        self.recipe_file = path / "recipe.yaml"
        self.dataset_file = path / "dataset.json"
        self.state_file = path / "run.json"
        self.metrics_file = path / "metrics.jsonl"
        self.checkpoints = path / "checkpoints"
        self.adapter = path / "adapter"

    @property
    def name(self) -> str:
        """The run's name is its folder's."""
        return self.path.name

    @property
    def exists(self) -> bool:
        """Whether a run was started here."""
        return self.state_file.is_file()

    def write(self, file: Path, text: str) -> None:
        """Put `text` into `file`, whole or not at all."""
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{file.name}.{os.getpid()}")
        part.write_text(text, "utf-8")
        part.replace(file)

    def write_state(self, state: RunState) -> None:
        """Store run.json."""
        self.write(self.state_file, state.model_dump_json(indent=2) + "\n")

    def state(self) -> RunState:
        """Return run.json.

        Raises:
            NotFound: no run was started here.
        """
        try:
            return RunState.model_validate_json(self.state_file.read_bytes())
        except FileNotFoundError as error:
            raise NotFound(f"There is no run '{self.name}' in {self.path.parent}. See: replybench runs") from error

    def dataset(self) -> dict[str, Any]:
        """Return dataset.json: fingerprint and counts of what was learnt and judged by."""
        found: dict[str, Any] = json.loads(self.dataset_file.read_bytes())
        return found

    def append(self, metrics: StepMetrics) -> None:
        """Add one line; it reaches the disk before this returns, so a kill loses at most the last line."""
        with self.metrics_file.open("a", encoding="utf-8") as file:
            file.write(metrics.model_dump_json() + "\n")

    def metrics(self, since_step: int = -1) -> list[StepMetrics]:
        """Return the steps after `since_step`, each once (a step that was evaluated later has both parts' values)."""
        steps: dict[int, dict[str, float]] = {}
        try:
            lines = self.metrics_file.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        for line in lines:
            try:
                row = StepMetrics.model_validate_json(line)
            except ValueError:
                continue  # the last line of a process that was killed while it wrote
            if row.step > since_step:
                steps.setdefault(row.step, {}).update(row.values)
        return [StepMetrics(step=step, values=values) for step, values in sorted(steps.items())]

    def forget_after(self, step: int) -> None:
        """Drop metrics after `step`: a resumed run measures them again."""
        kept = [row for row in self.metrics() if row.step <= step]
        self.write(self.metrics_file, "".join(row.model_dump_json() + "\n" for row in kept))

    def last_checkpoint(self) -> Path | None:
        """Return the newest checkpoint that was written to its end, or None."""
        found = [
            (int(path.name.removeprefix("checkpoint-")), path)
            for path in self.checkpoints.glob("checkpoint-*")
            if path.name.removeprefix("checkpoint-").isdigit() and _is_whole(path)
        ]
        return max(found)[1] if found else None


def _is_whole(checkpoint: Path) -> bool:
    """The trainer writes trainer_state.json last; one that cannot be read was cut short."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_bytes())
    except (OSError, ValueError):
        return False
    return True


def run_folder(runs_dir: Path, name: str) -> RunFolder:
    """Return the folder of the run called `name`.

    Raises:
        ConfigError: the name could not be a folder's.
    """
    if not _NAME.match(name):
        raise ConfigError(f"'{name}' cannot be a run's name: use small letters, digits, '.', '_' and '-'.")
    return RunFolder(runs_dir / name)


def all_runs(runs_dir: Path) -> list[RunState]:
    """Return the runs in `runs_dir`, newest first."""
    states = [RunState.model_validate_json(file.read_bytes()) for file in runs_dir.glob("*/run.json")]
    return sorted(states, key=lambda state: state.started_at, reverse=True)


def utc_now() -> datetime:
    """Return the time, UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
