"""PEFT's mixed-adapter batches, without their cost per adapter and layer.

For a batch whose rows use different adapters, PEFT loops over the adapters in every layer, picks the rows out by
index and adds the result back by index. Beside a small model that costs several times the model itself (on two
CPU cores with SmolLM2-135M: 3 times for one row). Here the matrices of all adapters of a layer lie side by side,
so that two multiplications serve all rows; a mask of scalings keeps for each row the columns of its own adapter
and leaves none for ``__base__``. Only the arithmetic of `_mixed_batch_forward` is replaced: `adapter_names` and
the hooks stay PEFT's. Layers of kinds that this does not cover keep PEFT's own way.
"""

from typing import Any

import torch
from peft.tuners.lora.layer import VARIANT_KWARG_KEYS, LoraLayer
from torch import Tensor, nn


def fuse_adapters(model: nn.Module) -> int:
    """Give every LoRA layer of `model` on a linear base the fused forward; return how many there were.

    To be called once all adapters are loaded; their weights must not change afterwards.
    """
    masks = _Masks()
    fused = 0
    for module in model.modules():
        if isinstance(module, LoraLayer) and _is_covered(module):
            # A private method of PEFT: tests compare its results with PEFT's own.
            vars(module)["_mixed_batch_forward"] = _FusedForward(module, masks)
            fused += 1
    return fused


def _is_covered(layer: Any) -> bool:
    """Whether the layer is a plain LoRA on a linear layer (quantised ones included)."""
    is_plain = not layer.lora_variant and not any(layer.lora_bias.values())
    return isinstance(layer.base_layer, nn.Linear) and is_plain and hasattr(layer, "_mixed_batch_forward")


class _Masks:
    """The masks of the batch at hand, shared by all layers with the same adapters."""

    def __init__(self) -> None:
        self._names: list[str] | None = None
        self._masks: dict[tuple[tuple[str, int, float], ...], Tensor] = {}

    def mask(self, names: list[str], columns: tuple[tuple[str, int, float], ...], like: Tensor) -> Tensor:
        """Return (rows, 1, all ranks): a row's scaling in the columns of its adapter, else zero."""
        if names is not self._names:  # PEFT passes one and the same list through a whole `generate`
            self._names, self._masks = names, {}
        mask = self._masks.get(columns)
        if mask is None:
            rows = [
                [scaling if name == own else 0.0 for name, rank, scaling in columns for _ in range(rank)]
                for own in names
            ]
            mask = torch.tensor(rows, dtype=like.dtype, device=like.device).unsqueeze(1)
            self._masks[columns] = mask
        return mask


class _FusedForward:
    """Stands in for a layer's `_mixed_batch_forward`."""

    def __init__(self, layer: Any, masks: _Masks) -> None:
        self._layer = layer
        self._masks = masks
        names = list(layer.lora_A)
        self._columns = tuple((name, layer.lora_A[name].out_features, float(layer.scaling[name])) for name in names)
        self._adapters = frozenset(names)
        with torch.no_grad():
            self._down = torch.cat([layer.lora_A[name].weight for name in names], dim=0)
            self._up = torch.cat([layer.lora_B[name].weight for name in names], dim=1)

    def __call__(self, x: Tensor, *args: Any, adapter_names: list[str], **kwargs: Any) -> Tensor:
        """Return the layer's output (rows, tokens, out) for `x` (rows, tokens, in)."""
        for key in VARIANT_KWARG_KEYS:
            kwargs.pop(key, None)
        result: Tensor = self._layer.base_layer(x, *args, **kwargs)
        if self._adapters.isdisjoint(adapter_names):
            return result
        hidden = nn.functional.linear(x.to(self._down.dtype), self._down)
        hidden = hidden * self._masks.mask(adapter_names, self._columns, hidden)
        return result + nn.functional.linear(hidden, self._up).to(result.dtype)
