"""One run, from recipe to adapter. What happens on the way is told to the run's folder and to watchers."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from replybench.embedded_model import EMBEDDED
from replybench.errors import Conflict
from training.finetune import models, processes
from training.finetune.callbacks import Recorder, StopWhenFlat, Tidy, Watcher
from training.finetune.card import EMBEDDED_ON_HUB, card, draw_losses
from training.finetune.evaluate import compare
from training.finetune.job import Job
from training.finetune.models import Loaded, Say
from training.finetune.preference import preference_job
from training.finetune.recipe import Recipe, load_recipe
from training.finetune.record import state_kept
from training.finetune.run_folder import RunFolder, RunState, StepMetrics
from training.finetune.sft import sft_job
from training.settings import TrainingSettings


def train(
    recipe: Recipe,
    folder: RunFolder,
    settings: TrainingSettings,
    *,
    resume: bool = False,
    watchers: Sequence[Watcher] = (),
    say: Say = print,
) -> RunState:
    """Train by `recipe` into `folder`, and return how it ended.

    Under `accelerate launch` every process calls this; the first one writes.

    Args:
        resume: go on from the last checkpoint of a run that was stopped or killed.
        watchers: told as the run goes.
        say: told one sentence at a time.

    Raises:
        Conflict: the run exists and `resume` was not asked for, or it is another run than the one to resume.
        ReplybenchError: whatever is wrong with data, base or training, in a sentence.
    """
    recorder = Recorder(folder, watchers)
    flat = StopWhenFlat(recipe.evaluation.early_stop)
    _check_folder(recipe, folder, resume)
    processes.wait_for_all()  # nobody writes before everybody has looked
    job = _job(recipe, models.load_for_training(recipe, settings, say), folder, [recorder, flat, Tidy()])
    recorder.tokens_per_step = job.tokens_per_step
    checkpoint = folder.last_checkpoint() if resume else None
    with state_kept(recipe, folder, job, checkpoint, watchers) as state:
        for note in job.notes:
            say(note)
        if checkpoint is None:
            recorder.record(StepMetrics(step=0, values=job.judge()), job.steps)
            models.return_holes()
        job.trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        state.summary["stopped_early_at"] = flat.stopped_at
        _finish(recipe, folder, job, state, say)
    return state


def output_folder(recipe: Recipe, folder: RunFolder) -> Path:
    """Return where the result of a run lies: its adapter, or the whole model after full fine-tuning."""
    return folder.path / "model" if recipe.method == "full" else folder.adapter


def _check_folder(recipe: Recipe, folder: RunFolder, resume: bool) -> None:
    if not folder.exists:
        if resume:
            raise Conflict(f"There is no run '{folder.name}' to resume in {folder.path.parent}.")
        return
    if not resume:
        raise Conflict(f"The run '{folder.name}' exists. Go on with --resume, or give the new one another --name.")
    if load_recipe(folder.recipe_file) != recipe:
        raise Conflict(
            f"The recipe differs from the one that the run '{folder.name}' was started with ({folder.recipe_file}). "
            "Resume with that one, or start a new run with another --name."
        )


def _job(recipe: Recipe, loaded: Loaded, folder: RunFolder, callbacks: list[Any]) -> Job:
    if recipe.kind == "sft":
        return sft_job(recipe, loaded, folder, callbacks)
    return preference_job(recipe, loaded, folder, callbacks)


def _finish(recipe: Recipe, folder: RunFolder, job: Job, state: RunState, say: Say) -> None:
    """Round the result to the precision that it is served in, judge exactly that, and save it with its card."""
    output = output_folder(recipe, folder)
    model = job.trainer.accelerator.unwrap_model(job.trainer.model)
    if recipe.method != "full":
        round_adapter(model, recipe.dtype)
    state.summary |= summary(folder, job.judge(), job)
    if processes.is_first():
        save_result(model, job.loaded, recipe, output)
        for file, name in ((folder.recipe_file, "recipe.yaml"), (folder.dataset_file, "dataset.json")):
            shutil.copy(file, output / name)
        shutil.copy(folder.metrics_file, output / "losses.jsonl")
        if job.tickets and recipe.evaluation.answers:
            say(f"Answering {len(job.tickets)} held-out tickets with the adapter and with its base …")
            state.summary["answers"] = _answers(recipe, model, job)
        draw_losses(folder.metrics(), recipe.name, output / "loss.png")
        folder.write(output / "README.md", card(recipe, folder.dataset(), state.summary))
    processes.wait_for_all()


def _answers(recipe: Recipe, model: Any, job: Job) -> dict[str, Any]:
    compared = compare(model, job.loaded.tokenizer, job.tickets, max_new_tokens=recipe.evaluation.max_new_tokens)
    measures = {name: {side: asdict(value) for side, value in sides.items()} for name, sides in compared.items()}
    return {"tickets": len(job.tickets), "measures": measures}


def summary(folder: RunFolder, final: dict[str, float], job: Job) -> dict[str, Any]:
    """Return what a finished run measured: held-out loss before and after, and what its steps took.

    Time and speed are of the steps alone; judging and saving are not in them.
    """
    steps = folder.metrics()
    before = next((row.values["eval_loss"] for row in steps if row.step == 0), None)
    seconds = sum(row.values.get("seconds", 0.0) for row in steps)
    tokens = sum(row.values.get("tokens", 0.0) for row in steps)
    return {
        "heldout_loss_before": before,
        "heldout_loss": final["eval_loss"],
        "heldout_gain": 1 - final["eval_loss"] / before if before else None,
        "steps": steps[-1].step if steps else 0,
        "seconds": seconds,
        "tokens_per_second": tokens / seconds if tokens and seconds else None,
        "peak_memory_mib": max((row.values.get("memory_mib", 0.0) for row in steps), default=0.0),
        "processes": processes.count(),
        "notes": job.notes,
    }


def round_adapter(model: Any, dtype: str) -> None:
    """Round what was trained to `dtype`, in place, so that what is judged is what is saved."""
    import torch

    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(getattr(torch, dtype)).to(parameter.dtype)


def save_result(model: Any, loaded: Loaded, recipe: Recipe, output: Path) -> None:
    """Write the adapter (in the recipe's dtype) or the whole model, with the tokenizer for the latter."""
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    output.mkdir(parents=True, exist_ok=True)
    if recipe.method == "full":
        model.save_pretrained(output)
        loaded.tokenizer.save_pretrained(output)
        return
    dtype = getattr(torch, recipe.dtype)
    weights = {name: value.to(dtype).contiguous() for name, value in get_peft_model_state_dict(model).items()}
    config = model.peft_config["default"]
    config.base_model_name_or_path = EMBEDDED_ON_HUB if recipe.base == EMBEDDED else recipe.base
    config.inference_mode = True
    if isinstance(config.target_modules, set):
        config.target_modules = sorted(config.target_modules)  # the same file from the same training
    config.save_pretrained(output)
    save_file(weights, output / "adapter_model.safetensors", metadata={"format": "pt"})


def remove_run(folder: RunFolder) -> None:
    """Remove a run's folder, unless it is being trained right now.

    Raises:
        Conflict: its process lives.
    """
    if not folder.exists:
        return
    state = folder.state()
    if state.shown_status == "running":
        raise Conflict(f"The run '{folder.name}' is being trained by process {state.pid}. Stop that first.")
    shutil.rmtree(folder.path)


def copy_result(recipe: Recipe, folder: RunFolder, target: Path) -> None:
    """Copy a run's result, with its card, recipe and losses, into `target`, in place of what is there."""
    part = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(output_folder(recipe, folder), part)
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
