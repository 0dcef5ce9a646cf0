"""Supervised fine-tuning: the loss on the agents' turns of threads, and on the whole text of articles."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from replybench.errors import ConfigError
from training.dataset import Prepared, load_prepared
from training.finetune.estimate import estimate_for
from training.finetune.evaluate import heldout_tickets
from training.finetune.job import Job, common_arguments
from training.finetune.losses import heldout_loss
from training.finetune.models import Loaded
from training.finetune.packing import planned, refuse_a_model_that_mixes_rows
from training.finetune.recipe import Data, Recipe
from training.finetune.run_folder import RunFolder
from training.finetune.target_head import score_targets_only
from training.finetune.texts import TokenRows, chosen_threads, heldout_rows, training_rows

if TYPE_CHECKING:
    from datasets import Dataset


def sft_job(recipe: Recipe, loaded: Loaded, folder: RunFolder, callbacks: list[Any]) -> Job:
    """Return the training that the recipe describes, ready to start.

    Raises:
        ConfigError: nothing to learn from, or nothing to judge by.
    """
    prepared = load_prepared(recipe.data.path)
    learnt = training_rows(loaded.tokenizer, prepared, recipe.data)
    judged = heldout_rows(loaded.tokenizer, prepared, recipe.data)
    _check(learnt, judged, recipe.data)
    dataset, lengths, plan = planned(recipe, learnt.rows)
    expected = estimate_for(recipe, loaded.model.config, learnt, lengths, plan)
    notes: list[str] = []
    trainer = _trainer(recipe, loaded, folder, dataset.select(plan.order), plan.steps, notes, callbacks)

    def judge() -> dict[str, float]:
        pad = loaded.tokenizer.pad_token_id
        return {"eval_loss": heldout_loss(trainer.model, judged.rows, pad, rows_at_once=recipe.batch.rows_at_once)}

    trainer.judge = judge
    return Job(
        loaded=loaded,
        trainer=trainer,
        dataset=_describe(prepared, learnt, judged, recipe.data),
        steps=plan.steps,
        tokens_per_step=plan.sums(lengths),
        judge=judge,
        estimate=expected,
        tickets=heldout_tickets(chosen_threads(prepared, recipe.data, "heldout"), recipe.evaluation.answers),
        notes=notes,
    )


def _trainer(
    recipe: Recipe,
    loaded: Loaded,
    folder: RunFolder,
    ordered: "Dataset",
    steps: int,
    notes: list[str],
    callbacks: list[Any],
) -> Any:  # JudgedTrainer
    from transformers import PrinterCallback
    from trl.trainer.sft_config import SFTConfig

    arguments = SFTConfig(
        **common_arguments(recipe, folder.checkpoints, steps, notes),
        max_length=None,  # the rows are cut already
        padding_free=recipe.data.packing,  # then rows do not see each other: positions begin anew with each text
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    trainer = judged_trainer()(
        model=loaded.model,
        args=arguments,
        train_dataset=ordered,
        eval_dataset=ordered.select(range(1)),  # the trainer wants one; `judge` looks at the held-out threads
        processing_class=loaded.tokenizer,
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)  # the recorder and its watchers tell
    keep_adapter_precise(trainer.model)
    if recipe.data.packing:
        refuse_a_model_that_mixes_rows(trainer.model, trainer.data_collator, recipe.base)
    score_targets_only(trainer.model.get_base_model() if recipe.method != "full" else trainer.model)
    return trainer


def judged_trainer() -> Any:
    """Return TRL's SFTTrainer with our way of judging (made when called: TRL takes seconds to import)."""
    from trl.trainer.sft_trainer import SFTTrainer

    class JudgedTrainer(SFTTrainer):
        """Judges by the mean over all held-out target tokens, not by a mean of batches' means."""

        judge: Callable[[], dict[str, float]]

        def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
            """Measure, and tell callbacks as the trainer's own evaluation does."""
            measures = self.judge()
            self.log(dict(measures))
            self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, measures)
            return measures

    return JudgedTrainer


def keep_adapter_precise(model: Any) -> None:
    """Keep what is trained in float32: TRL rounds a quantised model's adapter to bfloat16.

    In bfloat16 a step of 2e-4 of a weight's size is below what can be represented, so small updates would be lost.
    """
    import torch

    for name, parameter in model.named_parameters():
        if parameter.requires_grad and "lora_" in name:
            parameter.data = parameter.data.to(torch.float32)


def _check(learnt: TokenRows, judged: TokenRows, data: Data) -> None:
    if not learnt.rows:
        raise ConfigError(
            f"{data.path} has nothing to learn from: no {' or '.join(data.use)} with outcomes "
            f"{', '.join(data.outcomes)} on the training side. Widen data.use, data.outcomes or data.languages."
        )
    if not judged.rows:
        raise ConfigError(f"{data.path} has no held-out threads of these outcomes and languages to judge by.")


def _describe(prepared: Prepared, learnt: TokenRows, judged: TokenRows, data: Data) -> dict[str, Any]:
    def counts(rows: TokenRows) -> dict[str, int]:
        return {
            "texts": rows.texts,
            "rows": len(rows.rows),
            "tokens": rows.tokens,
            "target_tokens": rows.targets,
            "cut_texts": rows.cut_texts,
            "windows_without_target": rows.dropped_windows,
        }

    return {
        "fingerprint": prepared.fingerprint,
        "path": str(data.path),
        "use": list(data.use),
        "train": counts(learnt),
        "heldout": counts(judged),
    }
