"""Tells the database how a run goes, as it goes. The run's folder stays the truth."""

import logging
from collections.abc import Callable
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from db import queries_training as queries
from db.models import TrainingRun
from db.session import session_scope
from replybench.errors import Unavailable
from training.finetune.recipe import load_recipe
from training.finetune.run_folder import RunFolder, RunState, StepMetrics

_log = logging.getLogger(__name__)


class DatabaseMirror:
    """A watcher that writes run and steps to the database.

    A database that is away never stops a training: what it missed is read from the folder and told when it is back.
    """

    def __init__(self, engine: Engine, folder: RunFolder, say: Callable[[str], None]) -> None:
        """`say` is told, once, when the database goes away and when it is back."""
        self._engine, self._folder, self._say = engine, folder, say
        self._run_id: UUID | None = None
        self._told_up_to = -1
        self._is_away = False

    def started(self, state: RunState) -> None:
        """Store the run; forget the steps that a resumed one measures again."""
        self._told_up_to = -1
        self._tell(state, resumed=True)

    def measured(self, metrics: StepMetrics, total_steps: int) -> None:
        """Store the step, and those before it that could not be stored."""
        self._tell(self._folder.state())

    def ended(self, state: RunState) -> None:
        """Store how it ended."""
        self._tell(state)

    def _tell(self, state: RunState, *, resumed: bool = False) -> None:
        try:
            self._write(state, resumed)
        except (Unavailable, DBAPIError) as error:
            if not self._is_away:
                self._say("The database is away; the run goes on, and tells it the rest when it is back.")
            self._is_away = True
            _log.debug("mirror: %s", type(error).__name__)
            return
        if self._is_away:
            self._say("The database is back.")
        self._is_away = False

    def _write(self, state: RunState, resumed: bool) -> None:
        # The newest step may get more values (a held-out loss), so it is told again.
        steps = self._folder.metrics(self._told_up_to - 1)
        with session_scope(self._engine) as session:
            self._run_id = queries.put_run(session, self._row(state))
            if resumed:
                queries.forget_metrics_after(session, self._run_id, max((row.step for row in steps), default=-1))
            queries.put_metrics(session, self._run_id, [(row.step, row.values) for row in steps])
        if steps:
            self._told_up_to = steps[-1].step

    def _row(self, state: RunState) -> TrainingRun:
        recipe = load_recipe(self._folder.recipe_file)
        return TrainingRun(
            name=state.name,
            recipe=recipe.model_dump(mode="json"),
            base=state.base,
            method=state.method,
            dataset_fingerprint=self._folder.dataset()["fingerprint"],
            status=state.status,
            error_message=state.error,
            total_steps=state.total_steps,
            adapter_path=str(self._folder.adapter) if state.status == "finished" else None,
            summary=state.summary,
            started_at=state.started_at,
            updated_at=state.updated_at,
            finished_at=state.finished_at,
        )
