"""The language-model head on target tokens alone, a few at a time, for machines without Triton.

TRL's trainer asks the model for per-token log-probabilities. On a GPU with Triton its own kernel scores the targets
only; elsewhere it scores every token of the batch, prompts too, and once more in the backward pass. Here each target is
scored once, and its gradient is taken while its logits are at hand: logits of a few tokens are all that is ever held.
"""

import types
from typing import TYPE_CHECKING, Any

import torch

from training.finetune.texts import IGNORED

if TYPE_CHECKING:
    from trl.trainer.utils import FusedCausalLMOutput

#: Tokens scored at once: enough for the matrix product, few enough that their logits stay near the processor.
CHUNK = 128
#: Settings by which a model changes its logits after the head (Gemma 2, Cohere, Granite, Falcon-H1 …).
_AFTER_THE_HEAD = (
    "final_logit_softcapping",
    "logit_scale",
    "output_multiplier",
    "lm_head_multiplier",
    "logits_scaling",
)


def score_targets_only(model: Any) -> None:
    """Let `model` (a causal language model inside a TRL trainer) answer TRL's question from target tokens alone.

    Call it after the trainer was made. Every other use of the model (generation, loss from logits) is as before.
    Does nothing where TRL's kernel runs, and leaves to TRL what is not plain: a head that is trained itself (its
    gradient needs the logits again), logits that are changed after the head, a loss for the routing of experts.
    """
    if torch.cuda.is_available() or not _is_plain(model):
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
        return scored(self.get_output_embeddings(), hidden, labels[:, 1:])

    model.forward = types.MethodType(forward, model)


def _is_plain(model: Any) -> bool:
    config = model.config.get_text_config()
    return (
        not model.get_output_embeddings().weight.requires_grad
        and all(getattr(config, name, None) in {None, 1.0} for name in _AFTER_THE_HEAD)
        and not getattr(config, "output_router_logits", False)
    )


def scored(head: Any, hidden: torch.Tensor, labels: torch.Tensor) -> "FusedCausalLMOutput":
    """Return TRL's per-token fields, shaped (rows, tokens), zero where there is no target.

    Args:
        head: the output embeddings, hidden size → vocabulary; frozen.
        hidden: (rows, tokens, hidden size).
        labels: (rows, tokens), the next token or IGNORED.
    """
    from trl.trainer.utils import FusedCausalLMOutput

    wanted = labels != IGNORED
    score = _TargetScores.apply
    of_targets = score(hidden[wanted], head.weight, head.bias, labels[wanted])  # type: ignore[no-untyped-call]  # torch's
    # masked_scatter keeps the link to the model even when a batch has no target
    log_probs, entropy, is_top1 = (x.new_zeros(wanted.shape).masked_scatter(wanted, x) for x in of_targets)
    return FusedCausalLMOutput(
        loss=-log_probs.sum() / wanted.sum().clamp(min=1),
        log_probs=log_probs,
        entropy=entropy,
        is_top1=is_top1,
        label_mask=wanted,
    )


class _TargetScores(torch.autograd.Function):
    """Log-probability of each target; entropy and hits beside it, for the trainer's log, without gradient."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return (log-probabilities, entropies, hits), each (targets,), float32."""
        log_probs, entropy, is_top1 = (torch.empty(len(targets), device=hidden.device) for _ in range(3))
        gradient = torch.empty_like(hidden)
        for start in range(0, len(targets), CHUNK):
            part = slice(start, start + CHUNK)
            wanted = targets[part, None]
            logits = torch.nn.functional.linear(hidden[part], weight, bias).float()
            is_top1[part] = (logits.argmax(-1, keepdim=True) == wanted).float().squeeze(1)
            logits -= logits.logsumexp(-1, keepdim=True)
            log_probs[part] = logits.gather(1, wanted).squeeze(1)
            probs = logits.exp()
            entropy[part] = -torch.linalg.vecdot(probs, logits)
            # The gradient of the target's log-probability by the logits: one at the target, less the probabilities.
            probs.neg_().scatter_add_(1, wanted, torch.ones_like(probs[:, :1]))
            gradient[part] = probs.to(weight.dtype) @ weight
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(entropy, is_top1)
        return log_probs, entropy, is_top1

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        """Return the gradient by the hidden states."""
        (gradient,) = ctx.saved_tensors
        return (gradient * gradients[0][:, None]).to(gradient.dtype), None, None, None
