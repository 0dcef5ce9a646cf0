"""A run is told to the database as it goes, and the API tells it on."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from backend.services import training
from db.models import TrainingRun, now
from db.session import connect, session_scope
from replybench.errors import NotFound
from tests.training.finetune.conftest import recipe_of
from training.finetune.mirror import DatabaseMirror
from training.finetune.recipe import dump_recipe
from training.finetune.run_folder import RunFolder, RunState, StepMetrics, run_folder, utc_now


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run that has begun."""
    made = run_folder(tmp_path / "runs", "told")
    made.write(made.recipe_file, dump_recipe(recipe_of("embedded", Path("data/demo"))))
    made.write(made.dataset_file, '{"fingerprint": "f00d"}')
    made.write_state(begun())
    return made


def begun(**changes: object) -> RunState:
    common = {"name": "told", "kind": "sft", "base": "embedded", "method": "lora", "total_steps": 5}
    return RunState.model_validate({**common, "started_at": utc_now(), "updated_at": utc_now(), **changes})


def measure(folder: RunFolder, mirror: DatabaseMirror, step: int, **values: float) -> None:
    metrics = StepMetrics(step=step, values=values)
    folder.append(metrics)
    mirror.measured(metrics, 5)


def test_steps_are_there_while_the_run_goes(db_engine: Engine, folder: RunFolder) -> None:
    mirror = DatabaseMirror(db_engine, folder, print)
    mirror.started(begun())
    measure(folder, mirror, 0, eval_loss=3.5)
    measure(folder, mirror, 1, loss=3.4)
    measure(folder, mirror, 2, loss=3.3)
    measure(folder, mirror, 2, eval_loss=3.2)
    with session_scope(db_engine) as session:
        (shown,) = training.runs(session).runs
        assert (shown.name, shown.status, shown.step, shown.total_steps) == ("told", "running", 2, 5)
        assert shown.dataset_fingerprint == "f00d"
        steps = training.metrics(session, "told", -1).steps
        assert [(row.step, row.values) for row in steps] == [
            (0, {"eval_loss": 3.5}),
            (1, {"loss": 3.4}),
            (2, {"loss": 3.3, "eval_loss": 3.2}),
        ]
        assert [row.step for row in training.metrics(session, "told", 1).steps] == [2]
        with pytest.raises(NotFound):
            training.metrics(session, "other", -1)
    mirror.ended(begun(status="failed", error="It broke.", finished_at=utc_now()))
    with session_scope(db_engine) as session:
        (shown,) = training.runs(session).runs
        assert (shown.status, shown.error) == ("failed", "It broke.")


def test_a_resumed_run_forgets_what_it_measures_again(db_engine: Engine, folder: RunFolder) -> None:
    mirror = DatabaseMirror(db_engine, folder, print)
    mirror.started(begun())
    for step in range(1, 5):
        measure(folder, mirror, step, loss=4.0 - step)
    folder.forget_after(2)
    resumed = DatabaseMirror(db_engine, folder, print)
    resumed.started(begun())
    measure(folder, resumed, 3, loss=0.5)
    with session_scope(db_engine) as session:
        steps = training.metrics(session, "told", -1).steps
    assert [(row.step, row.values["loss"]) for row in steps] == [(1, 3.0), (2, 2.0), (3, 0.5)]


def test_a_database_that_is_away_stops_nothing_and_is_told_later(db_engine: Engine, folder: RunFolder) -> None:
    told: list[str] = []
    nowhere = connect("postgresql://nobody@127.0.0.1:9/none")
    mirror = DatabaseMirror(nowhere, folder, told.append)
    mirror.started(begun())
    measure(folder, mirror, 1, loss=3.0)
    measure(folder, mirror, 2, loss=2.0)
    assert len(told) == 1
    mirror._engine = db_engine  # it is back
    measure(folder, mirror, 3, loss=1.0)
    assert told[-1] == "The database is back."
    with session_scope(db_engine) as session:
        assert [row.step for row in training.metrics(session, "told", -1).steps] == [1, 2, 3]


def test_a_run_whose_process_is_gone_is_shown_as_silent(session: Session) -> None:
    long_ago = now() - timedelta(hours=1)
    session.add(TrainingRun(name="lost", base="embedded", method="lora", updated_at=long_ago, recipe={"kind": "dpo"}))
    session.flush()
    assert session.exec(select(TrainingRun)).one().status == "running"
    (shown,) = training.runs(session).runs
    assert (shown.status, shown.kind) == ("silent", "dpo")
