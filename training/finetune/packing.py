"""From token rows to the rows of a run: one text each, or several that are blind to each other, in their order."""

from typing import TYPE_CHECKING, Any

from replybench.errors import ConfigError
from training.finetune.plan import Plan, make_plan
from training.finetune.recipe import Recipe
from training.finetune.texts import IGNORED, TokenRow

if TYPE_CHECKING:
    from datasets import Dataset

#: Tokens of each of the two texts of the proof.
_PROOF_TOKENS = 8
#: How much of the difference that seeing a neighbour makes may be left. Rounding (bfloat16) leaves less, a leak all.
_TOLERATED = 0.2


def as_dataset(rows: list[TokenRow], *, packed_to: int | None) -> "Dataset":
    """Return rows in TRL's form; with `packed_to`, several texts to a row of that many tokens (best fit)."""
    from datasets import Dataset
    from trl.data_utils import pack_dataset

    dataset = Dataset.from_dict({"input_ids": [row.input_ids for row in rows], "labels": [row.labels for row in rows]})
    return dataset if packed_to is None else pack_dataset(dataset, packed_to, strategy="bfd")


def planned(recipe: Recipe, rows: list[TokenRow]) -> "tuple[Dataset, list[int], Plan]":
    """Return the run's rows (packed, if the recipe says so), the tokens of each, and the order in which they come."""
    dataset = as_dataset(rows, packed_to=recipe.data.max_tokens if recipe.data.packing else None)
    lengths = [len(ids) for ids in dataset["input_ids"]]
    return dataset, lengths, make_plan(lengths, recipe.batch, recipe.length, recipe.seed)


def refuse_a_model_that_mixes_rows(model: Any, collator: Any, base: str) -> None:
    """Make sure that texts packed into one row do not see each other in this model.

    Positions that begin anew with each text tell a model where the texts end. Not every architecture heeds them, and
    one that does may not under another attention (GPT-J does, but not with FlashAttention). So it is tried: two short
    texts in one row, the second of which must come out as it does alone, and not as it does after the first.

    Args:
        model: as it is trained.
        collator: TRL's, which makes the batches of the training.
        base: its name, for the sentence.

    Raises:
        ConfigError: they see each other, or the model takes no positions.
    """
    import torch

    place = next(model.parameters()).device
    first, second = list(range(3, 3 + _PROOF_TOKENS)), list(range(20, 20 + _PROOF_TOKENS))

    def states(ids: list[int], lengths: list[int]) -> Any:
        row = {"input_ids": ids, "labels": [IGNORED] * len(ids), "seq_lengths": lengths}
        batch = {
            key: value.to(place) if isinstance(value, torch.Tensor) else value
            for key, value in collator([row]).items()
            if key != "labels"
        }
        with torch.no_grad():
            logits: torch.Tensor = model(**batch, use_cache=False).logits
        return logits[0, -_PROOF_TOKENS:].float()

    was_training = model.training
    model.eval()
    try:
        alone = states(second, [_PROOF_TOKENS])
        packed = states(first + second, [_PROOF_TOKENS, _PROOF_TOKENS])
        leaking = states(first + second, [2 * _PROOF_TOKENS])
        is_blind = bool((packed - alone).norm() < _TOLERATED * (leaking - alone).norm())
    except (TypeError, ValueError):
        is_blind = False  # it takes no positions at all
    finally:
        model.train(was_training)
    if not is_blind:
        raise ConfigError(
            f"data.packing: texts packed into one row would see each other in {base} ({model.config.model_type}, "
            f"attention {model.config._attn_implementation}). Set packing: false; rows of like length then go together."
        )
