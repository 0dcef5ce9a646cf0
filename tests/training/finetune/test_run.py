"""A run from recipe to adapter, for both architectures: what it leaves behind, and what it refuses."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from replybench.errors import ConfigError, Conflict, NotAllowed, ReplybenchError
from replybench.lineups import load_lineup
from tests.training.finetune.conftest import recipe_of
from training.dataset import load_prepared
from training.finetune import models
from training.finetune.callbacks import TrainingFailed, is_flat
from training.finetune.losses import heldout_loss
from training.finetune.recipe import EarlyStop, Recipe, dump_recipe, load_recipe
from training.finetune.register import register
from training.finetune.run import train
from training.finetune.run_folder import RunFolder, all_runs, run_folder
from training.finetune.texts import heldout_rows
from training.settings import TrainingSettings

LINEUP = """
name = "lab"
title = "Lab"

# The one that serves now.
[[candidates]]
key = "old"
name = "Old"
engine = "transformers"
base = "{base}"
adapter = "./old-adapter"
generation = {{ max_new_tokens = 77 }}
"""


def run(recipe: Recipe, settings: TrainingSettings, name: str = "quick", **options: Any) -> RunFolder:
    folder = run_folder(settings.runs_dir, name)
    train(recipe, folder, settings, say=lambda _: None, **options)
    return folder


@pytest.mark.parametrize("method", ["lora", "qlora"])
@pytest.mark.parametrize("architecture", ["llama", "gptj"])
def test_train_save_register_and_load(
    architecture: str, method: str, base_models: dict[str, Path], prepared: Path, settings: TrainingSettings
) -> None:
    base = base_models[architecture]
    recipe = recipe_of(base, prepared, method=method, quantisation={"compute_dtype": "float32"})
    folder = run(recipe, settings)
    state = folder.state()
    assert (state.status, state.error, state.summary["steps"]) == ("finished", None, 6)
    assert state.summary["heldout_loss"] < state.summary["heldout_loss_before"]
    steps = folder.metrics()
    assert [row.step for row in steps] == list(range(7))
    assert {"loss", "learning_rate", "tokens_per_second", "memory_mib", "seconds"} <= set(steps[1].values)
    assert [row.step for row in steps if "eval_loss" in row.values] == [0, 3, 6]

    assert load_recipe(folder.adapter / "recipe.yaml") == recipe
    fingerprint = load_prepared(prepared).fingerprint
    assert json.loads((folder.adapter / "dataset.json").read_bytes())["fingerprint"] == fingerprint
    card = (folder.adapter / "README.md").read_text("utf-8")
    assert f"{state.summary['heldout_loss']:.4f}" in card
    assert fingerprint in card
    assert (folder.adapter / "loss.png").stat().st_size > 1000

    lineup = settings.runs_dir / "lab.toml"
    lineup.write_text(LINEUP.format(base=base), "utf-8")
    candidate = register(folder, lineup)
    assert "# The one that serves now." in lineup.read_text("utf-8")
    served = load_lineup(lineup).candidates[1]
    assert served.key == candidate.key == "quick"
    assert served.quantisation == ("nf4" if method == "qlora" else "none")
    assert served.generation.max_new_tokens == 77
    with pytest.raises(Conflict, match="already"):
        register(folder, lineup)

    assert served.adapter is not None
    loaded = PeftModel.from_pretrained(models.load_base(str(base), recipe, settings), served.adapter)
    rows = heldout_rows(models.load_tokenizer(str(base), recipe, settings), load_prepared(prepared), recipe.data).rows
    again = heldout_loss(loaded, rows, 0, rows_at_once=2)
    assert again == pytest.approx(state.summary["heldout_loss"], abs=1e-3)


def test_every_weight_can_be_trained(base_models: dict[str, Path], prepared: Path, settings: TrainingSettings) -> None:
    recipe = recipe_of(
        base_models["llama"],
        prepared,
        method="full",
        optimizer={"learning_rate": 0.003},
        evaluation={"every_steps": 3, "answers": 2, "max_new_tokens": 8, "early_stop": None},
    )
    folder = run(recipe, settings)
    model = AutoModelForCausalLM.from_pretrained(folder.path / "model")
    assert model.config.model_type == "llama"
    assert folder.state().summary["heldout_gain"] > 0


def test_the_adapter_is_judged_as_it_is_saved(
    base_models: dict[str, Path], prepared: Path, settings: TrainingSettings
) -> None:
    folder = run(recipe_of(base_models["llama"], prepared, dtype="bfloat16"), settings)
    weights = load_file(folder.adapter / "adapter_model.safetensors")
    assert {str(value.dtype) for value in weights.values()} == {"torch.bfloat16"}


def test_answers_are_held_beside_the_bases(
    base_models: dict[str, Path], prepared: Path, settings: TrainingSettings
) -> None:
    evaluation = {"every_steps": 6, "answers": 3, "max_new_tokens": 12, "early_stop": None}
    folder = run(recipe_of(base_models["llama"], prepared, evaluation=evaluation), settings)
    found = folder.state().summary["answers"]
    assert found["tickets"] == 3
    assert set(found["measures"]) == {"token_f1", "rouge_l", "similarity"}
    for sides in found["measures"].values():
        for value in sides.values():
            assert value["lower"] <= value["mean"] <= value["upper"]
    assert "| ROUGE-L |" in (folder.adapter / "README.md").read_text("utf-8")


def test_a_run_is_not_overwritten(base_models: dict[str, Path], prepared: Path, settings: TrainingSettings) -> None:
    recipe = recipe_of(base_models["llama"], prepared, length={"max_steps": 1})
    run(recipe, settings)
    with pytest.raises(Conflict, match="--resume"):
        run(recipe, settings)
    with pytest.raises(Conflict, match="differs"):
        run(recipe_of(base_models["llama"], prepared, length={"max_steps": 2}), settings, resume=True)
    with pytest.raises(Conflict, match="no run 'other' to resume"):
        run(recipe, settings, "other", resume=True)
    assert [state.name for state in all_runs(settings.runs_dir)] == ["quick"]


CLI = "import sys; from replybench.cli import main; main(sys.argv[1:])"


def command(*arguments: str, settings: TrainingSettings) -> list[str]:
    return [sys.executable, "-c", CLI, "train", *arguments]


@pytest.mark.timeout(900)  # three runs, two of them in processes of their own
def test_resume_after_kill_9_gives_the_undisturbed_losses(
    base_models: dict[str, Path], prepared: Path, settings: TrainingSettings, tmp_path: Path
) -> None:
    recipe = recipe_of(
        base_models["llama"],
        prepared,
        lora={"rank": 4, "alpha": 8, "dropout": 0.1},  # so that the random state must be restored too
        optimizer={"learning_rate": 0.005, "schedule": "cosine"},
        length={"max_steps": 40, "epochs": 10},
        evaluation={"every_steps": 5, "answers": 0, "early_stop": None},
    )
    whole = run(recipe, settings, "undisturbed")
    file = tmp_path / "recipe.yaml"
    file.write_text(dump_recipe(recipe), "utf-8")
    environment = {**os.environ, "RUNS_DIR": str(settings.runs_dir), "OMP_NUM_THREADS": "1"}
    environment.pop("DATABASE_URL", None)
    killed = run_folder(settings.runs_dir, "killed")
    with subprocess.Popen(
        command(str(file), "--name", "killed", settings=settings), env=environment, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None and not any(row.step >= 8 for row in killed.metrics()):
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "it ended before it was killed"
    assert killed.state().status == "running"
    assert killed.state().shown_status.startswith("killed")
    subprocess.run(
        command(str(file), "--name", "killed", "--resume", settings=settings),
        env=environment,
        check=True,
        stderr=subprocess.DEVNULL,
    )
    assert killed.state().status == "finished"
    ours, theirs = whole.metrics(), killed.metrics()
    assert [row.step for row in ours] == [row.step for row in theirs] == list(range(41))
    for one, other in zip(ours, theirs, strict=True):
        for key in ("loss", "eval_loss", "learning_rate"):
            assert one.values.get(key) == pytest.approx(other.values.get(key), abs=1e-4)


def test_it_stops_when_the_heldout_loss_is_flat(
    base_models: dict[str, Path], prepared: Path, settings: TrainingSettings
) -> None:
    recipe = recipe_of(
        base_models["llama"],
        prepared,
        optimizer={"learning_rate": 1e-7, "schedule": "constant"},
        length={"max_steps": 30},
        evaluation={"every_steps": 2, "answers": 0, "early_stop": {"patience": 2, "min_gain": 0.001}},
    )
    state = run(recipe, settings).state()
    assert state.summary["stopped_early_at"] == 6
    assert state.summary["steps"] == 6


@pytest.mark.parametrize(
    ("losses", "flat"),
    [
        ([3.0, 2.0], False),
        ([3.0, 2.0, 2.0], False),
        ([3.0, 2.0, 2.0, 2.0], True),
        ([3.0, 2.0, 2.1, 2.2], True),
        ([3.0, 2.0, 2.1, 1.9], False),
        ([3.0, 2.0, 1.999, 1.998], True),
        ([], False),
    ],
)
def test_what_flat_means(losses: list[float], flat: bool) -> None:
    assert is_flat(losses, EarlyStop(patience=2, min_gain=0.01)) is flat


def test_a_loss_that_is_no_number_ends_the_run_with_a_sentence(
    base_models: dict[str, Path], prepared: Path, settings: TrainingSettings
) -> None:
    recipe = recipe_of(base_models["llama"], prepared, optimizer={"learning_rate": 1e30, "schedule": "constant"})
    with pytest.raises(TrainingFailed, match="is not a number"):
        run(recipe, settings)
    state = run_folder(settings.runs_dir, "quick").state()
    assert state.status == "failed"
    assert state.error is not None
    assert "learning_rate" in state.error


def test_too_little_memory_is_told(
    base_models: dict[str, Path], prepared: Path, settings: TrainingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes")

    monkeypatch.setattr("transformers.Trainer.training_step", full)
    with pytest.raises(TrainingFailed, match="not enough memory for this recipe"):
        run(recipe_of(base_models["llama"], prepared), settings)


def test_a_gated_model_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    answer: Any = httpx.Response(403, request=httpx.Request("GET", "https://hub.example/m"))
    with pytest.raises(NotAllowed, match="accept its licence"), models.hub_errors_told("meta-llama/Llama-2-7b-hf"):
        raise OSError("no") from GatedRepoError("gated", response=answer)
    with pytest.raises(ConfigError, match="no such repository"), models.hub_errors_told("nobody/nothing"):
        raise OSError("no") from RepositoryNotFoundError("404", response=answer)


def test_a_missing_base_or_adapter_is_told(
    base_models: dict[str, Path], prepared: Path, settings: TrainingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ReplybenchError, match="nobody/nothing"):
        models.load_for_training(recipe_of("nobody/nothing", prepared), settings, lambda _: None)
    recipe = recipe_of(base_models["llama"], prepared, preference={"adapter": "runs/none/adapter"})
    with pytest.raises(ReplybenchError, match="runs/none/adapter"):
        models.load_for_training(recipe, settings, lambda _: None)


def test_data_that_teach_nothing_are_told(
    base_models: dict[str, Path], prepared: Path, settings: TrainingSettings
) -> None:
    taught = recipe_of(base_models["llama"], prepared)
    recipe = taught.model_copy(update={"data": taught.data.model_copy(update={"languages": ["de"]})})
    with pytest.raises(ConfigError, match="nothing to learn from"):
        run(recipe, settings)


def test_dry_run_and_the_table_of_runs(
    base_models: dict[str, Path], prepared: Path, settings: TrainingSettings, tmp_path: Path
) -> None:
    from typer.testing import CliRunner

    from replybench.cli import load

    file = tmp_path / "recipe.yaml"
    recipe = recipe_of(base_models["llama"], prepared, length={"max_steps": 2})
    file.write_text(dump_recipe(recipe), "utf-8")
    shown = CliRunner().invoke(load("train"), [str(file), "--dry-run"])
    assert shown.exit_code == 0, shown.output
    assert Recipe.model_validate(yaml.safe_load(shown.output)) == recipe
    assert "# plan:        2 steps of 4 rows" in shown.output
    assert not settings.runs_dir.exists()
    run(recipe, settings)
    table = CliRunner().invoke(load("runs"), [], env={"COLUMNS": "200"}).output
    assert "quick" in table
    assert "GiB (est.)" in table
    assert re.search(r"\d\.\d \(\d\.\d\)", table), "what was measured, and the estimate"
    assert "finished" in table
    assert json.loads(CliRunner().invoke(load("runs"), ["--json"]).output)[0]["name"] == "quick"
