"""The same recipe on one process and on two gives the same losses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.finetune.conftest import recipe_of
from training.finetune.recipe import dump_recipe
from training.finetune.run import train
from training.finetune.run_folder import run_folder
from training.settings import TrainingSettings


@pytest.mark.timeout(900)  # two more processes import torch
def test_two_processes_take_the_steps_of_one(
    base_models: dict[str, Path], prepared: Path, settings: TrainingSettings, tmp_path: Path
) -> None:
    recipe = recipe_of(base_models["llama"], prepared, batch={"rows": 8, "rows_at_once": 2}, length={"max_steps": 5})
    one = run_folder(settings.runs_dir, "one")
    train(recipe, one, settings, say=lambda _: None)
    file = tmp_path / "recipe.yaml"
    file.write_text(dump_recipe(recipe), "utf-8")
    script = tmp_path / "train.py"
    script.write_text("import sys\nfrom replybench.cli import main\nmain(['train', *sys.argv[1:]])\n", "utf-8")
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    environment = {
        **os.environ,
        "RUNS_DIR": str(settings.runs_dir),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path.cwd()),
    }
    environment.pop("DATABASE_URL", None)
    ended = subprocess.run(
        [*launch, str(script), str(file), "--name", "two"], env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    two = run_folder(settings.runs_dir, "two")
    assert two.state().status == "finished"
    ours, theirs = one.metrics(), two.metrics()
    assert [row.step for row in ours] == [row.step for row in theirs] == list(range(6))
    for row, other in zip(ours, theirs, strict=True):
        for key in ("loss", "eval_loss"):
            assert other.values.get(key) == pytest.approx(row.values.get(key), abs=1e-3)
        assert other.values.get("tokens") == row.values.get("tokens")
