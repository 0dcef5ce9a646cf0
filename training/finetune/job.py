"""What a kind of training (SFT, DPO, KTO) gives to a run: a trainer that is ready, and how to judge its model."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replybench.errors import ConfigError
from training.finetune import processes
from training.finetune.estimate import Estimate
from training.finetune.evaluate import HeldoutTicket
from training.finetune.models import Loaded
from training.finetune.recipe import Optimizer, Recipe

if TYPE_CHECKING:
    from transformers import Trainer

_OPTIMIZERS: dict[Optimizer, str] = {
    "adamw": "adamw_torch",
    "paged_adamw": "paged_adamw_32bit",
    "paged_adamw_8bit": "paged_adamw_8bit",
    "adafactor": "adafactor",
}


@dataclass(slots=True)
class Job:
    """A training that is ready to start.

    Attributes:
        dataset: what is learnt and judged by: fingerprint and counts; goes to dataset.json.
        steps: how many there will be at most.
        tokens_per_step: of the rows, without padding.
        judge: measures of the model as it now is; ``eval_loss`` at least.
        estimate: what it was expected to take (supervised training only).
        tickets: held-out tickets to answer with adapter and base when the training is done.
        notes: what was done otherwise than the recipe says, and why; goes to the summary and the card.
    """

    loaded: Loaded
    trainer: "Trainer"
    dataset: dict[str, Any]
    steps: int
    tokens_per_step: list[int]
    judge: Callable[[], dict[str, float]]
    estimate: Estimate | None = None
    tickets: list[HeldoutTicket] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def common_arguments(recipe: Recipe, checkpoints: Path, steps: int, notes: list[str]) -> dict[str, Any]:
    """Return the arguments that all of TRL's trainers share. Adds to `notes` what this machine cannot do."""
    import torch

    batch, at_once = recipe.batch, recipe.batch.rows_at_once * processes.count()
    if batch.rows % at_once:
        raise ConfigError(
            f"batch.rows ({batch.rows}) must be a multiple of rows_at_once ({batch.rows_at_once}) times the number of "
            f"processes ({processes.count()})."
        )
    on_gpu = torch.cuda.is_available()
    every = min(recipe.evaluation.every_steps, steps)
    return {
        "output_dir": str(checkpoints),
        "max_steps": steps,
        "per_device_train_batch_size": batch.rows_at_once,
        "per_device_eval_batch_size": batch.rows_at_once,
        "gradient_accumulation_steps": batch.rows // at_once,
        "optim": _optimizer(recipe.optimizer.name, on_gpu, notes),
        "learning_rate": recipe.optimizer.learning_rate,
        "lr_scheduler_type": recipe.optimizer.schedule,
        "warmup_steps": round(recipe.optimizer.warmup_share * steps),
        "weight_decay": recipe.optimizer.weight_decay,
        "max_grad_norm": recipe.optimizer.max_grad_norm,
        "gradient_checkpointing": recipe.gradient_checkpointing,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # a loss that is no number must be seen, not averaged away
        "eval_strategy": "steps",
        "eval_steps": every,
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": recipe.evaluation.keep_checkpoints,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "report_to": list(recipe.report_to),
        "run_name": recipe.name,
        "disable_tqdm": True,
        "use_cpu": not on_gpu,
        # Mixed precision is a GPU's way. On a CPU the base keeps the recipe's dtype, the adapter is float32.
        "bf16": on_gpu and recipe.dtype == "bfloat16",
        "fp16": on_gpu and recipe.dtype == "float16",
        "dataloader_pin_memory": on_gpu,
        "train_sampling_strategy": "sequential",  # the plan has the order
        "remove_unused_columns": False,
    }


def _optimizer(name: Optimizer, on_gpu: bool, notes: list[str]) -> str:
    if name.startswith("paged") and not on_gpu:
        notes.append(f"{name} pages between GPU and main memory; without a GPU plain AdamW was used.")
        return _OPTIMIZERS["adamw"]
    return _OPTIMIZERS[name]
