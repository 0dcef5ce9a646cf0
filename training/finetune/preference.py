"""DPO and KTO: the next adapter from what raters preferred, held near the one that it starts from."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from replybench.errors import ConfigError
from replybench.prompts import Turn, study_prompt, thread_segments
from replybench.special_tokens import broken_up, special_tokens
from training.dataset import Split
from training.finetune.job import Job, common_arguments
from training.finetune.models import Loaded
from training.finetune.plan import make_plan
from training.finetune.recipe import Recipe
from training.finetune.run_folder import RunFolder
from training.preferences.folder import Preferences, load_preferences

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import Trainer


def preference_job(recipe: Recipe, loaded: Loaded, folder: RunFolder, callbacks: list[Any]) -> Job:
    """Return the DPO or KTO training that the recipe describes, ready to start.

    Raises:
        ConfigError: too few rows to learn from or to judge by.
    """
    preferences = load_preferences(recipe.data.path)
    rows: Callable[[Preferences, Split], list[dict[str, Any]]] = pair_rows if recipe.kind == "dpo" else label_rows
    sides: tuple[Split, Split] = ("train", "heldout")
    specials = special_tokens(loaded.tokenizer)
    train, heldout = (_broken_up(rows(preferences, split), specials) for split in sides)
    if not train or not heldout:
        what = "pairs" if recipe.kind == "dpo" else "labels"
        raise ConfigError(
            f"{recipe.data.path} has {len(train)} {what} to learn from and {len(heldout)} to judge by; both are "
            "needed. Rate more tickets, or loosen --min-margin and --min-agreement of `replybench preferences`."
        )
    lengths = [sum(len(loaded.tokenizer(text)["input_ids"]) for text in _texts(row)) for row in train]
    # KTO compares an answer with the next row's, so its micro-batches must not be rows of like length.
    batch = recipe.batch.model_copy(update={"group_by_length": False}) if recipe.kind == "kto" else recipe.batch
    plan = make_plan(lengths, batch, recipe.length, recipe.seed)
    notes: list[str] = []
    arguments = common_arguments(recipe, folder.checkpoints, plan.steps, notes)
    make = _dpo_trainer if recipe.kind == "dpo" else _kto_trainer
    trainer = make(recipe, loaded, arguments, _dataset(train).select(plan.order), _dataset(heldout), callbacks)
    _finish(trainer)
    return Job(
        loaded=loaded,
        trainer=trainer,
        dataset=_describe(recipe, preferences, train, heldout, sum(lengths)),
        steps=plan.steps,
        tokens_per_step=plan.sums(lengths),
        judge=lambda: _judged(trainer),
        notes=notes,
    )


def pair_rows(preferences: Preferences, split: Split) -> list[dict[str, Any]]:
    """Return {prompt, chosen, rejected} of one side; the prompt is what serving sends."""
    return [
        {
            "prompt": study_prompt(pair.subject, pair.turns),
            "chosen": completion(pair.chosen),
            "rejected": completion(pair.rejected),
        }
        for pair in preferences.pairs
        if pair.split == split
    ]


def label_rows(preferences: Preferences, split: Split) -> list[dict[str, Any]]:
    """Return {prompt, completion, label} of one side."""
    return [
        {
            "prompt": study_prompt(label.subject, label.turns),
            "completion": completion(label.answer),
            "label": label.is_good,
        }
        for label in preferences.labels
        if label.split == split
    ]


def completion(answer: str) -> str:
    """Return an answer as it follows ``### Answer:`` in training; TRL adds the end-of-text token."""
    return thread_segments("", [Turn("agent", answer)])[-1].text


def _broken_up(rows: list[dict[str, Any]], specials: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows with special tokens in their texts broken up, as serving does; TRL tokenises the rest."""
    return [
        {key: broken_up(value, specials) if isinstance(value, str) else value for key, value in row.items()}
        for row in rows
    ]


def _texts(row: dict[str, Any]) -> list[str]:
    if "chosen" in row:
        return [row["prompt"] + row["chosen"], row["prompt"] + row["rejected"]]
    return [row["prompt"] + row["completion"]]


def _dataset(rows: list[dict[str, Any]]) -> "Dataset":
    from datasets import Dataset

    return Dataset.from_list(rows)


def _dpo_trainer(
    recipe: Recipe, loaded: Loaded, arguments: dict[str, Any], train: "Dataset", heldout: "Dataset", callbacks: Any
) -> "Trainer":
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    trainer: Trainer = DPOTrainer(
        model=loaded.model,  # an adapted model: TRL keeps a frozen copy of its adapter as the reference
        args=DPOConfig(
            **arguments,
            beta=recipe.preference.beta,
            loss_type=[recipe.preference.loss],
            max_length=recipe.data.max_tokens,
        ),
        train_dataset=train,
        eval_dataset=heldout,
        processing_class=loaded.tokenizer,
        callbacks=callbacks,
    )
    return trainer


def _kto_trainer(
    recipe: Recipe, loaded: Loaded, arguments: dict[str, Any], train: "Dataset", heldout: "Dataset", callbacks: Any
) -> "Trainer":
    from trl.trainer.kto_config import KTOConfig
    from trl.trainer.kto_trainer import KTOTrainer

    if recipe.batch.rows_at_once < 2:
        raise ConfigError("kto compares answers within a micro-batch: batch.rows_at_once must be at least 2.")
    good = sum(train["label"])
    trainer: Trainer = KTOTrainer(
        model=loaded.model,
        args=KTOConfig(
            **arguments,
            beta=recipe.preference.beta,
            max_length=recipe.data.max_tokens,
            # Good and bad rows weigh the same in sum, whichever there are more of (KTO paper, section 4.2).
            desirable_weight=max(1.0, (len(train) - good) / max(good, 1)),
            undesirable_weight=max(1.0, good / max(len(train) - good, 1)),
        ),
        train_dataset=train,
        eval_dataset=heldout,
        processing_class=loaded.tokenizer,
        callbacks=callbacks,
    )
    return trainer


def _finish(trainer: "Trainer") -> None:
    from transformers import PrinterCallback

    from training.finetune.sft import keep_adapter_precise

    trainer.remove_callback(PrinterCallback)
    keep_adapter_precise(trainer.model)


def _judged(trainer: "Trainer") -> dict[str, float]:
    found = trainer.evaluate()
    names = {
        "eval_loss": "eval_loss",
        "eval_rewards/margins": "eval_margin",
        "eval_rewards/accuracies": "eval_accuracy",
    }
    return {ours: float(found[theirs]) for theirs, ours in names.items() if theirs in found}


def _describe(
    recipe: Recipe, preferences: Preferences, train: list[Any], heldout: list[Any], tokens: int
) -> dict[str, Any]:
    return {
        "fingerprint": preferences.fingerprint,
        "path": str(recipe.data.path),
        "use": ["rated pairs" if recipe.kind == "dpo" else "labelled answers"],
        "train": {"texts": len(train), "rows": len(train), "tokens": tokens},
        "heldout": {"texts": len(heldout), "rows": len(heldout)},
        "starts_from": recipe.preference.adapter,
    }
