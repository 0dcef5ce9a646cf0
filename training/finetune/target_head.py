"""The language-model head on target tokens alone, for machines without Triton.

TRL's trainer asks the model for per-token log-probabilities. On a GPU with Triton its own kernel scores the targets
only; elsewhere it scores every token of the batch, prompts too, and once more in the backward pass. With a vocabulary
of 49,152 and half of all tokens being customers' words, that is a quarter of a step on a CPU.
"""

import types
from typing import Any

from training.finetune.texts import IGNORED


def score_targets_only(model: Any) -> None:
    """Let `model` (a causal language model inside a TRL trainer) answer TRL's question from target tokens alone.

    Call it after the trainer was made. Every other use of the model (generation, loss from logits) is as before.
    Does nothing where TRL's kernel runs.
    """
    import torch

    if torch.cuda.is_available():
        return
    asked = model.forward  # TRL's patched forward

    def forward(
        self: Any, *args: Any, fused_lm_head: bool = False, labels: Any = None, **kwargs: Any
    ) -> Any:  # TRL's FusedCausalLMOutput, or the model's own output
        if not fused_lm_head or labels is None:
            extra = {} if labels is None else {"labels": labels}
            return asked(*args, fused_lm_head=fused_lm_head, **extra, **kwargs)
        kwargs.pop("num_items_in_batch", None)
        kwargs["use_cache"] = False
        hidden = self.base_model(*args, **kwargs).last_hidden_state[:, :-1]
        return _scored(self.get_output_embeddings(), hidden, labels[:, 1:])

    model.forward = types.MethodType(forward, model)


def _scored(head: Any, hidden: Any, labels: Any) -> Any:
    """Return TRL's per-token fields, shaped (rows, tokens), zero where there is no target.

    Args:
        head: the output embeddings, hidden size → vocabulary.
        hidden: (rows, tokens, hidden size).
        labels: (rows, tokens), the next token or IGNORED.
    """
    import torch
    from trl.trainer.utils import FusedCausalLMOutput

    wanted = labels != IGNORED
    log_probs = torch.log_softmax(head(hidden[wanted]).float(), dim=-1)
    targets = labels[wanted]
    chosen = log_probs.gather(-1, targets[:, None]).squeeze(-1)
    with torch.no_grad():
        entropy = -(log_probs.exp() * log_probs).sum(-1)
        is_top1 = (log_probs.argmax(-1) == targets).float()

    def spread(values: Any) -> Any:
        # masked_scatter keeps the link to the model even when a batch has no target
        return values.new_zeros(wanted.shape).masked_scatter(wanted, values)

    scores = spread(chosen)
    return FusedCausalLMOutput(
        loss=-scores.sum() / wanted.sum().clamp(min=1),
        log_probs=scores,
        entropy=spread(entropy),
        is_top1=spread(is_top1),
        label_mask=wanted,
    )
