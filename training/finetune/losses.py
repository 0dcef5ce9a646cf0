"""The held-out loss: the mean over target tokens, the same number whatever the batches."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from training.finetune.texts import IGNORED, TokenRow

if TYPE_CHECKING:
    import torch


def collate(rows: Sequence[TokenRow], pad_id: int, device: "torch.device | str" = "cpu") -> "dict[str, torch.Tensor]":
    """Return rows padded on the right: input_ids, attention_mask, labels, each (rows, longest)."""
    import torch

    longest = max(len(row.input_ids) for row in rows)

    def padded(values: list[list[int]], filler: int) -> torch.Tensor:
        return torch.tensor([value + [filler] * (longest - len(value)) for value in values], device=device)

    return {
        "input_ids": padded([row.input_ids for row in rows], pad_id),
        "attention_mask": padded([[1] * len(row.input_ids) for row in rows], 0),
        "labels": padded([row.labels for row in rows], IGNORED),
    }


def token_losses(model: Any, batch: "dict[str, torch.Tensor]") -> "torch.Tensor":
    """Return the loss of each target token of a batch, one dimension, float32, without gradient.

    Works on the model as it is for serving: no fused head, no trainer.
    """
    import torch

    with torch.no_grad():
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        labels = batch["labels"][:, 1:]
        wanted = labels != IGNORED
        return torch.nn.functional.cross_entropy(
            logits[:, :-1][wanted].float(), labels[wanted].to(logits.device), reduction="none"
        )


def heldout_loss(model: Any, rows: Sequence[TokenRow], pad_id: int, *, rows_at_once: int) -> float:
    """Return the mean loss per target token over `rows`; the model's mode (train or eval) is as before afterwards."""
    import torch

    was_training = model.training
    model.eval()
    total, count = 0.0, 0
    ordered = sorted(rows, key=lambda row: len(row.input_ids))
    place = next(model.parameters()).device
    try:
        for start in range(0, len(ordered), rows_at_once):
            losses = token_losses(model, collate(ordered[start : start + rows_at_once], pad_id, place))
            total, count = total + float(losses.sum(dtype=torch.float64)), count + losses.numel()
    finally:
        model.train(was_training)
    return total / count if count else math.nan
