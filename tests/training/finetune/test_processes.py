"""Several processes: the same losses as one, and no end without a clear sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.finetune.conftest import recipe_of
from training.finetune.recipe import Recipe, dump_recipe
from training.finetune.run import train
from training.finetune.run_folder import RunFolder, run_folder
from training.settings import TrainingSettings

#: Two processes import torch, and wait for each other.
TIMEOUT_S = 240

PLAIN = """
import sys
from replybench.cli import main
main(["train", *sys.argv[1:]])
"""
#: In the second process alone, step 3 goes wrong.
HARMED = """
import os, signal, torch, transformers
step = transformers.Trainer.training_step
def harmed(trainer, *args, **kwargs):
    loss = step(trainer, *args, **kwargs)
    if os.environ["RANK"] == "1" and trainer.state.global_step == 2:
        HARM
    return loss
transformers.Trainer.training_step = harmed
"""


def launch(recipe: Recipe, settings: TrainingSettings, folder: Path, script: str) -> tuple[RunFolder, int, str]:
    """Train on two processes; return the run, the launcher's exit status and what was written to standard error."""
    (folder / "recipe.yaml").write_text(dump_recipe(recipe), "utf-8")
    (folder / "train.py").write_text(script, "utf-8")
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    environment = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "",  # --multi_gpu is what starts several processes; they train on the CPU
        "RUNS_DIR": str(settings.runs_dir),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path.cwd()),
    }
    environment.pop("DATABASE_URL", None)
    ended = subprocess.run(
        [*command, str(folder / "train.py"), str(folder / "recipe.yaml"), "--name", "two"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    return run_folder(settings.runs_dir, "two"), ended.returncode, ended.stderr


@pytest.fixture
def recipe(base_models: dict[str, Path], prepared: Path) -> Recipe:
    return recipe_of(base_models["llama"], prepared, batch={"rows": 8, "rows_at_once": 2}, length={"max_steps": 5})


@pytest.mark.timeout(2 * TIMEOUT_S)
def test_two_processes_take_the_steps_of_one(recipe: Recipe, settings: TrainingSettings, tmp_path: Path) -> None:
    one = run_folder(settings.runs_dir, "one")
    train(recipe, one, settings, say=lambda _: None)
    two, status, told = launch(recipe, settings, tmp_path, PLAIN)
    assert status == 0, told[-3000:]
    assert two.state().status == "finished"
    assert (one.state().summary["processes"], two.state().summary["processes"]) == (1, 2)
    ours, theirs = one.metrics(), two.metrics()
    assert [row.step for row in ours] == [row.step for row in theirs] == list(range(6))
    for row, other in zip(ours, theirs, strict=True):
        for key in ("loss", "eval_loss"):
            assert other.values.get(key) == pytest.approx(row.values.get(key), abs=1e-3)
        assert other.values.get("tokens") == row.values.get("tokens")


@pytest.mark.timeout(2 * TIMEOUT_S)
@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        ("loss = loss * float('nan')", "The loss of step 3 is not a number"),
        ("torch.empty(1 << 46)", "There is not enough memory for this recipe here"),
    ],
)
def test_what_ends_one_process_ends_both_and_is_told(
    harm: str, sentence: str, recipe: Recipe, settings: TrainingSettings, tmp_path: Path
) -> None:
    run, status, told = launch(recipe, settings, tmp_path, HARMED.replace("HARM", harm) + PLAIN)
    assert status != 0
    assert sentence in told
    state = run.state()
    assert state.status == "failed"
    assert state.error is not None
    assert sentence in state.error
    assert max(row.step for row in run.metrics()) <= 3


@pytest.mark.timeout(2 * TIMEOUT_S)
def test_a_killed_process_ends_both(recipe: Recipe, settings: TrainingSettings, tmp_path: Path) -> None:
    script = HARMED.replace("HARM", "os.kill(os.getpid(), signal.SIGKILL)") + PLAIN
    run, status, _ = launch(recipe, settings, tmp_path, script)
    assert status != 0
    # Whether the first process still comes to say so before the launcher ends it is a race.
    assert run.state().shown_status in {"failed", "killed (train … --resume)"}
