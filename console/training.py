"""What the Training page reads: runs, and of each chosen run only the steps that are new."""

from dataclasses import dataclass, field

import streamlit as st
from pydantic import ValidationError

from console import state
from replybench.errors import Unavailable
from replybench.training_contract import TrainingMetrics, TrainingRunList, TrainingRunPublic

_HELD_KEY = "training_held"


@dataclass(slots=True)
class Curve:
    """A run's steps so far: step → values."""

    run: TrainingRunPublic
    steps: dict[int, dict[str, float]] = field(default_factory=dict)

    def line(self, name: str) -> tuple[list[int], list[float]]:
        """Return the steps that measured `name`, and what they measured."""
        points = [(step, values[name]) for step, values in sorted(self.steps.items()) if name in values]
        return [step for step, _ in points], [value for _, value in points]


def runs() -> list[TrainingRunPublic]:
    """Return all runs, newest first."""
    found = state.backend().fetch("/api/training/runs", {})
    try:
        return TrainingRunList.model_validate(found.document).runs
    except ValidationError as error:
        raise _other_version() from error


def curves(names: list[str]) -> list[Curve]:
    """Return the curves of these runs; what this session has already is not asked for again."""
    held: dict[str, Curve] = st.session_state.setdefault(_HELD_KEY, {})
    return [_updated(held, name) for name in names]


def _updated(held: dict[str, Curve], name: str) -> Curve:
    known = held.get(name)
    # The newest step may get more values (a held-out loss), so it is asked for again.
    since = max(known.steps, default=0) - 1 if known else -1
    found = state.backend().fetch(f"/api/training/runs/{name}/metrics", {"since_step": str(max(since, -1))})
    try:
        new = TrainingMetrics.model_validate(found.document)
    except ValidationError as error:
        raise _other_version() from error
    if known is None or known.run.started_at != new.run.started_at or new.run.step < max(known.steps, default=0):
        known = Curve(new.run)  # another run under the same name, or one that was resumed from an earlier step
    known.run = new.run
    known.steps |= {row.step: row.values for row in new.steps}
    held[name] = known
    return known


def _other_version() -> Unavailable:
    return Unavailable("The backend speaks of training in another way than this console. Update both.")
